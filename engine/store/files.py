"""Which files were taken in. A row stays as long as its file lies there, and a while longer: a directory that is not
mounted for a day must not make its files new."""

import sqlite3
from collections.abc import Collection

import msgspec

from engine.store.transaction import Transaction


class FileRow(msgspec.Struct, kw_only=True):
    """One file that a workflow has taken."""

    workflow: str
    path: str
    identity: str
    """Inode, time of the last change and size: another content is another file."""
    execution: str = ""
    """What it started; empty for a dead letter, and before that begins."""
    after: str = ""
    """What is still to be done with the file: delete, move, or take (it is being moved, and starts its execution
    then)."""
    target: str = ""
    """Where it is moved."""
    taken_at: int
    gone_at: int | None = None
    """Since when it is not there any more."""


_COLUMNS = ", ".join(FileRow.__struct_fields__)


def listing(db: sqlite3.Connection) -> list[FileRow]:
    """All rows."""
    return [
        FileRow(**dict(zip(FileRow.__struct_fields__, row, strict=True)))
        for row in db.execute(f"SELECT {_COLUMNS} FROM files ORDER BY taken_at")
    ]


def take(tx: Transaction, row: FileRow) -> bool:
    """Note a file as taken, in the commit of what it starts. False, and nothing done, if it was taken already."""
    done = tx.execute(
        f"INSERT INTO files ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (workflow, path) DO UPDATE SET "
        "identity = excluded.identity, execution = excluded.execution, after = excluded.after, "
        "target = excluded.target, taken_at = excluded.taken_at, gone_at = NULL "
        "WHERE files.identity != excluded.identity",
        msgspec.structs.astuple(row),
    ).rowcount
    return bool(done)


def has(tx: Transaction, row: FileRow) -> bool:
    """Whether the row is still there, for the same file and with the same thing to do."""
    found = tx.execute(
        "SELECT 1 FROM files WHERE workflow = ? AND path = ? AND identity = ? AND after = ?",
        (row.workflow, row.path, row.identity, row.after),
    ).fetchone()
    return found is not None


def forget(tx: Transaction, workflow: str, path: str) -> bool:
    """Drop a row: a file that comes to this path is a new one."""
    return bool(tx.execute("DELETE FROM files WHERE workflow = ? AND path = ?", (workflow, path)).rowcount)


def mark(tx: Transaction, keys: Collection[tuple[str, str]], *, gone_at: int | None) -> None:
    """Files that are gone, or (None) there again: (workflow, path)."""
    tx.db.executemany("UPDATE files SET gone_at = ? WHERE workflow = ? AND path = ?", [(gone_at, *key) for key in keys])


def expire(tx: Transaction, *, before: int, limit: int = 5000) -> bool:
    """Drop rows whose files have been gone since before that time; true if there are more."""
    gone = tx.execute(
        "DELETE FROM files WHERE (workflow, path) IN "
        "(SELECT workflow, path FROM files WHERE gone_at < ? AND after = '' LIMIT ?)",
        (before, limit),
    ).rowcount
    return gone >= limit
