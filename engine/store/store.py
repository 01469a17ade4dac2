"""The store: one file, one writer, one reader, and who it belongs to."""

import asyncio
import secrets
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from engine.clock import Clock, SystemClock
from engine.events import Bus, Event
from engine.store import restoring
from engine.store.check import quick_check
from engine.store.connection import (
    PAGE_BYTES,
    RESTORE,
    Connect,
    connect_thread,
    damaged,
    explained,
    open_reader,
    open_writer,
)
from engine.store.reader import Reader
from engine.store.schema import Migrations, migrate
from engine.store.transaction import T, Unit
from engine.store.writer import Writer

CHECK_SECONDS = 10.0
"""How long a start may look at a file that was not closed properly: about 5 GB on a good disk."""
NOTHING_RUN = "nothing was run"


class Store:
    """SQLite behind two verbs: `submit` a unit to the next commit, `read` through a connection that can't write.

    Opened by `Store.open`, which also runs the writer and closes everything in order.
    """

    def __init__(self, path: Path, writer: Writer, reader: Reader, bus: Bus, clock: Clock) -> None:
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
        self.was_checked = True
        """If it did not: the whole file was looked at. A very large one takes longer than a start may."""

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
        check_seconds: float = CHECK_SECONDS,
        migrations: Migrations | None = None,
        remedy: str = RESTORE,
        program: str = "",
        page_bytes: int = PAGE_BYTES,
    ) -> "AsyncIterator[Store]":
        """Open or create the file, migrate it, and write until the block ends. `check_seconds` bounds the look at a
        file that was not closed properly. A restore that was interrupted is completed first. Another file than the
        agent's own has other `migrations`, of which the first one creates `meta`, and another `remedy` for damage. The
        file keeps the name of the `program` that wrote it last, and the size of its pages.

        Raises StoreNewer, StoreCorrupt (no database, or after an unclean stop `quick_check` found damage), StoreFull,
        sqlite3.OperationalError (no such directory, not writable), and from the block's end StoreBroken.
        """
        clock = clock or SystemClock()
        bus = bus or Bus()
        path.parent.mkdir(parents=True, exist_ok=True)
        restoring.complete(path)
        with explained(path, NOTHING_RUN, remedy):
            connection = await open_writer(path, synchronous, connect, page_bytes=page_bytes)
        try:
            with explained(path, NOTHING_RUN, remedy):
                report = await connection.run(lambda db: _check(db, path, check_seconds, remedy))
                epoch = await connection.run(lambda db: _prepare(db, clock.now(), migrations, program))
            answering = await open_reader(path, connect)
            try:
                writer, reader = Writer(connection, remedy), Reader(answering, path, remedy)
                store = cls(path, writer, reader, bus, clock)
                writer.told = store._tell
                store.epoch, store.was_clean, store.was_checked = epoch, report is None, report != ""
                try:
                    async with asyncio.TaskGroup() as tasks:
                        tasks.create_task(writer.run(), name="store writer")
                        tasks.create_task(reader.run(), name="store reader")
                        try:
                            yield store
                        finally:
                            writer.close()
                            reader.close()
                finally:
                    writer.abandon()
                with suppress(sqlite3.OperationalError):  # a full disk: the next start checks the file, that is all
                    await connection.run(_mark_clean)
            finally:
                await answering.close()
        finally:
            await connection.close()

    def submit(self, unit: Unit[T], *, patient: bool = True, lazy: bool = False) -> asyncio.Future[T]:
        """See Writer.submit."""
        return self.writer.submit(unit, patient=patient, lazy=lazy)

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """The result of a query on the reader's thread; sees every commit that was reported before. Raises what the
        query does; StoreCorrupt where it meets a damaged page."""
        return await self._reader.read(query)

    def _tell(self, facts: list[Event]) -> None:
        for listener in self.listeners:
            listener(facts)

    async def maintain(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Work outside a transaction on the writer's thread: checkpoints, vacuum."""
        return await self.writer.outside(work)


def _check(db: sqlite3.Connection, path: Path, seconds: float, remedy: str) -> str | None:
    """None after a proper stop; else `ok`, or nothing where the time was over. Raises StoreCorrupt."""
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
        return None
    clean = db.execute("SELECT value FROM meta WHERE key = 'clean'").fetchone()
    if clean is None or clean[0] == "yes":
        return None
    report = quick_check(db, seconds)
    if report not in ("ok", ""):
        raise damaged(path, report, NOTHING_RUN, remedy)
    return report


def _prepare(db: sqlite3.Connection, now: int, migrations: Migrations | None, program: str) -> str:
    """Migrate, and note that the file is in use, and by whom; returns the epoch."""
    migrate(db, now, migrations, program=program)
    db.execute("INSERT INTO meta VALUES ('epoch', ?) ON CONFLICT DO NOTHING", (secrets.token_hex(4),))
    notes = [("clean", "no"), *([("program", program)] if program else [])]
    values = ", ".join("(?, ?)" for _ in notes)
    db.execute(f"INSERT OR REPLACE INTO meta VALUES {values}", [text for note in notes for text in note])
    return str(db.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()[0])


def _mark_clean(db: sqlite3.Connection) -> None:
    db.execute("UPDATE meta SET value = 'yes' WHERE key = 'clean'")
