"""The recorder's file."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from engine.clock import Clock
from engine.fleet.event import FleetEvent, Gap, Recorded, Track
from engine.fleet.query import EventQuery, Numbered, StatsQuery, Window


class FleetRetention(msgspec.Struct, frozen=True, kw_only=True):
    """How long events are kept: whichever limit is reached first. Windows of an hour stay ten times as long."""

    age: float | None = 30 * 86_400.0
    count: int | None = 5_000_000
    bytes: int | None = 4 * 2**30


class FleetStore:
    """Keeps the facts of a fleet. Opened by `FleetStore.open`."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[list[Numbered]], None]] = []
        """Called on the event loop with the new events of each commit."""

    @classmethod
    @asynccontextmanager
    async def open(
        cls, path: Path, *, clock: Clock | None = None, synchronous: str = "full"
    ) -> "AsyncIterator[FleetStore]":
        """Open or create the file, migrate it, and close it at the block's end. Raises as Store.open does."""
        yield cls()

    async def record(self, events: Sequence[FleetEvent]) -> Recorded:
        """Keep what is new, in one commit together with the figures, tracks and gaps; durable when it returns.

        A fact of the kind outbox.dropped closes the gap that it names. Raises StoreFull when nothing was kept.
        """
        raise NotImplementedError

    async def remember(self, labels: dict[str, dict[str, str]]) -> None:
        """Agent -> its labels, as they are now: for queries and figures by label. Cheap where nothing changed."""
        raise NotImplementedError

    async def labels(self) -> dict[str, dict[str, str]]:
        """Of every agent that was ever heard of."""
        raise NotImplementedError

    async def events(self, query: EventQuery) -> list[Numbered]:
        """Oldest first, at most `query.limit`."""
        raise NotImplementedError

    async def count(self, query: EventQuery) -> int:
        """How many events match, whatever the limit."""
        raise NotImplementedError

    async def stats(self, query: StatsQuery) -> list[Window]:
        """Oldest window first."""
        raise NotImplementedError

    async def tracks(self) -> list[Track]:
        """One for each agent and epoch."""
        raise NotImplementedError

    async def gaps(self, *, due: int | None = None, limit: int = 100) -> list[Gap]:
        """Gaps, the oldest first; with `due`, open ones that are to be asked for by then."""
        raise NotImplementedError

    async def asked(self, gap: Gap, *, due: int) -> None:
        """It was asked for in vain: try again then."""
        raise NotImplementedError

    async def give_up(self, gap: Gap, first: int, last: int, reason: str) -> None:
        """Facts `first` to `last` of a gap are gone for good; the rest of it stays open."""
        raise NotImplementedError

    async def newest(self) -> int:
        """Number of the newest event; 0 before the first."""
        raise NotImplementedError

    async def tidy(self, retention: FleetRetention) -> bool:
        """One step of retention; True if there is more to do. Raises nothing when the disk is full."""
        raise NotImplementedError
