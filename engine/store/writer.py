"""The one owner of the database: everything pending goes into one `BEGIN IMMEDIATE … COMMIT`.

Units run in the order in which they were submitted, so a committed unit implies that everything submitted before it is
committed or was refused. A unit that fails rolls back alone and its caller gets the error; a commit that fails rejects
all. A full disk parks the engine's units until there is room; an I/O error stops the process, because after a failed
fsync nobody knows what is on the disk.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from engine.crash import crash_point
from engine.events import Event
from engine.signal import Signal
from engine.store.connection import RESTORE, Connection, is_damaged, is_full, meets_a_quota
from engine.store.errors import StoreBroken, StoreFull
from engine.store.transaction import Answer, T, Transaction, Unit

if TYPE_CHECKING:
    from engine.store.executions import ExecutionRow

MAX_UNITS = 1024
"""Units in one commit; more wait for the next, so that latency stays bounded."""
ROOM_CHECK_SECONDS = 1.0
"""How often a full disk is tried again."""
LAZY_SECONDS = 0.002
"""How long a lazy unit waits for another one to go with."""

_OWN_FAULT = frozenset(
    {
        sqlite3.SQLITE_ERROR, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_MISUSE, sqlite3.SQLITE_RANGE,
    }
)  # fmt: skip
"""Errors that only say something about the statement: they concern the unit alone."""


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

    def __init__(self, connection: Connection, remedy: str = RESTORE) -> None:
        self._connection = connection
        self._remedy = remedy
        self.told: Callable[[list[Event]], None] = lambda _: None
        """Called on the event loop with the facts of each commit, after the units' callers have their results."""
        self.answered: Callable[[list[Answer]], None] = lambda _: None
        """The same for answers to waiting nodes."""
        self.born: Callable[[list[ExecutionRow]], None] = lambda _: None
        """The same for rows of executions that nodes start."""
        self.orphaned: Callable[[list[str]], None] = lambda _: None
        """The same for executions that nobody waits for any more."""
        self._pending: list[_Pending] = []
        self._signal = Signal()
        self._closing = asyncio.Event()
        self.full = False
        """The disk is full; units that can't wait are refused, the others are parked."""
        self.commits = 0
        self.publications = 0
        """Grows with each commit that adds messages to the outbox: a reason to look there."""

    def submit(self, unit: Unit[T], *, patient: bool = True, lazy: bool = False) -> asyncio.Future[T]:
        """Add a unit to the next commit. The future has its result once that is durable.

        `patient` units wait out a full disk; others get StoreFull (intake and requests from outside, which must not
        be accepted without a commit). A `lazy` one begins no commit for a moment: it is about to be followed.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if self._closing.is_set():
            future.set_exception(StoreBroken("the store is closed, or broken: nothing can be written any more"))
        elif self.full and not patient:
            future.set_exception(StoreFull())
        else:
            self._pending.append(_Pending(unit, future, patient=patient))
            if lazy:
                loop.call_later(LAZY_SECONDS, self._signal.set)
            else:
                self._signal.set()
        return future

    async def run(self) -> None:
        """Commit until `close`. Raises StoreBroken when the disk can't be trusted any more."""
        while self._pending or not self._closing.is_set():
            if self._pending:
                batch, self._pending = self._pending[:MAX_UNITS], self._pending[MAX_UNITS:]
                await self._commit(batch)
            elif self.full:
                self.submit(_probe)  # nobody else may be left who would find out that there is room again
            else:
                await self._signal.wait()

    async def outside(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run something between two commits, outside a transaction (checkpoints, vacuum)."""
        return await self._connection.run(work)

    def close(self) -> None:
        """Let `run` end after what is pending now."""
        self._closing.set()
        self._signal.set()

    def abandon(self) -> None:
        """After `run`, however it ended: whoever still waits is told that it was in vain."""
        self._closing.set()
        _reject(self._pending, StoreBroken("the store was closed before this was written"))
        self._pending = []

    async def _commit(self, batch: list[_Pending]) -> None:
        try:
            committed = await self._connection.run(lambda db: _commit(db, batch))
        except StoreFull:
            await self._wait_for_room(batch)
            return
        except sqlite3.Error as error:
            if _code(error) == sqlite3.SQLITE_BUSY and not self._closing.is_set():
                self._pending = [*batch, *self._pending]  # somebody looks into the file with a tool of their own
                return
            remedy = self._remedy if is_damaged(error) else "check the disk"
            broken = StoreBroken(f"the database can't be written: {error}; {remedy}, then start again")
            self._closing.set()
            _reject([*batch, *self._pending], broken)
            raise broken from error
        except asyncio.CancelledError:
            _reject(batch, StoreBroken("the store was closed before it was known whether this is written"))
            raise
        self.full = False
        self.commits += 1
        for pending in batch:
            if pending.future.cancelled():
                continue
            if pending.error is not None:
                pending.future.set_exception(pending.error)
            else:
                pending.future.set_result(pending.result)
        self.publications += committed.publications
        if committed.facts:
            self.told(committed.facts)
        if committed.answers:
            self.answered(committed.answers)
        if committed.children:
            self.born(committed.children)
        if committed.orphans:
            self.orphaned(committed.orphans)

    async def _wait_for_room(self, batch: list[_Pending]) -> None:
        self.full = True
        parked = [*batch, *self._pending]
        self._pending = [pending for pending in parked if pending.patient]
        _reject([pending for pending in parked if not pending.patient], StoreFull())
        if self._closing.is_set():
            _reject(self._pending, StoreFull())
            self._pending = []
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(ROOM_CHECK_SECONDS):
                await self._closing.wait()


def _reject(batch: Iterable[_Pending], error: Exception) -> None:
    for pending in batch:
        if not pending.future.done():
            pending.future.set_exception(error)
            pending.future.exception()  # seen: not each one has somebody waiting, and the writer tells it loudly


def _code(error: sqlite3.Error) -> int:
    """SQLite's own number. Misuse is what the module found itself."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_MISUSE)
    return code & 0xFF


def _probe(tx: Transaction) -> None:
    """The smallest unit that needs room."""
    tx.execute("INSERT INTO meta VALUES ('probe', '') ON CONFLICT (key) DO UPDATE SET value = ''")


def _commit(db: sqlite3.Connection, batch: list[_Pending]) -> Transaction:
    """One transaction, on the writer's thread; a second one if a unit failed. Raises StoreFull or sqlite3.Error after
    rolling back what concerns all units."""
    try:
        try:
            return _transact(db, batch, _run_together)
        except _Spoiled:
            return _transact(db, batch, _run_apart)
    except sqlite3.Error as error:
        if is_full(error) or meets_a_quota(error, db):
            raise StoreFull from error
        raise


_Run = Callable[[Transaction, list[_Pending]], None]


class _Spoiled(Exception):
    """A unit failed, and has left in the transaction what it did before."""


def _transact(db: sqlite3.Connection, batch: list[_Pending], run: _Run) -> Transaction:
    transaction = Transaction(db)
    try:
        db.execute("BEGIN IMMEDIATE")
        run(transaction, batch)
        crash_point("before-commit")
        db.execute("COMMIT")
        crash_point("after-commit")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return transaction


def _run_together(tx: Transaction, batch: list[_Pending]) -> None:
    """Without savepoints: each would copy every page that its unit changes. A unit hardly ever fails."""
    try:
        for pending in batch:
            pending.result, pending.error = pending.unit(tx), None
        tx.write_facts()
    except Exception as error:
        if _concerns_all(error, tx.db):
            raise
        raise _Spoiled from error


def _run_apart(tx: Transaction, batch: list[_Pending]) -> None:
    """Each unit in a savepoint of its own: one that fails rolls back alone."""
    for pending in batch:
        mark, answers = len(tx.facts), len(tx.answers)
        children, orphans = len(tx.children), len(tx.orphans)
        tx.execute("SAVEPOINT unit")
        try:
            pending.result, pending.error = pending.unit(tx), None
            tx.write_facts(mark)
        except Exception as error:
            if _concerns_all(error, tx.db):
                raise
            tx.execute("ROLLBACK TO unit")
            del tx.facts[mark:], tx.answers[answers:], tx.children[children:], tx.orphans[orphans:]
            pending.error = error
        tx.execute("RELEASE unit")


def _concerns_all(error: Exception, db: sqlite3.Connection) -> bool:
    return isinstance(error, sqlite3.Error) and (_code(error) not in _OWN_FAULT or not db.in_transaction)
