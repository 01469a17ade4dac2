"""What surrounds a message's body, checked: its subject, its headers, and what they say about where it comes from."""

from collections.abc import Mapping

import msgspec

from engine.triggers.message import Message
from engine.values import InvalidValue

__all__ = ["Envelope", "bounded_headers", "plain", "read_envelope"]

MAX_HOPS = 16
"""How many executions may cause each other in a row."""
MAX_HEADERS = 16 * 1024
"""Characters of all headers together, names and values."""
MAX_ID = 1024
"""Longest id of a message or of its cause, in characters."""


class Envelope(msgspec.Struct, frozen=True):
    """The checked headers of a message."""

    headers: Mapping[str, str]
    """With names in lower case."""
    id: str = ""
    """The producer's id, `Nats-Msg-Id`."""
    cause: str = ""
    """What caused it, `Ganglion-Cause`: the id of an execution or an event."""
    hops: int = 0
    """How many executions caused each other before, `Ganglion-Hops`."""


_BARE = Envelope({})


def read_envelope(message: Message) -> Envelope:
    """Raises InvalidValue for what is too much, not text, or the end of a chain that feeds itself."""
    _check_text(message.subject, "the subject")
    if not message.headers:
        return _BARE
    length = 0
    headers: dict[str, str] = {}
    for name, value in message.headers.items():
        length += len(name) + len(value)
        if length > MAX_HEADERS:
            raise InvalidValue(f"the headers have more than {MAX_HEADERS} characters")
        _check_text(name, "the name of a header")
        _check_text(value, f"the header {name}")
        headers[name.lower()] = value
    message_id, cause = headers.get("nats-msg-id", ""), headers.get("ganglion-cause", "")
    if max(len(message_id), len(cause)) > MAX_ID:
        raise InvalidValue(f"the header Nats-Msg-Id or Ganglion-Cause is longer than {MAX_ID} characters")
    return Envelope(headers, message_id, cause, _hops(headers.get("ganglion-hops", "0"), cause))


def bounded_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """As many headers as may be stored with a dead letter, whatever they hold."""
    kept: dict[str, str] = {}
    room = MAX_HEADERS
    for name, value in headers.items():
        room -= len(name) + len(value)
        if room < 0:
            break
        kept[plain(name)] = plain(value)
    return kept


def plain(text: str) -> str:
    """Text that can be stored, whatever came over the wire."""
    return text.encode(errors="replace").decode()


def _hops(text: str, cause: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidValue(f"the header Ganglion-Hops is not a number: {text[:40]!r}")
    hops = int(text)
    if hops > MAX_HOPS:
        raise InvalidValue(
            f"{hops} executions caused each other in a row, and {MAX_HOPS} are allowed: some workflow starts itself "
            f"(the last was {cause or 'not named'}); see what its publish nodes send, and where to"
        )
    return hops


def _check_text(text: str, what: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidValue(f"{plain(what)} is not UTF-8 text") from None
