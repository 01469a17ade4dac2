import base64
import json
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.definition.model import BodyFormat
from engine.triggers.bodies import read_body
from engine.values import InvalidValue

EVENT = {"specversion": "1.0", "id": "7", "source": "/fridge", "type": "warm", "data": {"celsius": 9.5}}

HOSTILE = {
    "a hundred thousand levels": (b"[" * 100_000 + b"]" * 100_000, "nested"),
    "levels of objects": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested"),
    "two megabytes": (b'"' + b"x" * 2_000_000 + b'"', "limit"),
    "not UTF-8": (b'{"a":"\xff"}', "utf-8"),
    "not a number": (b'{"a":NaN}', "JSON"),
    "infinite": (b'{"a":1e999}', "out of range"),
    "a huge integer": (b'{"a":1' + b"0" * 400 + b"}", "64 bits|out of range"),
    "a large integer": (b'{"a":9223372036854775808}', "64 bits"),
    "a repeated key": (b'{"a":1,"a":2}', "twice"),
    "a repeated key, escaped": (b'{"a":1,"\\u0061":2}', "twice"),
    "a repeated key deep down": (b'[{"b":[{"a":1,"a":2}]}]', "twice"),
    "half a surrogate": (b'{"a":"\\ud800"}', "JSON"),
    "an encoded surrogate": (b'"\xed\xa0\x80"', "utf-8"),
    "a raw NUL": (b'{"a":"\x00"}', "JSON"),
    "no JSON": (b"hello", "JSON"),
    "half": (b'{"a":', "JSON"),
    "two values": (b"{} {}", "JSON"),
    "a byte order mark": (b"\xef\xbb\xbf{}", "JSON"),
    "spaces alone": (b" ", "JSON"),
}


def value_of(body: bytes, body_format: BodyFormat = BodyFormat.JSON, **headers: str) -> object:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return msgspec.json.decode(read_body(body, named, body_format).data)


@pytest.mark.parametrize("case", HOSTILE, ids=str)
def test_hostile_json_is_refused_with_its_cause(case: str) -> None:
    body, reason = HOSTILE[case]
    with pytest.raises(InvalidValue, match=f"(?i){reason}"):
        read_body(body, {}, BodyFormat.JSON)


@pytest.mark.parametrize(
    "body", [b'{"a":"b:c","d":{"a":1}}', b'{"t":"2026-11-21T10:15:00Z"}', b'"\\u0000"', b"[{},{}]", b" 1 ", b"-0.5e3"]
)
def test_json_is_kept_as_it_came(body: bytes) -> None:
    assert bytes(read_body(body, {}, BodyFormat.JSON).data) == body


def test_an_empty_body_is_null() -> None:
    assert value_of(b"") is None


def test_text_is_text() -> None:
    assert value_of('9 "°C"\x00'.encode(), BodyFormat.TEXT) == '9 "°C"\x00'
    assert value_of(b"", BodyFormat.TEXT) == ""
    with pytest.raises(InvalidValue, match="base64"):
        value_of(b"\xff", BodyFormat.TEXT)


@given(st.binary())
def test_base64_holds_any_bytes(body: bytes) -> None:
    assert base64.b64decode(str(value_of(body, BodyFormat.BASE64))) == body


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=20,
)  # fmt: skip


@given(json_values)
def test_whatever_json_can_hold_comes_through(value: object) -> None:
    assert value_of(json.dumps(value).encode()) == value


@given(st.binary(max_size=300), st.sampled_from(list(BodyFormat)))
def test_any_bytes_are_read_or_refused(body: bytes, body_format: BodyFormat) -> None:
    with suppress(InvalidValue):
        msgspec.json.decode(read_body(body, {}, body_format).data)


@pytest.mark.parametrize(
    "content_type", ["application/cloudevents+json; charset=utf-8", "application/cloudevents", "application/json", ""]
)
def test_a_structured_cloudevent_gives_data_and_identity(content_type: str) -> None:
    headers = {"content-type": content_type} if content_type else {}
    body = read_body(json.dumps({**EVENT, "sequence": 3}).encode(), headers, BodyFormat.CLOUDEVENT)
    assert (body.event_id, body.event_source) == ("7", "/fridge")
    assert msgspec.json.decode(body.data) == {"celsius": 9.5}
    assert body.attributes == {
        "ce-specversion": "1.0", "ce-id": "7", "ce-source": "/fridge", "ce-type": "warm", "ce-sequence": "3",
    }  # fmt: skip


def test_a_binary_cloudevent_gives_data_and_identity() -> None:
    headers = {"ce-specversion": "1.0", "ce-id": "7", "ce-source": "/k%C3%BChl%20schrank", "ce-type": "warm"}
    body = read_body(b'{"celsius":9.5}', headers, BodyFormat.CLOUDEVENT)
    assert (body.event_id, body.event_source) == ("7", "/kühl schrank")
    assert bytes(body.data) == b'{"celsius":9.5}'


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [("text/plain", "warm"), ("application/octet-stream", "d2FybQ=="), ("application/xml", "warm")],
)
def test_the_content_type_says_how_a_cloudevents_data_is_read(content_type: str, expected: str) -> None:
    headers = {"ce-specversion": "1.0", "ce-id": "7", "ce-source": "/", "ce-type": "warm"}
    assert value_of(b"warm", BodyFormat.CLOUDEVENT, **headers, content_type=content_type) == expected
    structured = {**EVENT, "datacontenttype": content_type, "data_base64": "d2FybQ=="}
    assert value_of(json.dumps(structured).encode(), BodyFormat.CLOUDEVENT) == expected


def test_a_cloudevent_without_data_gives_null() -> None:
    event = {name: value for name, value in EVENT.items() if name != "data"}
    assert value_of(json.dumps(event).encode(), BodyFormat.CLOUDEVENT) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": ""}, "attribute id is missing"),
        ({"source": None}, "attribute source is missing"),
        ({"specversion": "0.3"}, "send specversion 1.0"),
        ({"id": "x" * 2000}, "longer"),
        ({"data_base64": "?"}, "not base64"),
        ({"data_base64": 5}, "not a CloudEvent"),
    ],
)
def test_what_is_no_cloudevent_is_refused(change: dict[str, object], reason: str) -> None:
    with pytest.raises(InvalidValue, match=reason):
        value_of(json.dumps({**EVENT, **change}).encode(), BodyFormat.CLOUDEVENT)


@pytest.mark.parametrize("body", [b"", b"[]", b"17", b"{}", b"no"])
def test_other_bodies_are_no_cloudevents(body: bytes) -> None:
    with pytest.raises(InvalidValue):
        value_of(body, BodyFormat.CLOUDEVENT)


def test_a_batch_is_refused() -> None:
    with pytest.raises(InvalidValue, match="of its own"):
        value_of(b"[]", BodyFormat.CLOUDEVENT, content_type="application/cloudevents-batch+json")
