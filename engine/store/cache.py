"""Results of nodes that are used again: per workflow, for a time, the least recently used ones go first.

It is a help and no record: an entry that is damaged, too large or gone is a node that runs.
"""

import sqlite3
import zlib
from typing import Final

import msgspec

from engine.store.transaction import Transaction

MAX_BYTES: Final = 64 * 1024
"""A larger output is not kept."""
MAX_ENTRIES: Final = 1000
"""Of one workflow."""
STEP: Final = 1000
"""Entries that expire in one commit."""


class Hit(msgspec.Struct, frozen=True):
    """A result as it was committed."""

    output: bytes
    port: str | None


class Keeping(msgspec.Struct, frozen=True, kw_only=True):
    """What a node's checkpoint does to the cache."""

    workflow: str
    key: bytes
    at: int
    hit: Hit | None
    """What to keep; None where an entry was used."""
    expires_at: int = 0


def find(db: sqlite3.Connection, workflow: str, key: bytes, now: int) -> Hit | None:
    """What is kept under a key, unless its time is over."""
    row = db.execute(
        "SELECT output, port, crc FROM cache WHERE workflow = ? AND key = ? AND expires_at > ?", (workflow, key, now)
    ).fetchone()
    if row is None or not isinstance(row[0], bytes) or row[2] != _crc(key, row[0], row[1]):
        return None
    return Hit(row[0], row[1])


def keep(tx: Transaction, keeping: Keeping) -> None:
    """Remember a result, or that one was used."""
    workflow, key, at, hit = keeping.workflow, keeping.key, keeping.at, keeping.hit
    if hit is None:
        tx.execute("UPDATE cache SET used_at = ? WHERE workflow = ? AND key = ?", (at, workflow, key))
        return
    tx.execute(
        "INSERT OR REPLACE INTO cache (workflow, key, expires_at, used_at, port, crc, output) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (workflow, key, keeping.expires_at, at, hit.port, _crc(key, hit.output, hit.port), hit.output),
    )
    (count,) = tx.execute("SELECT COUNT(*) FROM cache WHERE workflow = ?", (workflow,)).fetchone()
    if count > MAX_ENTRIES:
        tx.execute(
            "DELETE FROM cache WHERE id IN (SELECT id FROM cache WHERE workflow = ? ORDER BY used_at, id LIMIT ?)",
            (workflow, count - MAX_ENTRIES),
        )


def expire(tx: Transaction, now: int) -> bool:
    """Drop a step of the entries whose time is over; true if there are more."""
    gone = tx.execute(
        "DELETE FROM cache WHERE id IN (SELECT id FROM cache WHERE expires_at <= ? LIMIT ?)", (now, STEP)
    ).rowcount
    return gone >= STEP


def _crc(key: bytes, output: bytes, port: str | None) -> int:
    return zlib.crc32(output, zlib.crc32(repr(port).encode(), zlib.crc32(key)))
