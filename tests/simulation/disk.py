"""The machine's disk: real SQLite on the loop instead of on threads, with faults that a test orders.

What a commit said is on the disk when a process dies; what was open is not. Functions run whole, one after the other,
and to their end, as on a thread: see test_connection_contract.
"""

import asyncio
import random
import sqlite3
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, TypeVar

from tests.simulation.death import Killed

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], Any]


def error(code: int, text: str) -> sqlite3.OperationalError:
    """As SQLite raises it."""
    made = sqlite3.OperationalError(text)
    made.sqlite_errorcode = code
    return made


class Disk:
    """What all processes of one simulation write to, one after the other. Hand `connect` to `Store.open`."""

    def __init__(self, dice: random.Random, *, slowness: float = 0.0) -> None:
        self.dice = dice
        self.slowness = slowness
        """How long one function may take, in virtual seconds."""
        self.full = False
        self.busy = 0
        """How often somebody else holds the lock when a transaction begins."""
        self.broken_at: int | None = None
        """Which commit of this process, counted from 1, meets an I/O error …"""
        self.broken_late = False
        """… that comes after everything reached the disk."""
        self.commits = 0
        """Of the process that lives now."""
        self.hits: Counter[str] = Counter()
        """Faults that somebody met."""
        self.lose: Callable[[], bool] = lambda: False
        """A planted bug: this commit only says that it was one."""
        self.opened: Callable[[sqlite3.Connection], None] = lambda _: None
        """Told of each connection that can write."""
        self._open: list[InlineConnection] = []

    async def connect(self, uri: str) -> "InlineConnection":
        db = sqlite3.connect(uri, uri=True, isolation_level=None, cached_statements=256, factory=_Database)
        db.disk = self
        if "mode=ro" not in uri:
            self.opened(db)
        connection = InlineConnection(db, self)
        self._open.append(connection)
        return connection

    def die(self) -> None:
        """The process that had it open is gone: nothing reaches the files any more."""
        for connection in self._open:
            connection.die()
        self._open.clear()
        self.commits = 0
        self.broken_at, self.busy = None, 0

    def commit(self, db: "_Database") -> None:
        self.commits += 1
        if self.full:
            self.hits["full"] += 1
            raise error(sqlite3.SQLITE_FULL, "database or disk is full")
        broken = self.commits == self.broken_at
        if broken and not self.broken_late:
            self.hits["io error"] += 1
            raise error(sqlite3.SQLITE_IOERR_FSYNC, "disk I/O error")
        if self.lose():
            sqlite3.Connection.execute(db, "ROLLBACK")
            self.hits["lost commit"] += 1
            return
        sqlite3.Connection.execute(db, "COMMIT")
        if broken:
            self.hits["io error after the commit"] += 1
            raise error(sqlite3.SQLITE_IOERR_FSYNC, "disk I/O error")

    def begin(self) -> None:
        if self.busy:
            self.busy -= 1
            self.hits["busy"] += 1
            raise error(sqlite3.SQLITE_BUSY, "database is locked")


class _Database(sqlite3.Connection):
    """Asks the disk at each end of a transaction."""

    disk: Disk

    def execute(self, sql: str, *more: Any) -> sqlite3.Cursor:
        if sql == "COMMIT":
            self.disk.commit(self)
            return super().execute("SELECT 1")
        if sql == "BEGIN IMMEDIATE":
            self.disk.begin()
        return super().execute(sql, *more)


class InlineConnection:
    """Runs functions on the loop, each after as long as the dice say."""

    def __init__(self, db: _Database, disk: Disk) -> None:
        self._db = db
        self._disk = disk
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[Work, asyncio.Future[Any]]] = deque()
        self._dead = False

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._dead:
            raise error(sqlite3.SQLITE_MISUSE, "this process is dead")
        future: asyncio.Future[T] = self._loop.create_future()
        self._waiting.append((work, future))
        if len(self._waiting) == 1:
            self._schedule()
        return await future

    async def close(self) -> None:
        if not self._dead:
            await self.run(lambda _: self.die())

    def die(self) -> None:
        self._dead = True
        self._db.close()  # rolls back what is open

    def _schedule(self) -> None:
        slowness = self._disk.slowness
        if slowness:
            self._loop.call_later(self._disk.dice.random() * slowness, self._step)
        else:
            self._loop.call_soon(self._step)

    def _step(self) -> None:
        work, future = self._waiting[0]
        result, failure = None, None
        try:
            if self._dead:
                raise error(sqlite3.SQLITE_MISUSE, "this process is dead")
            result = work(self._db)
        except Killed:
            raise
        except BaseException as problem:
            failure = problem
        self._waiting.popleft()
        if self._waiting:
            self._schedule()
        if future.done():
            return
        if failure is None:
            future.set_result(result)
        else:
            future.set_exception(failure)
