"""The fleet triggers of one workflow, and what they make of new events."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec

from engine.definition.fleet import FleetTrigger
from engine.expressions import ExpressionError
from engine.fleet.query import Numbered
from engine.store.watches import WHERE_BEGUN
from engine.triggers.fleet.counting import Counted, Counting
from engine.triggers.fleet.judging import Judging
from engine.triggers.fleet.telling import Condition, Labels, Meant, Seen
from engine.triggers.routes import Active
from engine.values import Json

__all__ = ["Firing", "Undecided", "Watch", "trigger_key"]

TOLD_EVERY = 60_000_000
"""How often it is said at most that a `when` can't be decided, in microseconds."""

_log = logging.getLogger(__name__)


class _Each:
    """A trigger that each event starts an execution for."""

    def __init__(self, trigger: FleetTrigger, active: Active) -> None:
        self.meant = Meant(trigger)
        self._condition = Condition(trigger.when, active.workflow.bound)
        self._late = None if trigger.lateness is None else round(trigger.lateness * 1_000_000)

    def wants(self, seen: Seen, now: int) -> bool:
        """Raises ExpressionError of a `when`."""
        in_time = self._late is None or seen.event.time >= now - self._late
        return in_time and self.meant.fits(seen) and self._condition.holds(seen)


class Undecided(msgspec.Struct, frozen=True):
    """An event of which nobody can say whether it starts an execution."""

    seen: Seen
    reason: str


Firing: TypeAlias = Seen | Undecided | tuple[Counting, Counted]
"""What asks for an execution: an event by itself, or a count that it has completed."""


class Watch:
    """Of the triggers without `count`, the first in the file that agrees starts an execution; the others go by
    themselves."""

    def __init__(self, active: Active, before: "Watch | None" = None, *, begun: int = 0, now: int = 0) -> None:
        """`before` is the watch of an earlier version: triggers that stayed the same go on. New ones begin behind
        event number `begun`, at the time `now`."""
        self.active = active
        self.seen = self.stored = begun
        """The newest event that was looked at, and the one that the row names."""
        self.counting: dict[str, Counting] = {}
        self.judging: dict[str, Judging] = {}
        self._each: list[_Each] = []
        self._told_at = -TOLD_EVERY
        if before is not None:
            self.seen, self.stored = before.seen, before.stored
        for trigger in active.workflow.triggers:
            if not isinstance(trigger, FleetTrigger):
                continue
            key = trigger_key(trigger, active.workflow.bound)
            if trigger.stat is not None:
                judging = before.judging.get(key) if before else None
                self.judging[key] = judging or Judging(trigger, begun=now)
            elif trigger.count is not None:
                counting = before.counting.get(key) if before else None
                self.counting[key] = counting or Counting(trigger, active.workflow.bound, begun=self.seen)
            else:
                self._each.append(_Each(trigger, active))

    @property
    def name(self) -> str:
        return self.active.name

    @property
    def of_events(self) -> list[FleetTrigger]:
        """The triggers that look at events."""
        return [
            one for one in self.active.workflow.triggers if isinstance(one, FleetTrigger) and one.stat is None
        ]  # fmt: skip

    @property
    def reads(self) -> bool:
        """It looks at events, rather than at figures alone."""
        return bool(self._each or self.counting)

    def take(self, events: Sequence[Numbered], labels: Labels, now: int) -> list[Firing]:
        """What new events ask for. The position stays where it is until that is committed."""
        firings: list[Firing] = []
        for numbered in events:
            if numbered.number <= self.seen:
                continue
            seen = Seen(numbered, labels)
            firing = self._single(seen, now)
            if firing is not None:
                firings.append(firing)
            for counting in self.counting.values():
                try:
                    counted = counting.take(seen, now)
                except ExpressionError as error:
                    self._tell(error, now)
                    continue
                if counted is not None:
                    firings.append((counting, counted))
        return firings

    def changes(self) -> dict[tuple[str, str], bytes | None]:
        """(trigger, group) -> the state that the store does not know yet; None for one that may go."""
        return {(key, group): state for key, part in self._parts() for group, state in part.states().items()}

    def committed(self) -> None:
        """The store knows it all."""
        for _, part in self._parts():
            part.changed.clear()

    def _parts(self) -> list[tuple[str, "Counting | Judging"]]:
        return [*self.counting.items(), *self.judging.items()]

    def restore(self, states: Mapping[str, Mapping[str, bytes]], *, rewound: bool) -> None:
        """What the store knows: trigger -> group -> state, where WHERE_BEGUN stands for a group too. `rewound`: the
        record is another one than before, so that numbers of its events mean nothing."""
        for key, part in self._parts():
            known = dict(states.get(key, {}))
            begun = known.pop(WHERE_BEGUN, None)
            if begun is None:
                continue
            part.restore(known)
            if isinstance(part, Judging) or not rewound:
                part.begun = msgspec.json.decode(begun, type=int)

    def begun(self) -> dict[str, bytes]:
        """Trigger -> where, or when, it began, as the store keeps it."""
        return {key: msgspec.json.encode(part.begun) for key, part in self._parts()}

    def _single(self, seen: Seen, now: int) -> Seen | Undecided | None:
        try:
            wanted = any(each.wants(seen, now) for each in self._each)
        except ExpressionError as error:
            hint = f" ({error.hint})" if error.hint else ""
            return Undecided(seen, f"when: {error.message}{hint}")
        return seen if wanted else None

    def _tell(self, error: ExpressionError, now: int) -> None:
        """One event that can't be counted is not worth a dead letter; thousands of them not even a line each."""
        if now - self._told_at >= TOLD_EVERY:
            self._told_at = now
            hint = f" ({error.hint})" if error.hint else ""
            _log.error("%s: an event is not counted: when: %s%s", self.name, error.message, hint)


def trigger_key(trigger: FleetTrigger, params: Mapping[str, Json]) -> str:
    """What a trigger is known by from version to version: one that says the same is the same."""
    said = [trigger, {} if trigger.when is None else dict(params)]
    return hashlib.sha256(msgspec.json.encode(said, order="sorted")).hexdigest()[:16]
