"""The one owner of the database: everything pending goes into one `BEGIN IMMEDIATE … COMMIT`.

Units run in the order in which they were submitted, so a committed unit implies that everything submitted before it is
committed or was refused. A unit that fails rolls back alone and its caller gets the error; a commit that fails rejects
all. A full disk parks the engine's units until there is room; an I/O error stops the process, because after a failed
fsync nobody knows what is on the disk.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable
from typing import Any

from engine.crash import crash_point
from engine.events import Event
from engine.signal import Signal
from engine.store.connection import Connection
from engine.store.errors import StoreBroken, StoreFull
from engine.store.transaction import T, Transaction, Unit

MAX_UNITS = 1024
"""Units in one commit; more wait for the next, so that latency stays bounded."""
ROOM_CHECK_SECONDS = 1.0
"""How often a full disk is tried again."""


class _Pending:
    __slots__ = ("error", "future", "patient", "result", "unit")

    def __init__(self, unit: Unit[Any], future: asyncio.Future[Any], *, patient: bool) -> None:
        self.unit = unit
        self.future = future
        self.patient = patient
        self.result: Any = None
        self.error: Exception | None = None


class Writer:
    """Commits units in groups; `run` is its service."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.told: Callable[[list[Event]], None] = lambda _: None
        """Called on the event loop with the facts of each commit, after the units' callers have their results."""
        self._pending: list[_Pending] = []
        self._signal = Signal()
        self._closing = False
        self.full = False
        """The disk is full; units that can't wait are refused, the others are parked."""
        self.commits = 0

    def submit(self, unit: Unit[T], *, patient: bool = True) -> asyncio.Future[T]:
        """Add a unit to the next commit. The future has its result once that is durable.

        `patient` units wait out a full disk; others get StoreFull (intake and requests from outside, which must not
        be accepted without a commit).
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if self._closing:
            future.set_exception(StoreBroken("the store is closing"))
        elif self.full and not patient:
            future.set_exception(StoreFull())
        else:
            self._pending.append(_Pending(unit, future, patient=patient))
            self._signal.set()
        return future

    async def run(self) -> None:
        """Commit until `close`. Raises StoreBroken when the disk can't be trusted any more."""
        while True:
            if not self._pending:
                if self._closing:
                    return
                await self._signal.wait()
                continue
            batch, self._pending = self._pending[:MAX_UNITS], self._pending[MAX_UNITS:]
            await self._commit(batch)

    async def outside(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run something between two commits, outside a transaction (checkpoints, vacuum)."""
        return await self._connection.run(work)

    def close(self) -> None:
        """Let `run` end after what is pending now."""
        self._closing = True
        self._signal.set()

    async def _commit(self, batch: list[_Pending]) -> None:
        try:
            facts = await self._connection.run(lambda db: _commit(db, batch))
        except sqlite3.Error as error:
            if not _is_full(error):
                broken = StoreBroken(f"the database can't be written: {error}; check the disk, then start again")
                _reject([*batch, *self._pending], broken)
                self._pending = []
                raise broken from error
            await self._wait_for_room(batch)
            return
        self.full = False
        self.commits += 1
        for pending in batch:
            if pending.future.cancelled():
                continue
            if pending.error is not None:
                pending.future.set_exception(pending.error)
            else:
                pending.future.set_result(pending.result)
        if facts:
            self.told(facts)

    async def _wait_for_room(self, batch: list[_Pending]) -> None:
        self.full = True
        parked = [*batch, *self._pending]
        self._pending = [pending for pending in parked if pending.patient]
        _reject([pending for pending in parked if not pending.patient], StoreFull())
        if self._closing:
            _reject(self._pending, StoreFull())
            self._pending = []
        elif self._pending:
            await asyncio.sleep(ROOM_CHECK_SECONDS)


def _reject(batch: Iterable[_Pending], error: Exception) -> None:
    for pending in batch:
        if not pending.future.done():
            pending.future.set_exception(error)


def _is_full(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL


def _commit(db: sqlite3.Connection, batch: list[_Pending]) -> list[Event]:
    """One transaction, on the writer's thread. Raises sqlite3.Error after rolling back what concerns all units."""
    transaction = Transaction(db)
    execute = db.execute
    try:
        execute("BEGIN IMMEDIATE")
        for pending in batch:
            mark = len(transaction.facts)
            execute("SAVEPOINT unit")
            try:
                pending.result = pending.unit(transaction)
                pending.error = None
            except Exception as error:
                if isinstance(error, sqlite3.Error) and not isinstance(error, sqlite3.IntegrityError):
                    raise
                execute("ROLLBACK TO unit")
                del transaction.facts[mark:]
                pending.error = error
            execute("RELEASE unit")
        crash_point("before-commit")
        execute("COMMIT")
        crash_point("after-commit")
    except BaseException:
        if db.in_transaction:
            execute("ROLLBACK")
        raise
    return transaction.facts
