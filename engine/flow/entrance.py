"""Inside the commit that takes messages in: is there room in the queue, whom does a message supersede, who is dropped.

What is given up is told by a fact in the same commit, before anyone is acknowledged:

    workflow.superseded   a newer message came within the quiet time (debounce)
    workflow.dropped      drop_oldest: it made room for a newer one
    message.dropped       drop_newest: the queue was full; no execution was made
"""

from collections import Counter
from enum import Enum

from engine.definition.flow import Debounce, Flow, WhenFull
from engine.events import Event, Kind
from engine.states import ExecutionState
from engine.store import Transaction, executions, turns, waits
from engine.store.executions import ExecutionRow
from engine.values import Json, encode_json

__all__ = ["Entrance", "Verdict"]


class Verdict(Enum):
    """What becomes of one message at one workflow."""

    ENTERS = "enters"
    HELD = "held"
    """The queue is full: it stays outside, and nothing is recorded."""
    DROPPED = "dropped"


class Entrance:
    """For one run of one unit. `left` counts, by workflow, the executions that ended here before they had started."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._waiting: dict[str, int] = {}
        self.left: Counter[str] = Counter()

    def judge(self, row: ExecutionRow, flow: Flow, *, closed: bool, by_hand: bool) -> Verdict:
        """Before anything is written. `closed`: the queue was full and has not come down to its low mark. Who starts
        `by_hand` is there to be told, so nothing is dropped silently: they hear that the queue is full."""
        limit = flow.queue
        if limit is None or limit.when_full in (WhenFull.NONE, WhenFull.DROP_OLDEST) or self._replaces(row, flow):
            return Verdict.ENTERS
        if limit.holds and closed and not by_hand:
            return Verdict.HELD
        if self._count(row.workflow, limit.max) < limit.max:
            return Verdict.ENTERS
        return Verdict.HELD if limit.holds or by_hand else Verdict.DROPPED

    def enter(self, row: ExecutionRow, flow: Flow) -> None:
        """Make the execution, in its place, and room for it."""
        if flow.debounce is not None:
            self._debounce(row, flow.debounce)
        limit = flow.queue
        if limit is not None and limit.when_full is WhenFull.DROP_OLDEST:
            while self._count(row.workflow, limit.max) >= limit.max:
                oldest = turns.oldest(self._tx, row.workflow)
                if oldest is None:
                    break  # children and paused ones fill it, and may not be dropped
                why = f"the queue of {row.workflow} was full ({limit.max} wait): {row.id} took its place"
                self._end(oldest, Kind.WORKFLOW_DROPPED, "dropped", why, {"by": row.id, "max": limit.max}, row)
        executions.create(self._tx, row)
        if row.workflow in self._waiting:
            self._waiting[row.workflow] += 1

    def drop(self, row: ExecutionRow, flow: Flow, subject: str, id: str) -> None:
        """Tell that a message was given up because the queue is full."""
        data: dict[str, Json] = {
            "reason": "queue full", "max": 0 if flow.queue is None else flow.queue.max,
            "subject": subject[:255], "id": id, "key": None if row.place is None else row.place.key,
        }  # fmt: skip
        self._tx.fact(
            Event(kind=Kind.MESSAGE_DROPPED, time=row.created_at, workflow=row.workflow, version=row.version, data=data)
        )

    def _replaces(self, row: ExecutionRow, flow: Flow) -> bool:
        """It supersedes one that waits, so that the queue does not grow."""
        key = None if row.place is None else row.place.key
        return flow.debounce is not None and turns.quiet(self._tx, row.workflow, key) is not None

    def _debounce(self, row: ExecutionRow, debounce: Debounce) -> None:
        place, now = row.place, row.created_at
        if place is None:
            return
        since, earlier = now, turns.quiet(self._tx, row.workflow, place.key)
        if earlier is not None:
            since = min(now, earlier[1])
            why = f"{row.id} came within the quiet time"
            self._end(earlier[0], Kind.WORKFLOW_SUPERSEDED, "superseded", why, {"by": row.id, "key": place.key}, row)
        until = now + round(debounce.quiet * 1_000_000)
        if debounce.max is not None:
            until = min(until, since + round(debounce.max * 1_000_000))
        place.since, place.until = since, until

    def _end(self, id: str, kind: Kind, word: str, why: str, data: dict[str, Json], by: ExecutionRow) -> None:
        """End an execution that had not started."""
        tx, now = self._tx, by.created_at
        row = executions.glimpse(tx.db, id)
        error = encode_json({"kind": word, "message": why, "node": None})
        executions.finish(tx, id, ExecutionState.CANCELLED, now=now, outputs=None, error=error)
        waits.execution_ended(tx, id, ExecutionState.CANCELLED.value, outputs=None, error=error, now=now)
        tx.fact(Event(kind=kind, time=now, workflow=row.workflow, version=row.version, execution=id, data=data))
        self.left[row.workflow] += 1
        if row.workflow in self._waiting:
            self._waiting[row.workflow] -= 1

    def _count(self, workflow: str, limit: int) -> int:
        """How many wait; counted once in a unit."""
        if workflow not in self._waiting:
            self._waiting[workflow] = turns.waiting(self._tx, workflow, limit + 1)
        return self._waiting[workflow]
