"""What may go onto the wire in the agent's name. The client library lets some of this pass.

A subject or header comes from a workflow's data, so it can hold anything: a line end would inject protocol, and a
device that names the subject must not make the agent speak to its own service.
"""

import re
from collections.abc import Mapping

from engine.subjects import check_subject

_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_OURS, _STARTS = "ganglion.", "ganglion.trigger."


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
