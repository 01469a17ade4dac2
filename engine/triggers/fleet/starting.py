"""What a fleet trigger asks for becomes an execution, or a dead letter; and what it is told in `trigger`.

An execution that was caused by an event knows its cause, and by how many executions in a row it came about: of this
agent's own ones from their rows, of others from what was recorded of their start.
"""

import logging
from collections.abc import Mapping
from typing import Final, TypeAlias

import msgspec

from engine.clock import format_time
from engine.events import Identity
from engine.fleet.event import FleetEvent
from engine.fleet.query import EventQuery
from engine.flow.placing import placed
from engine.ids import new_execution_id
from engine.states import ExecutionState
from engine.store import Store, executions
from engine.store.deadletters import DeadLetter
from engine.store.executions import ExecutionRow
from engine.triggers.envelope import MAX_HOPS
from engine.triggers.fleet.counting import Counted, Counting
from engine.triggers.fleet.judging import Judged, Judging
from engine.triggers.fleet.record import FleetRecord
from engine.triggers.fleet.telling import Labels, Seen, event_id
from engine.triggers.fleet.watch import Firing, Undecided
from engine.triggers.routes import Active
from engine.values import Json

__all__ = ["ORIGIN", "Made", "Starting"]

ORIGIN: Final = "fleet"
"""Of the dead letters made here; their body is the `trigger` that would have been."""
MAX_EVENTS: Final = 10
"""Events that are told with a count or a figure."""
Made: TypeAlias = ExecutionRow | DeadLetter

_log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode


class _Trigger(msgspec.Struct):
    """`trigger` as expressions see it."""

    kind: str
    subject: str
    headers: Mapping[str, str]
    id: str
    time: str
    data: Json


class _Cause(msgspec.Struct, frozen=True):
    """What an execution comes from."""

    id: str = ""
    hops: int = 0
    """How many executions caused each other before it."""


class Starting:
    """Makes rows of firings; writes nothing."""

    def __init__(self, store: Store, record: FleetRecord, identity: Identity) -> None:
        self._store = store
        self._record = record
        self._identity = identity

    async def of(self, active: Active, firing: Firing, labels: Labels, known: Mapping[int, Seen]) -> Made:
        """What an event, or a count, starts. `known` are events at hand, by their numbers."""
        if isinstance(firing, Undecided):
            return self._letter(active, firing.seen.event.kind, _of_event(firing.seen), firing.reason)
        if isinstance(firing, Seen):
            return self._row(active, firing.event.kind, _of_event(firing), await self._cause(firing.event))
        counting, counted = firing
        return await self._of_count(active, counting, counted, labels, known)

    async def of_figure(self, active: Active, judging: Judging, judged: Judged, labels: Labels) -> ExecutionRow:
        """What a figure starts."""
        window = judged.window
        examples = await judging.examples(self._record, judged, labels, MAX_EVENTS)
        stat = judging.trigger.stat.value if judging.trigger.stat else ""
        data: dict[str, Json] = {
            "group": _shown(judged.group), "stat": stat, "value": judged.value, "is": str(judging.bound),
            "start": format_time(judged.start), "end": format_time(judged.end),
            "executions": {
                "started": window.started, "completed": window.completed, "partial": window.partial,
                "failed": window.failed, "cancelled": window.cancelled,
            },
            "events": [seen.shortly for seen in examples],
        }  # fmt: skip
        time = format_time(judged.end)
        trigger = _encode(_Trigger("fleet", "", {}, f"{active.name}/{stat}/{judged.key}/{time}", time, data))
        return self._queued(active, trigger, _Cause())

    async def _of_count(
        self, active: Active, counting: Counting, counted: Counted, labels: Labels, known: Mapping[int, Seen]
    ) -> Made:
        events = [
            known.get(number) or await self._fetch(number, labels) for number in counted.crossing.numbers
        ]  # fmt: skip
        start, end = counting.window(counted.crossing)
        data: dict[str, Json] = {
            "group": _shown(counted.group), "count": counted.crossing.count, "is": str(counting.bound),
            "start": format_time(start), "end": format_time(end),
            "events": [seen.shortly for seen in events if seen is not None],
        }  # fmt: skip
        last = counted.seen.event
        trigger = _encode(_Trigger("fleet", "", {}, event_id(last), format_time(last.time), data))
        return self._row(active, last.kind, trigger, await self._cause(last))

    async def _fetch(self, number: int, labels: Labels) -> Seen | None:
        found = await self._record.events(EventQuery(after=number - 1, limit=1))
        return Seen(found[0], labels) if found and found[0].number == number else None

    async def _cause(self, event: FleetEvent) -> _Cause:
        if not event.execution:
            return _Cause(event_id(event), 1)
        if event.agent == self._identity.agent:
            try:
                row = await self._store.read(lambda db: executions.glimpse(db, event.execution))
                return _Cause(row.id, row.hops + 1)
            except LookupError:
                pass  # it is gone already, or the store was made anew: the fact says what it can
        return _Cause(event.execution, await self._hops(event) + 1)

    async def _hops(self, event: FleetEvent) -> int:
        if event.kind != "workflow.started":
            started = await self._record.events(
                EventQuery(agents=(event.agent,), executions=(event.execution,), kinds=("workflow.started",), limit=1)
            )
            if not started:
                return 0
            event = started[0].event
        try:
            return msgspec.json.decode(event.data, type=_Said).hops
        except msgspec.MsgspecError:
            return 0

    def _row(self, active: Active, kind: str, trigger: bytes, cause: _Cause) -> Made:
        if cause.hops > MAX_HOPS:
            reason = (
                f"{cause.hops} executions caused each other in a row, and {MAX_HOPS} are allowed: some workflow starts "
                f"itself (the last was {cause.id}); name the workflows that {active.name} watches, or let `when` "
                "leave it out"
            )
            return self._letter(active, kind, trigger, reason)
        return self._queued(active, trigger, cause)

    def _queued(self, active: Active, trigger: bytes, cause: _Cause) -> ExecutionRow:
        now = self._store.clock.now()
        id = new_execution_id(now)
        row = ExecutionRow(
            id=id, workflow=active.name, version=active.version, status=ExecutionState.QUEUED, root=id, cause=cause.id,
            hops=cause.hops, trigger=trigger, created_at=now,
        )  # fmt: skip
        return placed(row, active.workflow)

    def _letter(self, active: Active, kind: str, trigger: bytes, reason: str) -> DeadLetter:
        _log.error("%s: an event of the fleet starts nothing: %s", active.name, reason)
        return DeadLetter(
            origin=ORIGIN, workflow=active.name, subject=f"fleet {kind}", reason=reason, body=trigger,
            size=len(trigger), received_at=self._store.clock.now(),
        )  # fmt: skip


class _Said(msgspec.Struct):
    hops: int = 0


def _of_event(seen: Seen) -> bytes:
    return _encode(_Trigger("fleet", "", {}, event_id(seen.event), format_time(seen.event.time), seen.told))


def _shown(group: list[Json]) -> Json:
    """What a person grouped by: nothing, one value, or several in their order."""
    return group if len(group) > 1 else next(iter(group), None)
