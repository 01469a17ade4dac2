"""The sign of life to the supervisor: sent as long as the event loop turns and the database takes commits.

The proof is a commit: one of those that executions make anyway, or an empty unit that goes the whole way through the
writer, its thread, the file's lock, BEGIN and COMMIT. SQLite writes nothing for it, neither to the WAL nor to the disk
(see test_a_pulse_writes_nothing), so that an idle device stays idle. A full disk is no reason to be killed: the writer
has parked, and says so at once; then it is enough that its thread answers.
"""

import asyncio
import logging
import sqlite3
import time

from agent.service.supervisor import Supervisor
from agent.status import Supervision
from engine.store import Store, StoreError, StoreFull
from engine.store.transaction import Transaction

_log = logging.getLogger("ganglion.agent")
FULL = "the disk is full: nothing is taken in until there is room"
SILENT = "the database takes no commits"


class Watchdog:
    """Feeds the supervisor's watchdog at half of its patience; without one it has nothing to do."""

    def __init__(self, supervisor: Supervisor, store: Store) -> None:
        self._supervisor = supervisor
        self._store = store
        self.well = "starting"
        """What is told while all is well."""
        self._fed: float | None = None

    @property
    def supervision(self) -> Supervision:
        """What is told of it by `status` and `doctor`."""
        fed = None if self._fed is None else time.monotonic() - self._fed
        return Supervision(watchdog=self._supervisor.watchdog_seconds or 0.0, fed=fed)

    def ready(self, well: str = "running") -> None:
        """Everything serves."""
        self.well = well
        self._supervisor.ready(well)

    async def run(self) -> None:
        """The service: runs until it is cancelled, or the store is closed or broken, which the store itself tells."""
        patience = self._supervisor.watchdog_seconds
        if patience is None:
            return
        seen = self._store.writer.commits
        while True:
            try:
                seen = await self._pulse(seen, patience / 4)
            except StoreError:
                return
            self._supervisor.alive()
            self._fed = time.monotonic()
            await asyncio.sleep(patience / 2)

    async def _pulse(self, seen: int, look: float) -> int:
        """Return once there was a commit since `seen`, or the writer has parked and its thread answers.

        As long as that may take: who is not fed knows what to do. Raises StoreError from a store that has ended.
        """
        writer = self._store.writer
        if writer.commits == seen:
            pulse = self._store.submit(_nothing, patient=False)
            try:
                # Behind a long queue other units show that it moves.
                while not (await asyncio.wait({pulse}, timeout=look))[0] and writer.commits == seen:
                    self._silent()
                if pulse.done():
                    pulse.result()
            except StoreFull:
                await self._store.maintain(_nothing_at_all)
                self._supervisor.status(FULL)
                return writer.commits
        self._supervisor.status(self.well)
        return writer.commits

    def _silent(self) -> None:
        _log.warning("%s; the watchdog is not fed", SILENT)
        self._supervisor.status(SILENT)


def _nothing(tx: Transaction) -> None:
    """A unit that changes nothing."""


def _nothing_at_all(db: sqlite3.Connection) -> None:
    """Not even a unit: while the disk is full."""
