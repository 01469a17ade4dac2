"""What may go onto the wire. The client library lets some of this pass, and the server cuts the connection for it.

A subject or header comes from a workflow's data, so it can hold anything: a line end would inject protocol, a wildcard
would be stored as text that no subscriber can name.
"""

import re
from collections.abc import Mapping

from mesh.errors import InvalidWire

MAX_SUBJECT = 1024
"""Characters. The server ends the connection at a control line of 4,096 bytes, which holds subject and reply."""
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_UNFIT = re.compile(r"[\x00-\x20\x7f]")


def check_subject(subject: str) -> None:
    """Raise InvalidWire unless a message can be published to this subject."""
    if not subject:
        raise InvalidWire("the subject is empty")
    if len(subject) > MAX_SUBJECT:
        raise InvalidWire(f"the subject has {len(subject)} characters, more than {MAX_SUBJECT}")
    if _UNFIT.search(subject):
        raise InvalidWire(f"the subject {subject!r} holds a space or a control character")
    for token in subject.split("."):
        if not token:
            raise InvalidWire(
                f"the subject {subject!r} has an empty token: remove the dot at an end, or one of two dots"
            )
        if token in ("*", ">"):
            raise InvalidWire(f"the subject {subject!r} has the wildcard {token}: a message goes to one subject")


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise InvalidWire unless these headers can be sent as they are."""
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise InvalidWire(f"{name!r} is not a header name: use letters, digits and -")
        if "\r" in value or "\n" in value or "\x00" in value:
            raise InvalidWire(f"the header {name} holds a line end, which would start another header")


def headers_size(headers: Mapping[str, str]) -> int:
    """Bytes that these headers take on the wire; the server counts them to a message's size."""
    if not headers:
        return 0
    return 12 + sum(len(name.encode()) + len(value.encode()) + 4 for name, value in headers.items())
