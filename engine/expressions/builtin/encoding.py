"""Filters that write a value in another notation, and read it back."""

import base64
import binascii
import hashlib
from urllib.parse import quote

import msgspec

from engine.expressions.errors import Refusal
from engine.expressions.library import Filter, Object, Scalar
from engine.expressions.operators import measure, text_of
from engine.expressions.scope import Frame
from engine.values import InvalidValue, Json, decode_json, encode_json


def tojson(frame: Frame, value: Json, indent: int | None = None) -> str:
    frame.spend(measure(value) >> 3)
    made = encode_json(value)
    if indent is not None:
        if not 0 <= indent <= 16:
            raise Refusal("tojson: indent is 0 to 16")
        breaks = made.count(b",") + 2 * (made.count(b"[") + made.count(b"{"))
        frame.room_for(len(made) + breaks * indent * _depth(value))
        made = msgspec.json.format(made, indent=indent)
    return frame.made(made.decode())


def _depth(value: Json) -> int:
    """How deep a value is nested; `measure` has bounded it."""
    if type(value) is dict:
        return 1 + max(map(_depth, value.values()), default=0)
    return 1 + max(map(_depth, value), default=0) if type(value) is list else 1


def fromjson(frame: Frame, value: str) -> Json:
    frame.spend(len(value) >> 3)
    try:
        return decode_json(value.encode())
    except InvalidValue as error:
        raise Refusal(f"fromjson: {error}") from None


def b64encode(frame: Frame, value: str) -> str:
    return frame.made(base64.b64encode(value.encode()).decode())


def b64decode(frame: Frame, value: str) -> str:
    try:
        return frame.made(base64.b64decode(value.encode(), validate=True).decode())
    except (binascii.Error, UnicodeDecodeError) as error:
        raise Refusal(f"b64decode: not base64 of a text: {error}") from None


def urlencode(frame: Frame, value: Scalar | Object) -> str:
    if not isinstance(value, dict):
        return _quoted(frame, text_of(frame, value))
    frame.spend(4 * len(value))
    pairs = [f"{_quoted(frame, key)}={_quoted(frame, text_of(frame, item))}" for key, item in value.items()]
    return frame.made("&".join(pairs))


def _quoted(frame: Frame, text: str) -> str:
    if type(text) is not str:
        raise Refusal("urlencode may not see a secret")
    frame.spend(len(text))
    return frame.made(quote(text, safe=""))


def hash_(frame: Frame, value: str, algorithm: str = "sha256") -> str:
    if algorithm not in ("sha256", "sha512"):
        raise Refusal("hash: the algorithm is 'sha256' or 'sha512'")
    frame.spend(len(value) >> 4)
    return hashlib.new(algorithm, value.encode()).hexdigest()


ENCODING_FILTERS = [
    Filter("tojson", tojson, "A value as JSON text.", "{'a': [1, null]}|tojson", '{"a":[1,null]}'),
    Filter("fromjson", fromjson, "The value that a JSON text holds.", "'[1, 2]'|fromjson", [1, 2]),
    Filter("b64encode", b64encode, "A text's UTF-8 bytes as base64.", "'warm'|b64encode", "d2FybQ=="),
    Filter("b64decode", b64decode, "The text that base64 holds.", "'d2FybQ=='|b64decode", "warm"),
    Filter("urlencode", urlencode, "A text, or an object's pairs, for a URL.", "{'q': 'a b'}|urlencode", "q=a%20b"),
    Filter(
        "hash",
        hash_,
        "A text's SHA-256 in hex.",
        "'a'|hash",
        "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
        aliases=("sha256",),
    ),
]
