"""What an agent is asked about its end, and what it answers."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from engine.control.messages import Answer, Request

MAX_SHOWN = 20
"""Executions that an answer names."""


class Drain(Request, frozen=True, kw_only=True):
    """Take nothing new, let running executions finish, then stop."""

    timeout: Annotated[float, Meta(ge=0)] | None = None
    """Seconds that they may take; what still runs then is parked at its checkpoint. None: as long as they need."""
    follow: bool = False
    """Begin nothing: tell how far a drain is, as soon as there is news, at the latest after half a second."""


class Phase(StrEnum):
    """How far a drain is."""

    DRAINING = "draining"
    DRAINED = "drained"
    """Nothing runs any more; the agent stops."""
    PARKED = "parked"
    """The time was over, or somebody stopped the agent: what still ran goes on at the next start."""


class StillRunning(Answer, frozen=True, kw_only=True):
    """An execution that holds the agent up."""

    execution: str
    workflow: str
    nodes: tuple[str, ...]
    """Paths that are running now."""


class Draining(Answer, frozen=True, kw_only=True):
    """How far a drain is."""

    agent: str
    phase: Phase
    running: int
    """Executions that have not finished."""
    executions: tuple[StillRunning, ...] = ()
    """The first of them."""
