"""Retention: old things go in small steps, and their space is handed back to the disk. On by default.

A table that grows is named below: in WITH_EXECUTIONS, PURGES or EXPIRIES.
"""

import math
from collections.abc import Callable, Collection, Sequence

import msgspec

from engine.crash import crash_point
from engine.events import Event, Kind
from engine.store import cache, chains, files, inbox, kept, usage, values
from engine.store.errors import StoreFull
from engine.store.space import hand_back, used_bytes
from engine.store.store import Store
from engine.store.transaction import Transaction

STEP = 500
"""Executions or facts that go in one commit: other units wait no longer than that takes."""
NODES = 20_000
"""Node rows that go in one commit, unless a single execution has more."""
SAMPLE = 200
"""Facts that are looked at to tell how large all of them are."""


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
        size = await self._store.read(used_bytes)
        try:
            removed = await self._store.submit(lambda tx: _remove(tx, self._keep, now, size), patient=False)
        except StoreFull:
            return False
        freed = await self._store.maintain(hand_back)
        return removed or freed


def _remove(tx: Transaction, keep: Retention, now: int, size: int) -> bool:
    steps = [_remove_executions(tx, keep, _before(now, keep.age), size)]
    steps.extend([expire(tx, keep, now) for expire in EXPIRIES])
    steps.append(_remove_sent_facts(tx, now - round(keep.outbox_keep * 1_000_000)))
    steps.append(_drop_facts(tx, keep, _before(now, keep.outbox_age), now))
    return any(steps)


def _expire_cache(tx: Transaction, keep: Retention, now: int) -> bool:
    return cache.expire(tx, now)


def _expire_deadletters(tx: Transaction, keep: Retention, now: int) -> bool:
    oldest = _before(now, keep.age)
    if oldest is not None:
        tx.execute("DELETE FROM deadletters WHERE received_at < ?", (oldest,))
    return False


def _expire_files(tx: Transaction, keep: Retention, now: int) -> bool:
    oldest = _before(now, keep.age)
    return oldest is not None and files.expire(tx, before=oldest)


def _expire_history(tx: Transaction, keep: Retention, now: int) -> bool:
    usage.forget(tx, before=now // usage.HOUR - usage.KEEP)
    return False


def _expire_inbox(tx: Transaction, keep: Retention, now: int) -> bool:
    return inbox.forget(tx, before=now - round(keep.dedupe * 1_000_000)) >= 5000


def _expire_kept(tx: Transaction, keep: Retention, now: int) -> bool:
    return kept.forget(tx, now) >= 5000


WITH_EXECUTIONS: tuple[str, ...] = ("nodes", "waits", "state_operations")
"""Tables whose rows go with the execution that their column `execution` names."""
ELSEWHERE: tuple[str, ...] = ("facts", "files", "publications", "inbox", "starts", "turns", "value_uses")
"""Tables with such a column that have a rule of their own."""
PURGES: tuple[Callable[[Transaction, Sequence[str]], None], ...] = (values.purge,)
"""For what is kept of executions in another form: called with the ids of those that go."""
EXPIRIES: tuple[Callable[[Transaction, Retention, int], bool], ...] = (
    _expire_cache,
    _expire_deadletters,
    _expire_files,
    _expire_inbox,
    _expire_kept,
    _expire_history,
)
"""For what goes by itself in time: removes a step of it; true if there is more to do now."""


def _before(now: int, seconds: float | None) -> int | None:
    return None if seconds is None else now - round(seconds * 1_000_000)


def _remove_executions(tx: Transaction, keep: Retention, before: int | None, size: int) -> bool:
    """Finished executions that are too old, too many, or too large together."""
    doomed: dict[str, None] = {}
    oldest = "SELECT id FROM executions WHERE finished_at IS NOT NULL"
    if before is not None:
        rows = tx.execute(f"{oldest} AND finished_at < ? ORDER BY finished_at LIMIT ?", (before, STEP))
        doomed.update((id, None) for (id,) in rows)
    surplus = 0
    (count,) = tx.execute("SELECT COUNT(*) FROM executions WHERE finished_at IS NOT NULL").fetchone()
    if keep.count is not None:
        surplus = max(0, count - keep.count)
    if keep.bytes is not None and size > keep.bytes:
        # As many as are too much if all are alike; what is missing then goes in the next step.
        surplus = max(surplus, math.ceil(count * (size - keep.bytes) / size))
    if surplus:
        rows = tx.execute(f"{oldest} ORDER BY finished_at LIMIT ?", (min(surplus, STEP),))
        doomed.update((id, None) for (id,) in rows)
    chosen = _as_many_as_fit(tx, doomed)
    keys = [(id,) for id in chosen]
    for table in WITH_EXECUTIONS:
        tx.db.executemany(f"DELETE FROM {table} WHERE execution = ?", keys)
    for purge in PURGES:
        purge(tx, chosen)
    tx.db.executemany("DELETE FROM executions WHERE id = ?", keys)
    crash_point("retention-before-commit")
    too_large = keep.bytes is not None and size > keep.bytes
    return len(doomed) >= STEP or len(chosen) < len(doomed) or (too_large and bool(doomed))


def _as_many_as_fit(tx: Transaction, doomed: Collection[str]) -> list[str]:
    """Of these executions the first ones that have no more than NODES nodes together, but at least one."""
    chosen: list[str] = []
    rows = 0
    for id in doomed:
        rows += tx.execute("SELECT COUNT(*) FROM nodes WHERE execution = ?", (id,)).fetchone()[0]
        if chosen and rows > NODES:
            break
        chosen.append(id)
    return chosen


def _remove_sent_facts(tx: Transaction, before: int) -> bool:
    """Facts that every relay has sent, some time ago, and that no chained trigger still has to look at. Without a relay
    nothing counts as sent."""
    (sent,) = tx.execute("SELECT MIN(seq) FROM cursors").fetchone()
    if sent is None:
        return False
    needed = chains.needed_after(tx)
    last = sent if needed is None else min(sent, needed)
    gone = tx.execute(
        "DELETE FROM facts WHERE seq IN (SELECT seq FROM facts WHERE seq <= ? AND time < ? ORDER BY seq LIMIT ?)",
        (last, before, STEP * 4),
    ).rowcount
    return gone >= STEP * 4


def _drop_facts(tx: Transaction, keep: Retention, before: int | None, now: int) -> bool:
    """Facts that can't be kept any longer, whether sent or not; a fact tells which, so that readers see no gap."""
    (first, newest) = tx.execute("SELECT MIN(seq), MAX(seq) FROM facts").fetchone()
    if first is None:
        return False
    size = _size_of_facts(tx, first, newest)
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


def _size_of_facts(tx: Transaction, first: int, newest: int) -> int:
    """About how many bytes all facts take. They are numbered without a gap, so that a sample tells of all; to add them
    up would read the whole table."""
    count = newest - first + 1
    picked = sorted({first + count * i // SAMPLE for i in range(SAMPLE)})
    marks = ", ".join("?" * len(picked))
    (mean,) = tx.execute(f"SELECT AVG(LENGTH(data) + 100) FROM facts WHERE seq IN ({marks})", picked).fetchone()
    return round(count * (mean or 0))
