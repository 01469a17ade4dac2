"""Who waits for a start under a `flow`, in which order: a row from intake until the execution's end.

    quiet   its quiet time (debounce) runs, until `until`
    behind  an earlier execution of its workflow and key has not ended
    ready   it starts when there is room
    taken   it was started; it holds its key until it ends
    again   it waited or was interrupted, and is to go on when there is room

Executions of workflows without a flow have no row here, and cost nothing. A row's `num` is that of its execution: the
order of intake. Only the first of a key is ever made ready, so that one key, however long, is no work for the others.
"""

import sqlite3
from collections.abc import Iterable
from enum import StrEnum

import msgspec

from engine.store.transaction import Transaction

RELEASED_AT_ONCE = 500
"""Quiet times that end in one commit."""
_WAITING = "turn IN ('quiet', 'behind', 'ready')"


class Turn(StrEnum):
    """How far a row is. The text above says what each means."""

    QUIET = "quiet"
    BEHIND = "behind"
    READY = "ready"
    TAKEN = "taken"
    AGAIN = "again"


WAITING = frozenset({Turn.QUIET, Turn.BEHIND, Turn.READY})
"""Not started yet: what counts for the size of a queue."""


class Place(msgspec.Struct, kw_only=True):
    """Where a new execution stands. `enter` sets `turn`; times are microseconds since 1970."""

    key: str | None = None
    priority: int = 0
    until: int | None = None
    """When its quiet time is over."""
    since: int | None = None
    """When the first message of this burst came."""
    turn: Turn | None = None


class Waiting(msgspec.Struct, frozen=True):
    """An execution that may start when there is room."""

    num: int
    execution: str
    priority: int
    turn: Turn


class Standing(msgspec.Struct, frozen=True):
    """The row of one execution."""

    workflow: str
    key: str | None
    priority: int
    turn: Turn
    until: int | None


# --- in a unit -------------------------------------------------------------------------------------------------------


def enter(tx: Transaction, place: Place, *, num: int, execution: str, workflow: str, parent: str = "") -> None:
    """A new execution takes its place, in the commit that makes it. An ancestor that waits for it and has the same key
    holds it for both: it would wait for itself otherwise."""
    if parent and place.key is not None and _holds(tx, parent, workflow, place.key):
        place.key = None
    if place.until is not None:
        place.turn = Turn.QUIET
    elif place.key is not None and _first(tx, workflow, place.key) is not None:
        place.turn = Turn.BEHIND
    else:
        place.turn = Turn.READY
    tx.execute(
        "INSERT INTO turns (num, execution, workflow, key, priority, turn, until, since) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (num, execution, workflow, place.key, place.priority, place.turn.value, place.until, place.since),
    )


def leave(tx: Transaction, execution: str) -> None:
    """An execution has ended: the next one of its key may start. In the commit of that end."""
    found = tx.execute("SELECT workflow, key FROM turns WHERE execution = ?", (execution,)).fetchone()
    if found is not None:
        tx.execute("DELETE FROM turns WHERE execution = ?", (execution,))
        if found[1] is not None:
            _promote(tx, *found)


def take(tx: Transaction, execution: str) -> bool:
    """It starts now. False if it may not any more: it was dropped, superseded, cancelled or paused meanwhile."""
    taken = tx.execute(
        "UPDATE turns SET turn = 'taken' WHERE execution = ? AND turn IN ('ready', 'again') AND EXISTS "
        "(SELECT 1 FROM executions WHERE executions.num = turns.num AND status != 'paused' AND finished_at IS NULL)",
        (execution,),
    ).rowcount
    return taken > 0


def put_again(tx: Transaction, execution: str) -> str | None:
    """It had started, waited or was interrupted, and is to go on in its turn; the timers see it no more. Its workflow;
    None if it has no row, or has not started yet."""
    found = tx.execute(
        "SELECT num, workflow FROM turns WHERE execution = ? AND turn IN ('taken', 'again')", (execution,)
    ).fetchone()
    if found is None:
        return None
    tx.execute("UPDATE turns SET turn = 'again' WHERE num = ?", (found[0],))
    tx.execute("UPDATE executions SET due = NULL WHERE num = ? AND status = 'waiting'", (found[0],))
    return str(found[1])


def end_quiet(tx: Transaction, now: int, *, put_back: bool) -> tuple[set[str], bool]:
    """End quiet times that are over; after the clock was put back also those that began after `now`, since nobody knows
    when they would end. Their workflows; True if there may be more."""
    over = "until <= ?1 OR since > ?1" if put_back else "until <= ?1"
    found = tx.execute(
        f"SELECT num, workflow, key FROM turns WHERE turn = 'quiet' AND ({over}) LIMIT ?2", (now, RELEASED_AT_ONCE)
    ).fetchall()
    for num, workflow, key in found:
        first = num if key is None else _first(tx, workflow, key)
        turn = Turn.READY if first == num else Turn.BEHIND
        tx.execute("UPDATE turns SET turn = ?, until = NULL WHERE num = ?", (turn.value, num))
    return {workflow for _, workflow, _ in found}, len(found) == RELEASED_AT_ONCE


def quiet(tx: Transaction, workflow: str, key: str | None) -> tuple[str, int] | None:
    """The execution whose quiet time runs under this key, and when its burst began."""
    found = tx.execute(
        "SELECT execution, since FROM turns WHERE turn = 'quiet' AND workflow = ? AND key IS ?", (workflow, key)
    ).fetchone()
    return None if found is None else (str(found[0]), int(found[1]))


def waiting(tx: Transaction, workflow: str, limit: int) -> int:
    """How many wait for their start; counted up to `limit`."""
    (count,) = tx.execute(
        f"SELECT COUNT(*) FROM (SELECT 1 FROM turns WHERE workflow = ? AND {_WAITING} LIMIT ?)", (workflow, limit)
    ).fetchone()
    return int(count)


def oldest(tx: Transaction, workflow: str) -> str | None:
    """The execution that waits longest for its start. Not a child, whose parent waits for it, nor a paused one, which
    a person set aside."""
    found = tx.execute(
        f"SELECT turns.execution FROM turns CROSS JOIN executions USING (num) WHERE turns.workflow = ? AND {_WAITING} "
        "AND executions.status = 'queued' AND executions.parent = '' ORDER BY turns.num LIMIT 1",
        (workflow,),
    ).fetchone()
    return None if found is None else str(found[0])


def recover(tx: Transaction) -> dict[str, int]:
    """At boot: what was taken and had not begun is ready again. How many wait in each workflow that has rows."""
    tx.execute(
        "UPDATE turns SET turn = CASE WHEN (SELECT started_at FROM executions WHERE executions.num = turns.num) "
        "IS NULL THEN 'ready' ELSE 'again' END WHERE turn = 'taken' AND "
        "(SELECT status FROM executions WHERE executions.num = turns.num) = 'queued'"
    )
    counts = tx.execute(f"SELECT workflow, SUM({_WAITING}) FROM turns GROUP BY workflow")
    return {workflow: int(count) for workflow, count in counts}


# --- starts of workflows with a rate ---------------------------------------------------------------------------------


def record_start(tx: Transaction, workflow: str, execution: str, now: int, *, forget_before: int) -> None:
    """An execution starts: a restart must not forget it as long as it counts."""
    tx.execute("DELETE FROM starts WHERE workflow = ? AND at < ?", (workflow, forget_before))
    tx.execute("INSERT OR REPLACE INTO starts VALUES (?, ?, ?)", (workflow, now, execution))


def starts(tx: Transaction, workflow: str, now: int, limit: int) -> list[int]:
    """When the last executions started, the oldest first. A time that has not come yet, because the clock was put
    back, becomes now."""
    tx.execute("UPDATE starts SET at = ? WHERE workflow = ? AND at > ?", (now, workflow, now))
    rows = tx.execute("SELECT at FROM starts WHERE workflow = ? ORDER BY at DESC LIMIT ?", (workflow, limit))
    return sorted(at for (at,) in rows)


# --- looking ---------------------------------------------------------------------------------------------------------


def ready(db: sqlite3.Connection, workflow: str, limit: int) -> list[Waiting]:
    """Who may start or go on: up to `limit` of each, those of high priority first, and the oldest of every priority."""
    query = (
        "SELECT turns.num, turns.execution, turns.priority, turns.turn FROM turns CROSS JOIN executions USING (num) "
        "WHERE turns.workflow = ? AND turns.turn = ? AND executions.status != 'paused' "
        "AND executions.finished_at IS NULL {} ORDER BY turns.priority DESC, turns.num LIMIT ?"
    )
    rows = db.execute(query.format(""), (workflow, Turn.AGAIN.value, limit)).fetchall()
    fresh = db.execute(query.format(""), (workflow, Turn.READY.value, limit)).fetchall()
    if len(fresh) == limit:
        lowest = fresh[-1][2]
        while (
            below := db.execute(
                query.format("AND turns.priority < ?"), (workflow, Turn.READY.value, lowest, 1)
            ).fetchone()
        ) is not None:
            fresh.append(below)
            lowest = below[2]
    return [Waiting(num, execution, priority, Turn(turn)) for num, execution, priority, turn in (*rows, *fresh)]


def standing(db: sqlite3.Connection, execution: str) -> Standing | None:
    """The row of an execution; None if its workflow has no flow, or it has ended."""
    found = db.execute(
        "SELECT workflow, key, priority, turn, until FROM turns WHERE execution = ?", (execution,)
    ).fetchone()
    return None if found is None else Standing(found[0], found[1], found[2], Turn(found[3]), found[4])


def standings(db: sqlite3.Connection, ids: Iterable[str]) -> dict[str, Standing]:
    """The rows of those that have one."""
    found = ((id, standing(db, id)) for id in ids)
    return {id: one for id, one in found if one is not None}


def newest_version(db: sqlite3.Connection, workflow: str) -> int:
    """The version of the execution that came last; 0 without any."""
    found = db.execute(
        "SELECT executions.version FROM turns CROSS JOIN executions USING (num) WHERE turns.workflow = ? "
        "ORDER BY turns.num DESC LIMIT 1",
        (workflow,),
    ).fetchone()
    return 0 if found is None else int(found[0])


def next_quiet(db: sqlite3.Connection) -> int | None:
    """When the next quiet time is over."""
    (first,) = db.execute("SELECT MIN(until) FROM turns WHERE turn = 'quiet'").fetchone()
    return None if first is None else int(first)


def counts(db: sqlite3.Connection) -> dict[str, dict[Turn, int]]:
    """How many rows of each workflow are how far."""
    found: dict[str, dict[Turn, int]] = {}
    for workflow, turn, count in db.execute("SELECT workflow, turn, COUNT(*) FROM turns GROUP BY workflow, turn"):
        found.setdefault(workflow, {})[Turn(turn)] = count
    return found


# --- how -------------------------------------------------------------------------------------------------------------


def _first(tx: Transaction, workflow: str, key: str) -> int | None:
    """The number of the first unfinished execution of a key."""
    found = tx.execute(
        "SELECT num FROM turns WHERE workflow = ? AND key = ? ORDER BY num LIMIT 1", (workflow, key)
    ).fetchone()
    return None if found is None else int(found[0])


def _holds(tx: Transaction, execution: str, workflow: str, key: str) -> bool:
    """Whether an execution, or one that waits for it, has this key."""
    while execution:
        found = tx.execute(
            "SELECT executions.parent, turns.workflow, turns.key FROM executions LEFT JOIN turns USING (num) "
            "WHERE executions.id = ?",
            (execution,),
        ).fetchone()
        if found is None:
            return False
        if found[1:] == (workflow, key):
            return True
        execution = found[0]
    return False


def _promote(tx: Transaction, workflow: str, key: str) -> None:
    first = _first(tx, workflow, key)
    if first is not None:
        tx.execute("UPDATE turns SET turn = 'ready' WHERE num = ? AND turn = 'behind'", (first,))
