"""An event of the fleet as expressions see it, what it is counted under, and whether a trigger means it."""

import hashlib
from collections.abc import Mapping

import msgspec

from engine.clock import format_time
from engine.definition.fleet import FleetTrigger
from engine.expressions import ExpressionError, Program, Scope, compile_expression
from engine.fleet.event import FleetEvent
from engine.fleet.query import Numbered
from engine.values import Json, encode_json

__all__ = ["Condition", "Labels", "Meant", "Seen", "event_id", "group_key"]

Labels = Mapping[str, Mapping[str, str]]
"""Agent -> its labels, as they are now."""
MAX_KEY = 256
"""Bytes of what a group is known by; a longer one is known by its hash."""
MAX_SHOWN = 4096
"""Bytes of an event's data where several events are told."""


class Seen:
    """A recorded event, and the labels that its agent has."""

    __slots__ = ("_told", "event", "labels", "number")

    def __init__(self, numbered: Numbered, labels: Labels) -> None:
        self.number = numbered.number
        self.event: FleetEvent = numbered.event
        self.labels = labels.get(self.event.agent, {})
        self._told: dict[str, Json] | None = None

    @property
    def told(self) -> dict[str, Json]:
        """What `event` is in `when`, and what becomes `trigger.data`."""
        if self._told is None:
            event = self.event
            self._told = {
                "id": event_id(event), "agent": event.agent, "labels": dict(self.labels), "kind": event.kind,
                "workflow": event.workflow, "version": event.version, "execution": event.execution or None,
                "node": event.node or None, "time": format_time(event.time), "data": _data(event),
            }  # fmt: skip
        return self._told

    @property
    def shortly(self) -> dict[str, Json]:
        """The same, where there may be many: without data that are large."""
        return self.told if len(self.event.data) <= MAX_SHOWN else {**self.told, "data": None}

    def groups(self, paths: tuple[str, ...]) -> list[Json]:
        """What it is counted under; null where there is nothing at that path."""
        return [self._at(path) for path in paths]

    def _at(self, path: str) -> Json:
        event = self.event
        if path.startswith("agent.labels."):
            return self.labels.get(path.removeprefix("agent.labels."))
        if not path.startswith("event."):
            return {"agent.id": event.agent, "workflow": event.workflow, "kind": event.kind}[path]
        value: Json = self.told
        for step in path.split(".")[1:]:
            if isinstance(value, Mapping):
                value = value.get(step)
            elif isinstance(value, list) and step.isdigit():
                value = value[int(step)] if int(step) < len(value) else None
            else:
                return None
        return value


class Meant:
    """Whether an event is one that a trigger names, its `when` aside."""

    def __init__(self, trigger: FleetTrigger) -> None:
        self._workflows = frozenset(trigger.workflows)
        self._agents = frozenset(trigger.agents)
        self._labels = trigger.labels.items()
        self._kinds = frozenset(kind for kind in trigger.kinds if not kind.endswith("*"))
        self._families = tuple(kind[:-1] for kind in trigger.kinds if kind.endswith("*"))

    def fits(self, seen: Seen) -> bool:
        event = seen.event
        return (
            (event.kind in self._kinds or event.kind.startswith(self._families))
            and (not self._workflows or event.workflow in self._workflows)
            and (not self._agents or event.agent in self._agents)
            and all(seen.labels.get(name) == value for name, value in self._labels)
        )


class Condition:
    """The `when` of a trigger."""

    def __init__(self, source: str | None, params: Mapping[str, Json]) -> None:
        self._program: Program | None = None if source is None else compile_expression(source)
        self._params = params

    def holds(self, seen: Seen) -> bool:
        """Raises ExpressionError where it can't be decided."""
        if self._program is None:
            return True
        scope = Scope({"event": seen.told, "params": self._params}, now=seen.event.time, seed=event_id(seen.event))
        verdict = self._program.evaluate(scope)
        if not isinstance(verdict, bool):
            hint = "compare it with something, such as != null"
            raise ExpressionError("expected true or false", str(self._program.source), 0, hint)
        return verdict


def event_id(event: FleetEvent) -> str:
    """What the fact is known by everywhere."""
    return f"{event.agent}/{event.epoch}/{event.seq}"


def group_key(values: list[Json]) -> str:
    """What a group is known by in the store."""
    key = encode_json(values)
    return key.decode() if len(key) <= MAX_KEY else hashlib.sha256(key).hexdigest()


def _data(event: FleetEvent) -> Json:
    try:
        return msgspec.json.decode(event.data)
    except msgspec.DecodeError:  # written by another version, or by a stranger
        return {}
