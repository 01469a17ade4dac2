"""The store: one file, one writer, one reader, and who it belongs to."""

import asyncio
import secrets
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from engine.clock import Clock, SystemClock
from engine.events import Bus, Event
from engine.store.connection import Connect, Connection, connect_thread, is_full, open_reader, open_writer
from engine.store.errors import StoreCorrupt, StoreFull
from engine.store.schema import migrate
from engine.store.transaction import T, Unit
from engine.store.writer import Writer


class Store:
    """SQLite behind two verbs: `submit` a unit to the next commit, `read` through a connection that can't write.

    Opened by `Store.open`, which also runs the writer and closes everything in order.
    """

    def __init__(self, path: Path, writer: Writer, reader: Connection, bus: Bus, clock: Clock) -> None:
        self.path = path
        self.bus = bus
        """Facts appear here after their commit."""
        self.clock = clock
        self.writer = writer
        self._reader = reader
        self.listeners: list[Callable[[list[Event]], None]] = [bus.emit]
        """Called on the event loop with the facts of each commit."""
        self.epoch = ""
        """Random; new for each store file. Fact numbers are unique within it."""
        self.was_clean = True
        """The last process closed the store properly."""

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        path: Path,
        *,
        bus: Bus | None = None,
        clock: Clock | None = None,
        synchronous: str = "full",
        connect: Connect = connect_thread,
    ) -> "AsyncIterator[Store]":
        """Open or create the file, migrate it, and write until the block ends.

        Raises StoreNewer, StoreCorrupt (no database, or after an unclean stop `quick_check` found damage), StoreFull,
        sqlite3.OperationalError (no such directory, not writable), and from the block's end StoreBroken.
        """
        clock = clock or SystemClock()
        bus = bus or Bus()
        path.parent.mkdir(parents=True, exist_ok=True)
        with _explained(path):
            connection = await open_writer(path, synchronous, connect)
        try:
            with _explained(path):
                epoch, clean = await connection.run(lambda db: _prepare(db, path, clock.now()))
            reader = await open_reader(path, connect)
            try:
                writer = Writer(connection)
                store = cls(path, writer, reader, bus, clock)
                writer.told = store._tell
                store.epoch, store.was_clean = epoch, clean
                try:
                    async with asyncio.TaskGroup() as tasks:
                        tasks.create_task(writer.run(), name="store writer")
                        try:
                            yield store
                        finally:
                            writer.close()
                finally:
                    writer.abandon()
                with suppress(sqlite3.OperationalError):  # a full disk: the next start checks the file, that is all
                    await connection.run(_mark_clean)
            finally:
                await reader.close()
        finally:
            await connection.close()

    def submit(self, unit: Unit[T], *, patient: bool = True, lazy: bool = False) -> asyncio.Future[T]:
        """See Writer.submit."""
        return self.writer.submit(unit, patient=patient, lazy=lazy)

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """The result of a query on the reader's thread; sees every commit that was reported before."""
        return await self._reader.run(query)

    def _tell(self, facts: list[Event]) -> None:
        for listener in self.listeners:
            listener(facts)

    async def maintain(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Work outside a transaction on the writer's thread: checkpoints, vacuum."""
        return await self.writer.outside(work)


def _prepare(db: sqlite3.Connection, path: Path, now: int) -> tuple[str, bool]:
    migrate(db, now)
    meta = dict(db.execute("SELECT key, value FROM meta").fetchall())
    clean = meta.get("clean", "yes") == "yes"
    if not clean:
        report = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if report != "ok":
            raise _damaged(path, report)
    elif "epoch" not in meta:
        db.execute("INSERT INTO meta VALUES ('epoch', ?), ('clean', 'no')", (secrets.token_hex(4),))
    else:
        db.execute("UPDATE meta SET value = 'no' WHERE key = 'clean'")
    return db.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()[0], clean


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Say of SQLite's own errors what to do about them."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise _damaged(path, str(error)) from error
        if is_full(error):
            raise StoreFull from error
        raise


def _damaged(path: Path, report: str) -> StoreCorrupt:
    return StoreCorrupt(f"{path} is damaged ({report}): move it away and restore a backup; nothing was run")


def _mark_clean(db: sqlite3.Connection) -> None:
    db.execute("UPDATE meta SET value = 'yes' WHERE key = 'clean'")
