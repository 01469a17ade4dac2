"""A verb: a name, the type of its request, the type of its answer, and who carries it out."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec


class Verb(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that can be asked. `handle` gets a decoded `request` and returns an `answer`, or raises Refused."""

    name: str
    """`[a-z]+`, the last token of the service's subject."""
    description: str
    request: type[msgspec.Struct]
    """`forbid_unknown_fields`; an empty body is read as `{}`."""
    answer: type[msgspec.Struct]
    handle: Callable[[Any], Awaitable[msgspec.Struct]]
    is_repeatable: bool = True
    """Asked twice it does no more than asked once, though the second answer may be a refusal: who got no answer may ask
    again."""


class Refused(Exception):
    """The request can't be done; `code` is as in HTTP: 400 bad request, 404 unknown, 409 not in this state, 422 invalid
    file, 503 not now. The message says what to do next."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
