"""The space that a file takes, and how it goes back to the disk."""

import sqlite3

from engine.store.connection import is_full

VACUUM_PAGES = 2000
"""Free pages handed back in one step."""
WAL_BYTES = 32 * 2**20
"""The WAL is begun anew above this."""
WAL_PATIENCE_MS = 50
"""How long that may wait for readers: nothing is written meanwhile."""


def used_bytes(db: sqlite3.Connection) -> int:
    """Bytes of the file that hold something."""
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    (free,) = db.execute("PRAGMA freelist_count").fetchone()
    return int(pages - free) * _page_bytes(db)


def hand_back(db: sqlite3.Connection) -> bool:
    """Return free pages to the disk and empty the WAL; true if free pages are left."""
    (free,) = db.execute("PRAGMA freelist_count").fetchone()
    try:
        if free:
            # A script is stepped to its end; a statement without columns only once, which is one page.
            db.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")
        (_, pages, _) = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if pages * _page_bytes(db) > WAL_BYTES:
            _restart_wal(db)
    except sqlite3.OperationalError as error:
        if not is_full(error):
            raise
        return False
    return bool(free > VACUUM_PAGES)


def _page_bytes(db: sqlite3.Connection) -> int:
    (size,) = db.execute("PRAGMA page_size").fetchone()
    return int(size)


def _restart_wal(db: sqlite3.Connection) -> None:
    """Begin the WAL anew. Readers that come one after the other, without a gap, would let it grow for ever; the next
    ones wait for a moment instead."""
    (patience,) = db.execute("PRAGMA busy_timeout").fetchone()
    db.execute(f"PRAGMA busy_timeout = {WAL_PATIENCE_MS}").fetchall()
    try:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        db.execute(f"PRAGMA busy_timeout = {patience}").fetchall()
