"""The recorder's file."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from engine.clock import Clock
from engine.fleet import gaps, looking, recording, stats, tracks
from engine.fleet import labels as labelling
from engine.fleet.event import FleetEvent, Gap, Recorded, Track
from engine.fleet.names import Names
from engine.fleet.query import EventQuery, Numbered, StatsQuery, Window
from engine.fleet.recording import Batch
from engine.fleet.retention import FleetRetention, remove
from engine.fleet.schema import MIGRATIONS
from engine.store import Store, StoreFull, Transaction
from engine.store.space import hand_back, used_bytes

__all__ = ["FleetRetention", "FleetStore"]

CHECK_SECONDS = 2.0
"""How long a start may look at a file that was not closed properly: an agent has work of its own to begin."""
CACHE = "PRAGMA cache_size = -8000"
"""Kilobytes. Facts of 1,000 agents, and figures of a day, touch more pages than SQLite keeps by itself."""
PAGE_BYTES = 4096
"""A batch of hundreds of facts fills pages."""
CHECKPOINT = "PRAGMA wal_autocheckpoint = 4000"
"""Pages: 16 MB, as much as the WAL may keep. A batch writes hundreds, the same ones as the next."""
REMEDY = "move it away with its -wal: the recorder begins anew, with what streams and agents still have"


class FleetStore:
    """Keeps the facts of a fleet. Opened by `FleetStore.open`."""

    def __init__(self, store: Store) -> None:
        self.listeners: list[Callable[[list[Numbered]], None]] = []
        """Called on the event loop with the new events of each commit."""
        self._store = store
        self._names = Names()
        self._labels: labelling.All | None = None

    @classmethod
    @asynccontextmanager
    async def open(
        cls, path: Path, *, clock: Clock | None = None, synchronous: str = "full", program: str = ""
    ) -> "AsyncIterator[FleetStore]":
        """Open or create the file, migrate it, and close it at the block's end. Raises as Store.open does."""
        opening = Store.open(
            path, clock=clock, synchronous=synchronous, check_seconds=CHECK_SECONDS, migrations=MIGRATIONS,
            remedy=REMEDY, program=program, page_bytes=PAGE_BYTES,
        )  # fmt: skip
        async with opening as store:
            await store.maintain(lambda db: [db.execute(setting).fetchall() for setting in (CACHE, CHECKPOINT)])
            await store.read(lambda db: db.execute(CACHE).fetchall())
            yield cls(store)

    async def record(self, events: Sequence[FleetEvent]) -> Recorded:
        """Keep what is new, in one commit together with the figures, tracks and gaps; durable when it returns.

        A fact of the kind outbox.dropped closes the gap that it names. Raises StoreFull when nothing was kept.
        """
        now = self._store.clock.now()
        commit = self._store.submit(lambda tx: recording.record(tx, self._names, events, now), patient=False)
        commit.add_done_callback(self._tell)
        batch = await asyncio.shield(commit)
        return batch.recorded

    async def remember(self, labels: dict[str, dict[str, str]]) -> None:
        """Agent -> its labels, as they are now: for queries and figures by label. Cheap where nothing changed.

        Raises StoreFull when nothing was kept, as do `asked` and `give_up`.
        """
        if self._labels is None:
            self._labels = await self._store.read(labelling.select)
        changed = {agent: own for agent, own in labels.items() if self._labels.get(agent) != own}
        if changed:
            await self._store.submit(lambda tx: labelling.remember(tx, self._names, changed), patient=False)
            self._labels.update(changed)

    async def labels(self) -> dict[str, dict[str, str]]:
        """Of every agent that was ever heard of."""
        return await self._store.read(labelling.select)

    async def events(self, query: EventQuery) -> list[Numbered]:
        """Oldest first, at most `query.limit`."""
        return await self._store.read(lambda db: looking.events(db, query))

    async def count(self, query: EventQuery) -> int:
        """How many events match, whatever the limit."""
        return await self._store.read(lambda db: looking.count(db, query))

    async def stats(self, query: StatsQuery) -> list[Window]:
        """Oldest window first."""
        return await self._store.read(lambda db: stats.stats(db, query))

    async def tracks(self) -> list[Track]:
        """One for each agent and epoch."""
        return await self._store.read(tracks.select)

    async def gaps(self, *, due: int | None = None, limit: int = 100) -> list[Gap]:
        """Gaps, the oldest first; with `due`, open ones that are to be asked for by then."""
        return await self._store.read(lambda db: gaps.select(db, due, limit))

    async def asked(self, gap: Gap, *, due: int) -> None:
        """It was asked for in vain: try again then."""

        def unit(tx: Transaction) -> None:
            track = tracks.find(tx.db, gap.agent, gap.epoch)
            if track is not None:
                gaps.ask_again(tx, track, (gap.first, gap.last), due)

        await self._store.submit(unit, patient=False)

    async def give_up(self, gap: Gap, first: int, last: int, reason: str) -> None:
        """Facts `first` to `last` of a gap are gone for good; the rest of it stays open."""

        def unit(tx: Transaction) -> None:
            track = tracks.find(tx.db, gap.agent, gap.epoch)
            if track is not None:
                gaps.lose(tx, track, (max(first, gap.first), min(last, gap.last)), reason)

        await self._store.submit(unit, patient=False)

    async def newest(self) -> int:
        """Number of the newest event; 0 before the first."""
        return await self._store.read(recording.newest)

    async def tidy(self, retention: FleetRetention) -> bool:
        """One step of retention; True if there is more to do. Raises nothing when the disk is full."""
        now = self._store.clock.now()
        size = await self._store.read(used_bytes)
        try:
            more = await self._store.submit(lambda tx: remove(tx, retention, now, size), patient=False)
        except StoreFull:
            return False
        freed = await self._store.maintain(hand_back)
        return more or freed

    def _tell(self, commit: asyncio.Future[Batch]) -> None:
        if commit.cancelled() or commit.exception() is not None:
            return
        batch = commit.result()
        self._names.keep(batch.names)
        if batch.new:
            for listener in self.listeners:
                listener(batch.new)
