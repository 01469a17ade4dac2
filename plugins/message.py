"""What a node may send over NATS: subjects, headers and bodies.

nats-py checks neither subjects nor headers: CR or LF in a templated value would inject protocol, and a templated
subject could reach the agent's own services. A node may send what an anonymous device may send, and no more.
"""

import re
from collections.abc import Mapping

import msgspec

from engine.values import Json, encode_json

MAX_SUBJECT = 255
"""Longest subject, in bytes; the server's own limit is the length of a protocol line."""

_SUBJECT = re.compile(r"[^\s\x00-\x1f\x7f.*>]+(\.[^\s\x00-\x1f\x7f.*>]+)*")
_HEADER_NAME = re.compile(r"[!-9;-~]+")
_HEADER_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
_RESERVED = (
    "ganglion.event.",
    "ganglion.live.",
    "ganglion.job.",
    "ganglion.journal.",
    "ganglion.service.",
    "$JS.",
    "$SYS.",
)


def check_subject(subject: str) -> None:
    """Raise ValueError unless a message may be sent to this subject; the text says why."""
    if len(subject.encode("utf-8", "surrogatepass")) > MAX_SUBJECT:
        raise ValueError(f"the subject {subject[:40]!r}… is longer than {MAX_SUBJECT} bytes")
    if not _SUBJECT.fullmatch(subject):
        raise ValueError(
            f"{subject!r} is not a subject to send to: tokens joined by dots, none empty, "
            "without spaces, control characters, * and >"
        )
    for prefix in _RESERVED:
        if subject.startswith(prefix):
            raise ValueError(f"the subject {subject!r} is reserved: nodes may not send to {prefix}>")


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise ValueError unless these can be NATS headers of a node's message; the text says why."""
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a header name: printable ASCII without spaces and colons")
        if not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"the header {name} holds a line break or another control character")
        if name.lower().startswith("ganglion-"):
            raise ValueError(f"the header {name} is reserved: Ganglion-* headers are set by the agent")


def message_body(data: Json | msgspec.UnsetType, text: str | msgspec.UnsetType) -> bytes:
    """The bytes of a message: `text` as it is, `data` as JSON, nothing for neither."""
    if text is not msgspec.UNSET:
        return text.encode()
    return b"" if data is msgspec.UNSET else encode_json(data)
