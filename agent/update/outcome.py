"""What became of an update."""

from enum import StrEnum

import msgspec


class End(StrEnum):
    """How an update came out."""

    UPDATED = "updated"
    WENT_BACK = "went back"
    STUCK = "stuck"
    """The new version is not well, and the old one could not take over: `why` says what to do."""
    NOTHING = "nothing"
    """There was nothing to go on with."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """For whoever asked for the update."""

    end: End
    version: str
    """That has the place now."""
    started: bool = False
    """Its agent was started, and is well if `end` is updated."""
    why: str = ""
