"""Retention: old things go in small steps, and their space is handed back to the disk. On by default."""

import math
import sqlite3

import msgspec

from engine.events import Event, Kind
from engine.store import inbox
from engine.store.connection import is_full
from engine.store.errors import StoreFull
from engine.store.store import Store
from engine.store.transaction import Transaction

STEP = 500
"""Executions or facts that go in one commit: other units wait no longer than that takes."""
VACUUM_PAGES = 2000
"""Free pages handed back in one step."""


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """How long things are kept. Seconds and bytes; None keeps for ever."""

    age: float | None = 30 * 86_400.0
    """Finished executions and dead letters."""
    count: int | None = 1_000_000
    """Finished executions."""
    bytes: int | None = 1_000_000_000
    """The database file; above it the oldest finished executions go."""
    dedupe: float = 86_400.0
    """How long a message is remembered."""
    outbox_keep: float = 600.0
    """Facts, after every stream has acknowledged them."""
    outbox_bytes: int = 500_000_000
    """Facts that nobody has acknowledged; above it the oldest are dropped, which is told by a fact."""
    outbox_age: float | None = 90 * 86_400.0
    """The same, by age."""


class Housekeeper:
    """Keeps the store within its bounds. `tidy` is called now and then, and once more while it has work."""

    def __init__(self, store: Store, retention: Retention) -> None:
        self._store = store
        self._keep = retention

    async def tidy(self) -> bool:
        """One step of everything. True if there is more to do. Raises nothing when the disk is full."""
        now = self._store.clock.now()
        size = await self._store.read(_used_bytes)
        try:
            removed = await self._store.submit(lambda tx: _remove(tx, self._keep, now, size), patient=False)
        except StoreFull:
            return False
        freed = await self._store.maintain(_hand_back)
        return removed or freed


def _remove(tx: Transaction, keep: Retention, now: int, size: int) -> bool:
    oldest = _before(now, keep.age)
    steps = [_remove_executions(tx, keep, oldest, size)]
    if oldest is not None:
        tx.execute("DELETE FROM deadletters WHERE received_at < ?", (oldest,))
    steps.append(inbox.forget(tx, before=now - round(keep.dedupe * 1_000_000)) >= 5000)
    steps.append(_remove_sent_facts(tx, now - round(keep.outbox_keep * 1_000_000)))
    steps.append(_drop_facts(tx, keep, _before(now, keep.outbox_age), now))
    return any(steps)


def _before(now: int, seconds: float | None) -> int | None:
    return None if seconds is None else now - round(seconds * 1_000_000)


def _remove_executions(tx: Transaction, keep: Retention, before: int | None, size: int) -> bool:
    """Finished executions that are too old, too many, or too large together."""
    doomed: set[str] = set()
    oldest = "SELECT id FROM executions WHERE finished_at IS NOT NULL"
    if before is not None:
        doomed.update(id for (id,) in tx.execute(f"{oldest} AND finished_at < ? LIMIT ?", (before, STEP)))
    surplus = 0
    (count,) = tx.execute("SELECT COUNT(*) FROM executions WHERE finished_at IS NOT NULL").fetchone()
    if keep.count is not None:
        surplus = max(0, count - keep.count)
    if keep.bytes is not None and size > keep.bytes:
        # As many as are too much if all are alike; what is missing then goes in the next step.
        surplus = max(surplus, math.ceil(count * (size - keep.bytes) / size))
    if surplus:
        rows = tx.execute(f"{oldest} ORDER BY finished_at LIMIT ?", (min(surplus, STEP),))
        doomed.update(id for (id,) in rows)
    keys = [(id,) for id in doomed]
    tx.db.executemany("DELETE FROM nodes WHERE execution = ?", keys)
    tx.db.executemany("DELETE FROM executions WHERE id = ?", keys)
    return len(doomed) >= STEP or (keep.bytes is not None and size > keep.bytes and bool(doomed))


def _remove_sent_facts(tx: Transaction, before: int) -> bool:
    """Facts that every relay has sent, some time ago. Without a relay nothing counts as sent."""
    row = tx.execute("SELECT MIN(seq) FROM cursors").fetchone()
    if row[0] is None:
        return False
    gone = tx.execute(
        "DELETE FROM facts WHERE seq IN (SELECT seq FROM facts WHERE seq <= ? AND time < ? ORDER BY seq LIMIT ?)",
        (row[0], before, STEP * 4),
    ).rowcount
    return gone >= STEP * 4


def _drop_facts(tx: Transaction, keep: Retention, before: int | None, now: int) -> bool:
    """Facts that can't be kept any longer, whether sent or not; a fact tells which, so that readers see no gap."""
    (size, first) = tx.execute("SELECT SUM(LENGTH(data) + 100), MIN(seq) FROM facts").fetchone()
    if first is None:
        return False
    last = None
    if size > keep.outbox_bytes:
        last = first + STEP * 4 - 1
    if before is not None:
        (old,) = tx.execute("SELECT MAX(seq) FROM facts WHERE time < ?", (before,)).fetchone()
        if old is not None:
            last = max(last or 0, min(old, first + STEP * 4 - 1))
    if last is None:
        return False
    (last,) = tx.execute("SELECT MAX(seq) FROM facts WHERE seq <= ?", (last,)).fetchone()
    (sent,) = tx.execute("SELECT COALESCE(MIN(seq), 0) FROM cursors").fetchone()
    tx.execute("DELETE FROM facts WHERE seq <= ?", (last,))
    if last > sent:
        epoch = tx.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()[0]
        data = {"epoch": epoch, "from": max(first, sent + 1), "to": last}
        tx.fact(Event(kind=Kind.OUTBOX_DROPPED, time=now, data=data))
    return True


def _used_bytes(db: sqlite3.Connection) -> int:
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    (free,) = db.execute("PRAGMA freelist_count").fetchone()
    (size,) = db.execute("PRAGMA page_size").fetchone()
    return int((pages - free) * size)


def _hand_back(db: sqlite3.Connection) -> bool:
    """Return free pages to the disk and empty the WAL; true if free pages are left."""
    (free,) = db.execute("PRAGMA freelist_count").fetchone()
    try:
        if free:
            # A script is stepped to its end; a statement without columns only once, which is one page.
            db.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")
        db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    except sqlite3.OperationalError as error:
        if not is_full(error):
            raise
        return False
    return bool(free > VACUUM_PAGES)
