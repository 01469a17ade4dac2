"""SQLite connections, each on a thread of its own, and the settings that make them safe."""

import errno
import os
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar

import aiosqlite

from engine.store.errors import StoreBroken, StoreCorrupt, StoreFull

T = TypeVar("T")

PAGE_BYTES = 1024
"""Of a new file; one that is there keeps its own. Each commit writes every page that it changed, some five, whole: with
SQLite's 4096 an execution of three nodes wrote 2.2 times as much to the disk."""
CHECKPOINT_BYTES = 4_096_000
"""So much in the WAL goes to the file at once; SQLite counts pages, and has 1000 of 4096 by itself."""
WRITER_SETTINGS = (
    "PRAGMA auto_vacuum = INCREMENTAL",  # must come before the first table
    "PRAGMA journal_mode = WAL",
    "PRAGMA busy_timeout = 10000",
    "PRAGMA journal_size_limit = 16777216",
    "PRAGMA mmap_size = 0",
    "PRAGMA foreign_keys = ON",
    "PRAGMA cell_size_check = ON",
    "PRAGMA trusted_schema = OFF",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA secure_delete = ON",  # of what was deleted nothing stays in the file; builds of SQLite differ in it
)
_NO_ROOM = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE})
"""For the file or its WAL; for the shared memory beside them, which also is a file."""
RESTORE = "put a backup in its place with `ganglion restore FILE`, which keeps the damaged file aside"
"""What to do about an agent's own file."""
PROBE_BYTES = 65_536
"""What is written to learn whether there is room: more than the last free block."""


def is_full(error: sqlite3.Error) -> bool:
    """Whether the disk has no room, as opposed to being broken."""
    return getattr(error, "sqlite_errorcode", 0) in _NO_ROOM


def is_damaged(error: sqlite3.Error) -> bool:
    """Whether the file does not hold what SQLite wrote."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def meets_a_quota(error: sqlite3.Error, db: sqlite3.Connection) -> bool:
    """Whether a write failed for want of room, although SQLite calls it an I/O error: it knows ENOSPC only, and a
    quota says EDQUOT. Another file in the same place tells."""
    if getattr(error, "sqlite_errorcode", 0) != sqlite3.SQLITE_IOERR_WRITE:
        return False
    probe = path_of(db).with_name(".room")
    try:
        probe.write_bytes(bytes(PROBE_BYTES))
    except OSError as refused:
        return refused.errno in (errno.EDQUOT, errno.ENOSPC)
    finally:
        probe.unlink(missing_ok=True)
    return False


def path_of(db: sqlite3.Connection) -> Path:
    """The file of a connection."""
    return Path(os.fsdecode(db.execute("PRAGMA database_list").fetchone()[2]))


@contextmanager
def explained(path: Path, consequence: str, remedy: str = RESTORE) -> Iterator[None]:
    """Say of SQLite's own errors what to do about them: StoreCorrupt, StoreFull, StoreBroken."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if is_damaged(error):
            raise damaged(path, str(error), consequence, remedy) from error
        if is_full(error):
            raise StoreFull from error
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_IOERR:
            raise StoreBroken(f"{path} can't be read or written ({error}): check the disk, then start again") from error
        raise


def damaged(path: Path, report: str, consequence: str, remedy: str = RESTORE) -> StoreCorrupt:
    """The error for a damaged file, with the remedy."""
    return StoreCorrupt(f"{path} is damaged ({report}): {consequence}. Stop the agent and {remedy}")


class Connection(Protocol):
    """A connection that runs a whole function, so that no await stands between its statements.

    Functions run one at a time, in the order in which they were handed over, and to their end: a cancelled caller can't
    leave a transaction open.
    """

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """The result of `work(connection)`, or what it raised."""
        ...

    async def close(self) -> None:
        """After what was handed over before."""
        ...


Connect: TypeAlias = Callable[[str], Awaitable[Connection]]
"""Opens the file of a URI; raises sqlite3.Error. A simulation brings one that runs everything on its own loop."""


class ThreadConnection(aiosqlite.Connection):
    """The connection of every real store: functions run on a thread of its own."""

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        result: T = await self._execute(work, self._conn)  # type: ignore[no-untyped-call]
        return result


async def connect_thread(uri: str) -> Connection:
    """Open with a thread."""

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(uri, uri=True, isolation_level=None, cached_statements=256)

    connection = ThreadConnection(connect, iter_chunk_size=256)
    try:
        await connection
    except BaseException:
        connection._thread.join()  # it was told to stop; left alone it would answer to a loop that may be closed
        raise
    return connection


async def open_writer(
    path: Path, synchronous: str, connect: Connect = connect_thread, *, page_bytes: int = PAGE_BYTES
) -> Connection:
    """The only connection that writes and checkpoints (two of them can corrupt a WAL before SQLite 3.51.3)."""
    connection = await connect(uri_of(path))

    def settle(db: sqlite3.Connection) -> None:
        db.execute(f"PRAGMA page_size = {page_bytes}")  # before the first table, too, and before the WAL
        for statement in WRITER_SETTINGS:
            db.execute(statement).fetchall()
        (size,) = db.execute("PRAGMA page_size").fetchone()
        db.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_BYTES // size}").fetchall()
        db.execute(f"PRAGMA synchronous = {synchronous}")
        mode = db.execute("PRAGMA journal_mode").fetchone()[0]
        if mode != "wal":
            raise sqlite3.OperationalError(
                f"{path}: this file system has no support for SQLite's WAL (it answered {mode}); "
                "put data_dir on a local disk"
            )

    try:
        await connection.run(settle)
    except BaseException:
        await connection.close()
        raise
    return connection


async def open_reader(path: Path, connect: Connect = connect_thread) -> Connection:
    """A connection that can neither write nor checkpoint. Reads through it end within a second."""
    connection = await connect(uri_of(path, mode="ro"))

    def settle(db: sqlite3.Connection) -> None:
        db.execute("PRAGMA query_only = ON")
        db.execute("PRAGMA busy_timeout = 10000")
        db.execute("PRAGMA mmap_size = 0")

    try:
        await connection.run(settle)
    except BaseException:
        await connection.close()
        raise
    return connection


def uri_of(path: Path, *, mode: str = "", immutable: bool = False) -> str:
    """The URI of a database file. An immutable one is read without a lock and without its WAL."""
    quoted = str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    options = [f"mode={mode}"] * bool(mode) + ["immutable=1"] * immutable
    return f"file:{quoted}?{'&'.join(options)}" if options else f"file:{quoted}"
