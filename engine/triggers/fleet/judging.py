"""A trigger with `stat`: a figure of the last so many minutes, and in which groups it is as the trigger says.

The window moves by the minute, one above 6 h by the hour, and is never shorter than `over`. A figure starts an
execution when it has become as the trigger says; the group is armed again once a look finds that it is not so. What can
be so where nothing happens (`completed < 1`) is judged for groups of which something was heard within the last day, or
within `over`; not before the trigger has been there for so long, and not in the first two minutes after a start.
"""

from collections.abc import Iterator, Mapping

import msgspec

from engine.definition.fleet import DECIDED_BY_ENDS, FleetTrigger, Stat, parse_bound
from engine.fleet.query import EventQuery, Grain, StatsQuery, Window
from engine.triggers.fleet.record import FleetRecord
from engine.triggers.fleet.telling import Labels, Seen, group_key
from engine.values import Json

__all__ = ["Judged", "Judging"]

MINUTE, HOUR, DAY = 60_000_000, 3_600_000_000, 86_400_000_000
BY_THE_HOUR = 6 * HOUR
"""Longer windows move by the hour."""
SETTLING = 2 * MINUTE
"""After a start what was missed comes in first, before it is said that nothing happened."""

_ENDED = ("workflow.completed", "workflow.failed", "workflow.cancelled")
_KINDS: Mapping[Stat, tuple[str, ...]] = {
    Stat.STARTED: ("workflow.started",),
    Stat.COMPLETED: ("workflow.completed",),
    Stat.PARTIAL: ("workflow.completed",),
    Stat.FAILED: ("workflow.failed",),
    Stat.FAILURE_RATE: ("workflow.failed",),
    Stat.CANCELLED: ("workflow.cancelled",),
    Stat.NODE_FAILURES: ("node.failed",),
    Stat.RETRIES: ("node.retry",),
    Stat.EVENTS: (),
}
"""Which events a figure is shown with; those that end an execution where nothing is said."""


class Judged(msgspec.Struct, frozen=True):
    """An execution is to start."""

    key: str
    group: list[Json]
    value: float
    window: Window
    start: int
    end: int


class Judging:
    """The groups of one trigger that are as it says, in memory; `changed` is what the store does not know yet."""

    def __init__(self, trigger: FleetTrigger, *, begun: int) -> None:
        self.trigger = trigger
        self.begun = begun
        """When the trigger was deployed, in microseconds."""
        self.bound = parse_bound(trigger.is_ or ">= 1")
        self.changed: set[str] = set()
        self._fired: dict[str, int] = {}
        """Group -> when it last started an execution."""
        self._stat = trigger.stat or Stat.FAILED
        self._over = round((trigger.over or 60.0) * 1_000_000)
        self._again = None if trigger.again_after is None else round(trigger.again_after * 1_000_000)
        self._label = next((one[13:] for one in trigger.groups if one.startswith("agent.labels.")), "")
        self._of_nothing = self._stat not in DECIDED_BY_ENDS and trigger.least == 0 and self.bound.holds(0)

    def restore(self, states: Mapping[str, bytes]) -> None:
        """What the store knows."""
        self._fired = {key: msgspec.json.decode(state, type=int) for key, state in states.items()}

    async def look(self, record: FleetRecord, now: int, *, up_for: int) -> list[Judged]:
        """The groups that have become as the trigger says. `up_for`: how long the service has run, in microseconds."""
        if self._of_nothing and (now - self.begun < self._over or up_for < SETTLING):
            return []
        start = self._start(now)
        windows = {self._key(one): one for one in await record.stats(self._query(now, start))}
        if self._of_nothing:
            for one in await self._silent(record, now):
                windows.setdefault(self._key(one), one)
        judged: list[Judged] = []
        holding: set[str] = set()
        for key, window in windows.items():
            value = self._value(window)
            if value is None:
                continue
            holding.add(key)
            last = self._fired.get(key)
            if last is None or (self._again is not None and now - last >= self._again):
                judged.append(Judged(key, self._values(window), value, window, start, now))
                self._set(key, now)
        for key in [key for key in self._fired if key not in holding]:
            self._set(key, None)
        return judged

    def states(self) -> dict[str, bytes | None]:
        """What changed, as the store keeps it; None for what may go."""
        return {
            key: None if (fired := self._fired.get(key)) is None else msgspec.json.encode(fired)
            for key in self.changed
        }  # fmt: skip

    async def examples(self, record: FleetRecord, judged: Judged, labels: Labels, limit: int) -> list[Seen]:
        """The newest events of what the figure is made of."""
        trigger, window = self.trigger, judged.window
        groups = trigger.groups
        query = EventQuery(
            kinds=_KINDS.get(self._stat, _ENDED),
            workflows=(window.workflow,) if "workflow" in groups else trigger.workflows,
            agents=(window.agent,) if "agent.id" in groups else trigger.agents,
            labels=(*trigger.labels.items(), *(((self._label, window.label),) if self._label and window.label else ())),
            since=judged.start,
            limit=limit,
        )  # fmt: skip
        return [Seen(one, labels) for one in await record.events(query)]

    def _start(self, now: int) -> int:
        grain = self._grain(self._over)
        return (now - self._over) // grain * grain

    @staticmethod
    def _grain(over: int) -> int:
        return MINUTE if over <= BY_THE_HOUR else HOUR

    def _query(self, now: int, start: int) -> StatsQuery:
        groups = self.trigger.groups
        grain = self._grain(self._over)
        return StatsQuery(
            grain=Grain.MINUTE if grain == MINUTE else Grain.HOUR, since=start, until=now // grain * grain + grain,
            agents=self.trigger.agents, workflows=self.trigger.workflows, labels=tuple(self.trigger.labels.items()),
            by_agent="agent.id" in groups, by_workflow="workflow" in groups, by_window=False, by_label=self._label,
        )  # fmt: skip

    async def _silent(self, record: FleetRecord, now: int) -> list[Window]:
        """Groups of which nothing may have been heard in the window, as if nothing had happened to them."""
        if not self.trigger.groups:
            return [Window(start=self._start(now))]
        earliest = (now - max(self._over, DAY)) // HOUR * HOUR
        query = msgspec.structs.replace(self._query(now, earliest), grain=Grain.HOUR, until=now // HOUR * HOUR + HOUR)
        return [
            Window(start=one.start, agent=one.agent, workflow=one.workflow, label=one.label)
            for one in await record.stats(query)
        ]

    def _value(self, window: Window) -> float | None:
        """The figure, where it is as the trigger says."""
        value = getattr(window, self._stat.value)
        ended = window.completed + window.partial + window.failed
        if value is None or ended < self.trigger.least or not self.bound.holds(value):
            return None
        return float(value) if isinstance(value, float) else value

    def _key(self, window: Window) -> str:
        return group_key(self._values(window))

    def _values(self, window: Window) -> list[Json]:
        return list(self._named(window))

    def _named(self, window: Window) -> Iterator[Json]:
        for group in self.trigger.groups:
            yield {"agent.id": window.agent, "workflow": window.workflow}.get(group, window.label) or None

    def _set(self, key: str, fired: int | None) -> None:
        self.changed.add(key)
        if fired is None:
            del self._fired[key]
        else:
            self._fired[key] = fired
