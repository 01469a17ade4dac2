"""What fleet triggers ask of a recorder; `engine.fleet.FleetStore` is one."""

from collections.abc import Callable
from typing import Protocol

from engine.fleet.query import EventQuery, Numbered, StatsQuery, Window

__all__ = ["FleetRecord"]


class FleetRecord(Protocol):
    """The facts of a fleet. Numbers grow in the order of recording, and are given to nobody else later."""

    listeners: list[Callable[[list[Numbered]], None]]
    """Called on the event loop with what was recorded: a hint."""

    async def events(self, query: EventQuery) -> list[Numbered]:
        """Oldest first, at most `query.limit`."""
        ...

    async def stats(self, query: StatsQuery) -> list[Window]:
        """Oldest window first."""
        ...

    async def labels(self) -> dict[str, dict[str, str]]:
        """Of every agent that was ever heard of."""
        ...

    async def newest(self) -> int:
        """Number of the newest event; 0 before the first."""
        ...
