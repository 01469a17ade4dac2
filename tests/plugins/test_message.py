import msgspec
import pytest

from plugins.message import check_headers, check_subject, message_body


@pytest.mark.parametrize(
    "subject", ["a", "log.fridge-7", "sensors.1.temperature", "_INBOX.abc.1", "ganglion.trigger.x"]
)
def test_a_plain_subject_is_accepted(subject: str) -> None:
    check_subject(subject)


@pytest.mark.parametrize(
    "subject",
    ["", ".", "a.", ".a", "a..b", "a.*", "a.>", "a b", "a\tb", "a\r\nPUB x 0", "a\x00", "a\n", "x\u2028y", "f*o"],
)
def test_a_subject_that_could_mean_more_than_one_place_is_refused(subject: str) -> None:
    with pytest.raises(ValueError, match="is not a subject to send to"):
        check_subject(subject)


@pytest.mark.parametrize("subject", ["$JS.API.STREAM.DELETE.X", "$SYS.REQ", "ganglion.service.default.a.stop"])
def test_a_subject_of_the_agent_or_the_server_is_refused(subject: str) -> None:
    with pytest.raises(ValueError, match="reserved"):
        check_subject(subject)


def test_a_subject_is_bounded() -> None:
    check_subject("x" * 255)
    with pytest.raises(ValueError, match="longer than 255 bytes"):
        check_subject("é" * 128)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\n", "é"])
def test_a_header_name_that_breaks_the_protocol_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a header name"):
        check_headers({name: "x"})


@pytest.mark.parametrize("value", ["a\r\nb", "a\n", "\x00"])
def test_a_header_value_that_breaks_the_protocol_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        check_headers({"a": value})


def test_headers_of_the_agent_are_reserved() -> None:
    with pytest.raises(ValueError, match="reserved"):
        check_headers({"ganglion-hops": "0"})


def test_a_body_is_json_or_raw_text_or_empty() -> None:
    unset = msgspec.UNSET
    assert message_body({"a": 1}, unset) == b'{"a":1}'
    assert message_body("on", unset) == b'"on"'
    assert message_body(None, unset) == b"null"
    assert message_body(unset, "on é") == "on é".encode()
    assert message_body(unset, unset) == b""
