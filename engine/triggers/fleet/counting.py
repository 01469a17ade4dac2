"""A trigger with `count`: each group has its own time, and starts an execution when it has come to enough."""

from collections import OrderedDict
from collections.abc import Mapping

import msgspec

from engine.definition.fleet import FleetTrigger, parse_bound
from engine.triggers.fleet.sliding import Crossing, Sliding, Stretch
from engine.triggers.fleet.telling import Condition, Meant, Seen, group_key
from engine.values import Json

__all__ = ["LATENESS_SECONDS", "Counted", "Counting"]

LATENESS_SECONDS = 3600.0
"""How late events may come unless a trigger says something else."""
MAX_GROUPS = 10_000
"""Of one trigger; the one that was quiet for longest makes room."""


class Counted(msgspec.Struct, frozen=True):
    """An execution is to start."""

    seen: Seen
    """The event that came last."""
    group: list[Json]
    crossing: Crossing


class Counting:
    """The groups of one trigger, in memory; `changed` is what the store does not know yet."""

    def __init__(self, trigger: FleetTrigger, params: Mapping[str, Json], *, begun: int) -> None:
        self.trigger = trigger
        self.begun = begun
        """Number of the newest event that there was before the trigger: it counts later ones only."""
        self.is_warm = True
        """It knows the events before the position; not so at first after a start."""
        self.meant = Meant(trigger)
        self.changed: set[str] = set()
        self.bound = parse_bound(trigger.count or 1)
        self._least = int(self.bound.value) + (self.bound.operator == ">")
        self._within = _micros(trigger.within or 1.0)
        self._late = _micros(LATENESS_SECONDS if trigger.lateness is None else trigger.lateness)
        self._again = None if trigger.again_after is None else _micros(trigger.again_after)
        self._condition = Condition(trigger.when, params)
        self._groups: OrderedDict[str, Sliding] = OrderedDict()

    def restore(self, states: Mapping[str, bytes]) -> None:
        """What the store knows: group -> its stretches. Then `remember` the events of before."""
        for key, state in states.items():
            self._groups[key] = self._sliding(msgspec.json.decode(state, type=list[Stretch]))
        self.is_warm = False

    def wanted_since(self, now: int) -> int:
        """Events that happened before that moment can't change anything any more."""
        return now - self._late - 2 * self._within

    def remember(self, seen: Seen, now: int) -> None:
        """An event of before the position."""
        if self.meant.fits(seen) and self._condition.holds(seen):
            key = group_key(seen.groups(self.trigger.groups))
            self._group(key).remember(min(seen.event.time, now), seen.number)

    def take(self, seen: Seen, now: int) -> Counted | None:
        """A new event. A time to come, of a clock that is wrong, is now. Raises ExpressionError of a `when`."""
        since = now - self._late
        time = min(seen.event.time, now)
        if time <= since - self._within or not self.meant.fits(seen) or not self._condition.holds(seen):
            return None
        values = seen.groups(self.trigger.groups)
        key = group_key(values)
        group = self._group(key)
        crossing = group.add(time, seen.number, since=since, again=self._again)
        if group.stretches and group.stretches[-1].until > time:
            self.changed.add(key)
        return None if crossing is None else Counted(seen, values, crossing)

    def window(self, crossing: Crossing) -> tuple[int, int]:
        """(start, end) of the window that was full."""
        return crossing.end - self._within, crossing.end

    def tidy(self, now: int) -> None:
        """Let go what is too long ago."""
        for key, group in list(self._groups.items()):
            had = bool(group.stretches)
            group.forget(now - self._late)
            if had and not group.stretches:
                self.changed.add(key)
            if group.is_empty:
                del self._groups[key]

    def states(self) -> dict[str, bytes | None]:
        """What changed, as the store keeps it; None for what may go."""
        found: dict[str, bytes | None] = {}
        for key in self.changed:
            group = self._groups.get(key)
            found[key] = msgspec.json.encode(group.stretches) if group is not None and group.stretches else None
        return found

    def _group(self, key: str) -> Sliding:
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = self._sliding([])
            if len(self._groups) > MAX_GROUPS:
                left, _ = self._groups.popitem(last=False)
                self.changed.add(left)
        self._groups.move_to_end(key)
        return group

    def _sliding(self, stretches: list[Stretch]) -> Sliding:
        return Sliding(least=self._least, within=self._within, stretches=stretches)


def _micros(seconds: float) -> int:
    return round(seconds * 1_000_000)
