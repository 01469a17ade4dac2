"""How long a recorder keeps what, and how its file stays within that, in small steps."""

import math
from itertools import product

import msgspec

from engine.crash import crash_point
from engine.fleet import schema
from engine.fleet.figures import NUMBER, SECONDS, WHOLE_HOUR
from engine.fleet.query import Grain
from engine.store.transaction import Transaction

STEP = 4096
"""Events, and rows of figures, that go in one commit."""
SEGMENTS = 64
"""Segments that are looked into for old events in one commit."""
MINUTES_SECONDS = 48 * 3600.0
"""Figures of minutes stay at least so long."""
HOURS_AGES = 10
"""Figures of hours, and what is known to be lost, stay as many times as long as events."""


class FleetRetention(msgspec.Struct, frozen=True, kw_only=True):
    """How long things are kept: whichever limit is reached first. None keeps for ever."""

    age: float | None = 30 * 86_400.0
    """Seconds since an event happened. Figures of a minute stay as long, but at least 48 hours; those of an hour ten
    times as long."""
    count: int | None = 5_000_000
    """Events; the oldest recorded go first."""
    bytes: int | None = 4 * 2**30
    """The file. Above it the figures of minutes older than 48 hours go, then the oldest recorded events."""


def remove(tx: Transaction, keep: FleetRetention, now: int, size: int) -> bool:
    """One step; true if there is more to do. `size`: bytes that the file takes."""
    more = False
    if keep.age is not None:
        more = _remove_old(tx, _before(now, keep.age))
        figures = _remove_figures(tx, Grain.MINUTE, _before(now, max(keep.age, MINUTES_SECONDS)))
        figures += _remove_figures(tx, Grain.HOUR, _before(now, keep.age * HOURS_AGES))
        more = more or figures >= STEP
        _forget_lost(tx, _before(now, keep.age * HOURS_AGES))
    too_large = keep.bytes is not None and size > keep.bytes
    if too_large and _remove_figures(tx, Grain.MINUTE, _before(now, MINUTES_SECONDS)):
        more = True  # perhaps that was enough
    else:
        more = _remove_surplus(tx, keep, size) or more
    crash_point("retention-before-commit")
    return more


def _before(now: int, seconds: float) -> int:
    return now - round(seconds * 1_000_000)


def _remove_old(tx: Transaction, before: int) -> bool:
    """Events that happened before, wherever they stand."""
    removed = 0
    old = tx.execute("SELECT segment FROM segments WHERE first_time < ? LIMIT ?", (before, SEGMENTS)).fetchall()
    for (segment,) in old:
        if removed >= STEP:
            return True
        removed += tx.execute(
            "DELETE FROM events WHERE segment = ? AND second <= ? AND time < ?",
            (segment, before // 1_000_000 + 1, before),
        ).rowcount
        _measure(tx, segment)
    return len(old) == SEGMENTS


def _remove_surplus(tx: Transaction, keep: FleetRetention, size: int) -> bool:
    """The oldest recorded events, where there are too many, or they are too large together."""
    (count,) = tx.execute("SELECT CAST(TOTAL(events) AS INTEGER) FROM segments").fetchone()
    surplus = 0 if keep.count is None else max(0, count - keep.count)
    if keep.bytes is not None and size > keep.bytes:
        # As many as are too much if all are alike; what is missing then goes in the next step.
        surplus = max(surplus, math.ceil(count * (size - keep.bytes) / size))
    going = min(surplus, count, STEP)
    if going <= 0:
        return False
    (first, last) = tx.execute(
        "SELECT MIN(number), MAX(number) FROM (SELECT number FROM events ORDER BY number LIMIT ?)", (going,)
    ).fetchone()
    tx.execute("DELETE FROM events WHERE number <= ?", (last,))
    for (segment,) in tx.execute(
        "SELECT segment FROM segments WHERE segment BETWEEN ? AND ?",
        (first >> schema.SEGMENT_BITS, last >> schema.SEGMENT_BITS),
    ).fetchall():
        _measure(tx, segment)
    return surplus > going or (keep.bytes is not None and size > keep.bytes)


def _measure(tx: Transaction, segment: int) -> None:
    """Look at what is left of a segment."""
    begin = segment << schema.SEGMENT_BITS
    count, first, last = tx.execute(
        "SELECT COUNT(*), MIN(time), MAX(time) FROM events WHERE number BETWEEN ? AND ?",
        (begin, begin + (1 << schema.SEGMENT_BITS) - 1),
    ).fetchone()
    if count:
        tx.execute(
            "UPDATE segments SET events = ?, first_time = ?, last_time = ? WHERE segment = ?",
            (count, first, last, segment),
        )
    else:
        tx.execute("DELETE FROM segments WHERE segment = ?", (segment,))


def _remove_figures(tx: Transaction, grain: Grain, before: int) -> int:
    """Windows that ended before, the oldest first. How many rows went; perhaps all of them if fewer than STEP."""
    until = before // (SECONDS[grain] * 1_000_000)
    removed = 0
    numbers = (NUMBER[grain], WHOLE_HOUR) if grain is Grain.HOUR else (NUMBER[grain],)
    for table, number in product(("windows", "durations"), numbers):
        step = tx.execute(
            f"SELECT start FROM {table} WHERE grain = ? AND start < ? ORDER BY start LIMIT 1 OFFSET ?",
            (number, until, STEP),
        ).fetchone()
        last = until if step is None else step[0] + 1
        removed += tx.execute(f"DELETE FROM {table} WHERE grain = ? AND start < ?", (number, last)).rowcount
    return removed


def _forget_lost(tx: Transaction, before: int) -> None:
    """Which facts were lost, long ago; how many there were stays."""
    tx.execute(
        "UPDATE tracks SET forgotten = forgotten + gone FROM (SELECT track, SUM(last - first + 1) AS gone FROM gaps "
        "WHERE lost != '' AND since < ? GROUP BY track) WHERE id = track",
        (before,),
    )
    tx.execute("DELETE FROM gaps WHERE lost != '' AND since < ?", (before,))
