import pytest

from mesh.errors import InvalidWire
from mesh.wire import check_headers, check_subject, headers_size


@pytest.mark.parametrize("subject", ["a", "log.f1", "$KV.x.y", "sensors.größe", "a.b*c"])
def test_subjects_that_can_be_published_pass(subject: str) -> None:
    check_subject(subject)


@pytest.mark.parametrize(
    ("subject", "why"),
    [
        ("", "empty"),
        ("a b", "space or a control"),
        ("a\r\nPUB x 0", "space or a control"),
        ("a\x00", "space or a control"),
        ("a..b", "empty token"),
        (".a", "empty token"),
        ("a.", "empty token"),
        ("a.*", "wildcard \\*"),
        ("a.>", "wildcard >"),
        ("a" * 1025, "1025 characters"),
    ],
)
def test_subjects_that_inject_or_name_nothing_are_refused(subject: str, why: str) -> None:
    with pytest.raises(InvalidWire, match=why):
        check_subject(subject)


@pytest.mark.parametrize(
    ("name", "value"), [("X-A", "b\r\nX-B: c"), ("X-A", "b\n"), ("X A", "b"), ("X:A", "b"), ("", "b"), ("X\r\n", "b")]
)
def test_headers_that_inject_are_refused(name: str, value: str) -> None:
    with pytest.raises(InvalidWire):
        check_headers({name: value})


def test_headers_have_their_size_on_the_wire() -> None:
    check_headers({"X-A": "b c", "Nats-Msg-Id": "1"})
    assert headers_size({}) == 0
    assert headers_size({"X-A": "ü"}) == len("NATS/1.0\r\nX-A: ü\r\n\r\n".encode())
