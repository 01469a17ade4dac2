"""The payload type of the whole project, and how bytes from outside become it.

Everything that comes from outside passes `decode_json`: size, depth and the range of integers are checked before a
single object exists, because deep nesting can overflow the C stack of a decoder (see test_deep_nesting_is_refused).
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

Json: TypeAlias = Any
"""null, bool, int (64 bits), float, str, list[Json] or dict[str, Json]. Treat it as immutable: outputs are shared."""

MAX_BYTES = 1024 * 1024
"""Largest body read from outside by default, in bytes."""
MAX_DEPTH = 64
"""Deepest nesting of lists and objects read from outside."""
INT_MIN, INT_MAX = -(2**63), 2**63 - 1

_decoder = msgspec.json.Decoder()
_NOT_STRUCTURE = re.compile(rb'"(?:[^"\\]|\\.)*"?|[^\[\]{}"]+', re.DOTALL)


class InvalidValue(ValueError):
    """Bytes or a value from outside that Ganglion refuses; the message says why, for a person."""


def decode_json(body: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Json:
    """Decode JSON from outside. Raises InvalidValue if it is too large, too deep, not UTF-8, not JSON, or holds an
    integer beyond 64 bits."""
    if len(body) > max_bytes:
        raise InvalidValue(f"{len(body)} bytes are more than the limit of {max_bytes}")
    if body.count(b"[") + body.count(b"{") > max_depth:
        _check_nesting(body, max_depth)
    try:
        value = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidValue(f"not valid JSON: {error}") from None
    check_value(value, max_depth=max_depth)
    return value


def encode_json(value: Json) -> bytes:
    """The bytes of a value: compact JSON, UTF-8, keys in their own order. A secret's marker becomes its mask."""
    return _encoder.encode(value)


def _plain_text(value: object) -> str:
    """Text of a subclass of str, such as a secret's marker, which msgspec would refuse."""
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"a {type(value).__name__} is not JSON data")


_encoder = msgspec.json.Encoder(enc_hook=_plain_text)


def check_value(value: Json, *, max_depth: int = MAX_DEPTH) -> None:
    """Raise InvalidValue unless a decoded value is Json within the limits (a node's output, a parsed file)."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return
    if kind is float:
        if value - value != 0.0:
            raise InvalidValue(f"{value} is not a number that JSON can hold")
        return
    if kind is int:
        if not INT_MIN <= value <= INT_MAX:
            raise InvalidValue(f"the integer {str(value)[:24]} does not fit into 64 bits; send it as a string")
        return
    if max_depth <= 0:
        raise InvalidValue("nested too deeply")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise InvalidValue(f"the key {key!r} is not a string")
            check_value(item, max_depth=max_depth - 1)
    elif isinstance(value, list | tuple):
        for item in value:
            check_value(item, max_depth=max_depth - 1)
    elif not isinstance(value, str):
        raise InvalidValue(f"a {kind.__name__} is not JSON data")


def kind_of(value: Json) -> str:
    """The name that people see for a value's kind: null, boolean, number, string, list or object."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, Mapping):
        return "object"
    if isinstance(value, Sequence):
        return "list"
    return type(value).__name__


def _check_nesting(body: bytes, max_depth: int) -> None:
    depth = 0
    for byte in _NOT_STRUCTURE.sub(b"", body):
        if byte in b"[{":
            depth += 1
            if depth > max_depth:
                raise InvalidValue(f"nested deeper than {max_depth} levels")
        else:
            depth -= 1
