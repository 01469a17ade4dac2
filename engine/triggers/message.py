"""A message as the mesh hands it over, and what became of it."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from engine.definition.model import At, Deliver


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message from outside, undecoded and untrusted."""

    subject: str
    body: bytes
    headers: Mapping[str, str] = {}
    received_at: int
    """Microseconds since 1970."""
    stream: str = ""
    """The stream that kept it; empty for a plain subscription."""
    at: At | None = None
    """Where that stream is; None where it makes no difference."""
    stream_created: str = ""
    """When that stream was made: sequences restart with a new one."""
    sequence: int = 0
    workflow: str = ""
    """Set where it was fetched for one workflow: it starts no other one, and is given back if that is not here."""
    deliver: Deliver | None = None
    """Set where it came to this agent as the one that gets it, or as one of all that do."""


class Fate(StrEnum):
    """What became of a message."""

    ACCEPTED = "accepted"
    """Committed: at least one new execution, or an answer to what waits, or kept for what will."""
    DUPLICATE = "duplicate"
    """Every execution it would start exists already."""
    UNMATCHED = "unmatched"
    """No workflow wants it."""
    DROPPED = "dropped"
    """Given up because the queue of its workflow is full and says so; a fact tells."""
    HELD = "held"
    """The queue of a workflow is full: not taken in there, let it come again later. What other workflows took in of it
    stays, and is not taken in twice."""
    DEAD = "dead"
    """Recorded as a dead letter: terminate it."""


class Receipt(msgspec.Struct, frozen=True):
    """The answer for one message."""

    fate: Fate
    executions: tuple[str, ...] = ()
    """Ids of the executions that it started, now or when it came first."""
    reason: str = ""
    """Why it is dead, or held."""
    retry_seconds: float = 0.0
    """When to let it come again, if it is held."""
