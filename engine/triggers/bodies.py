"""A message's body as `trigger.data`.

Everything is checked here once, on the bytes as they came; what is kept is JSON bytes, so that an accepted body is
never encoded again: the bytes of a JSON body are embedded as they are.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from urllib.parse import unquote

import msgspec

from engine.definition.model import BodyFormat
from engine.values import MAX_BYTES, InvalidValue, Json, decode_json, encode_json

__all__ = ["Body", "read_body"]

MAX_ID = 1024
"""Longest id and source of a CloudEvent, in characters."""
_NULL = msgspec.Raw(b"null")
_ATTRIBUTE = "ce-"


class Body(msgspec.Struct, frozen=True):
    """What a body says."""

    data: msgspec.Raw
    """Checked JSON."""
    event_id: str = ""
    event_source: str = ""
    """A CloudEvent's identity: unique together. Both empty for any other body."""
    attributes: Mapping[str, str] = {}
    """A CloudEvent's attributes as `ce-` names, whichever way they came; they join the headers of the trigger."""


def read_body(
    body: bytes,
    headers: Mapping[str, str],
    format: BodyFormat,
    *,
    max_bytes: int = MAX_BYTES,
) -> Body:
    """Read a body; `headers` have names in lower case. Raises InvalidValue with the cause, for a person."""
    if len(body) > max_bytes:
        raise InvalidValue(f"{len(body)} bytes are more than the limit of {max_bytes}")
    if format is BodyFormat.JSON:
        return Body(_json(body, max_bytes))
    if format is BodyFormat.TEXT:
        return Body(_text(body))
    if format is BodyFormat.BASE64:
        return Body(_base64(body))
    return _cloudevent(body, headers, max_bytes)


def _json(body: bytes, max_bytes: int) -> msgspec.Raw:
    if not body:
        return _NULL
    value = decode_json(body, max_bytes=max_bytes)
    # Decoders differ in what they make of a repeated key, so it is refused. Each key has its colon, and texts can only
    # add to their count: equal numbers prove that no key was lost, and nearly every message stops there.
    if body.count(b":") != _count_keys(value):
        json.loads(body, object_pairs_hook=_refuse_repeated_keys)
    return msgspec.Raw(body)


def _count_keys(value: Json) -> int:
    if type(value) is dict:
        return len(value) + sum(_count_keys(item) for item in value.values() if type(item) in (dict, list))
    if type(value) is list:
        return sum(_count_keys(item) for item in value if type(item) in (dict, list))
    return 0


def _refuse_repeated_keys(pairs: list[tuple[str, Json]]) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise InvalidValue(f"the key {key[:60]!r} occurs twice in one object: which value is meant is unknown")
        seen.add(key)


def _text(body: bytes) -> msgspec.Raw:
    try:
        return msgspec.Raw(encode_json(body.decode()))
    except UnicodeDecodeError as error:
        raise InvalidValue(f"not UTF-8 text: {error.reason} at byte {error.start}; use format: base64") from None


def _base64(body: bytes) -> msgspec.Raw:
    return msgspec.Raw(b'"%b"' % base64.b64encode(body))


# --- CloudEvents 1.0: https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/nats-protocol-binding.md ---


class _Structured(msgspec.Struct, frozen=True):
    data: msgspec.Raw = _NULL
    data_base64: str | None = None


def _cloudevent(body: bytes, headers: Mapping[str, str], max_bytes: int) -> Body:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind.startswith("application/cloudevents-batch"):
        raise InvalidValue("a batch of CloudEvents: send each event as a message of its own")
    if kind in ("application/cloudevents", "application/cloudevents+json"):
        return _structured(body, max_bytes)
    if kind.startswith("application/cloudevents"):
        raise InvalidValue(f"a CloudEvent as {kind}: only the JSON event format is understood")
    if f"{_ATTRIBUTE}specversion" in headers or f"{_ATTRIBUTE}id" in headers:
        return _binary(body, headers, max_bytes)
    return _structured(body, max_bytes)  # MQTT 3 has no headers, and the standard for NATS did not ask for any at first


def _structured(body: bytes, max_bytes: int) -> Body:
    if not body:
        raise InvalidValue("not a CloudEvent: the body is empty and there are no ce- headers")
    _json(body, max_bytes)
    event = decode_json(body, max_bytes=max_bytes)
    if not isinstance(event, dict):
        raise InvalidValue("not a CloudEvent: a JSON object with id, source, type and specversion was expected")
    attributes = {
        name: value if isinstance(value, str) else encode_json(value).decode()
        for name, value in event.items()
        if name not in ("data", "data_base64") and isinstance(value, str | int | bool)
    }
    event_id, source = _identity(attributes)
    try:
        content = msgspec.json.decode(body, type=_Structured)
    except msgspec.ValidationError as error:
        raise InvalidValue(f"not a CloudEvent: {error}") from None
    data = msgspec.Raw(bytes(content.data))  # a Raw is a view: without the copy it would hold the whole body
    if content.data_base64 is not None:
        try:
            decoded = base64.b64decode(content.data_base64, validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidValue(f"the CloudEvent's data_base64 is not base64: {error}") from None
        data = _data(decoded, attributes.get("datacontenttype", "application/octet-stream"), max_bytes)
    return Body(data, event_id, source, {_ATTRIBUTE + name: value for name, value in attributes.items()})


def _binary(body: bytes, headers: Mapping[str, str], max_bytes: int) -> Body:
    attributes = {
        name.removeprefix(_ATTRIBUTE): unquote(value, errors="replace")
        for name, value in headers.items()
        if name.startswith(_ATTRIBUTE)
    }
    event_id, source = _identity(attributes)
    kind = attributes.get("datacontenttype") or headers.get("content-type", "application/json")
    return Body(
        _data(body, kind, max_bytes), event_id, source, {_ATTRIBUTE + name: value for name, value in attributes.items()}
    )


def _identity(attributes: Mapping[str, str]) -> tuple[str, str]:
    for name in ("specversion", "id", "source", "type"):
        value = attributes.get(name)
        if not value:
            raise InvalidValue(f"not a CloudEvent: the attribute {name} is missing or empty")
        if len(value) > MAX_ID:
            raise InvalidValue(f"the CloudEvent's {name} is longer than {MAX_ID} characters")
    if not attributes["specversion"].startswith("1."):
        raise InvalidValue(f"CloudEvents {attributes['specversion']} is not understood: send specversion 1.0")
    return attributes["id"], attributes["source"]


def _data(body: bytes, content_type: str, max_bytes: int) -> msgspec.Raw:
    kind = content_type.partition(";")[0].strip().lower()
    if kind.endswith(("/json", "+json")):
        return _json(body, max_bytes)
    if kind.startswith("text/") or kind.endswith(("/xml", "+xml")):
        return _text(body)
    return _base64(body)
