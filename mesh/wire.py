"""What may go onto the wire in the agent's name. The client library lets some of this pass.

A subject or header comes from a workflow's data, so it can hold anything: a line end would inject protocol, and a
device that names the subject must not make the agent speak to its own service.
"""

import re
from collections.abc import Mapping

from engine.subjects import check_subject

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_VERB = re.compile(r"[a-z][a-z0-9_]{0,62}")
_ACK = re.compile(r"\$JS\.ACK\.(?:[^.]+\.[^.]+\.)?[^.]+\.[^.]+(?:\.[0-9]{1,19}){5}(?:\.[^.]+)?")
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_OURS, _STARTS = "ganglion.", "ganglion.trigger."


def is_id(text: str) -> bool:
    """Whether this may stand for an agent or a tenant in a subject; what others say of themselves may be anything."""
    return _ID.fullmatch(text) is not None


def is_ack(reply: str) -> bool:
    """Whether a message with this reply subject can have come from a stream: anybody who knows an inbox may write
    there. `$JS.ACK.[<domain>.<account>.]<stream>.<consumer>.` and five numbers."""
    return _ACK.fullmatch(reply) is not None


def check_verb(tenant: str, agent: str, verb: str) -> None:
    """Raise ValueError unless a verb of this agent has a subject of its own; the text says why."""
    for what, text in (("tenant", tenant), ("agent", agent)):
        if not is_id(text):
            raise ValueError(f"{text[:80]!r} is not the id of {what}: lower-case letters, digits and hyphens")
    if not _VERB.fullmatch(verb):
        raise ValueError(f"{verb[:80]!r} is not a verb")


def check_outgoing(subject: str) -> None:
    """Raise ValueError unless a workflow may publish or ask there; the text says why."""
    check_subject(subject, wildcards=False)
    if subject.startswith(_OURS) and not subject.startswith(_STARTS):
        raise ValueError(
            f"the subject {subject!r} is the agent's own: a workflow may use {_STARTS}> there, and all other subjects"
        )


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise ValueError unless these headers can be sent as they are."""
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a header name: use letters, digits and -")
        if "\r" in value or "\n" in value or "\x00" in value:
            raise ValueError(f"the header {name} holds a line end, which would start another header")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError(f"the header {name} is not text: it holds half a character") from None


def headers_size(headers: Mapping[str, str]) -> int:
    """Bytes that these headers take on the wire; the server counts them to a message's size."""
    if not headers:
        return 0
    return len("NATS/1.0\r\n\r\n") + sum(
        len(name.encode()) + len(value.encode()) + 4 for name, value in headers.items()
    )
