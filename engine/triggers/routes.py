"""Which workflows a message starts: an immutable table, made anew at each deploy and undeploy.

A message reaches a workflow by one lane only, the one its trigger asks for: the agent's own stream, an existing stream,
or a plain subscription. So a subject that is captured twice, for two workflows, still starts each of them once.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from functools import cached_property

import msgspec

from engine.definition.model import Capture, NatsTrigger, Workflow
from engine.subjects import cover
from engine.triggers.ears import Ear, Ears
from engine.triggers.lane import Lane
from engine.triggers.message import Message

__all__ = ["ANY_STREAM", "Active", "External", "Match", "Routes", "Undeliverable"]

ANY_STREAM = "*"
"""The stream of a message that comes again from a person's hand: it takes every lane."""


class Active(msgspec.Struct, frozen=True):
    """The active version of a workflow."""

    version: int
    workflow: Workflow

    @property
    def name(self) -> str:
        return self.workflow.name


class Match(msgspec.Struct, frozen=True):
    """A workflow that a message starts, and the trigger that wants it."""

    active: Active
    trigger: NatsTrigger


class External(msgspec.Struct, frozen=True):
    """What one workflow wants of one existing stream: a consumer of its own, whose messages name the workflow."""

    workflow: str
    stream: str
    subjects: tuple[str, ...]
    """A disjoint cover."""


class Undeliverable(ValueError):
    """A message addressed to a workflow that can't be started; the text says why."""


class Routes:
    """Subject -> workflows. Raises nothing while it is made: the definitions were checked when they were read."""

    def __init__(
        self,
        active: Iterable[tuple[str, int, Workflow]] = (),
        *,
        agent: str,
        tenant: str = "default",
        lingering: Iterable[Workflow] = (),
    ) -> None:
        """`lingering` are other versions whose executions are under way: they start nothing, and may still wait."""
        self.active = {name: Active(version, workflow) for name, version, workflow in active}
        self._agent = agent
        self._prefix = f"ganglion.trigger.{tenant}."
        self._own: Lane[Match] = Lane()
        self._core: Lane[Match] = Lane()
        self._streams: dict[str, Lane[Match]] = {}
        self._ears = Ears([*(one.workflow for one in self.active.values()), *lingering])
        for active_one in self.active.values():
            for trigger in active_one.workflow.triggers:
                if isinstance(trigger, NatsTrigger):
                    self._lane_of(trigger).add(trigger.subject, active_one.name, Match(active_one, trigger))

    def find(self, message: Message) -> tuple[Match, ...]:
        """The workflows that a message starts, each once: of several triggers that match, the first in the file wins.

        Raises Undeliverable for a message on a subject of `ganglion.trigger.<tenant>.` that names no deployed workflow.
        """
        if message.subject.startswith("ganglion.trigger."):
            return (self._addressed(message.subject),)
        if message.stream == ANY_STREAM:
            found = self._anywhere(message.subject)
        elif message.stream:
            found = self._streams.get(message.stream, self._own).find(message.subject)
        else:
            found = self._core.find(message.subject)
        if message.workflow:
            return tuple(match for match in found if match.active.name == message.workflow)
        return found

    def awaiting(self, message: Message) -> tuple[Ear, ...]:
        """The waits that a message may be for."""
        anywhere = message.stream == ANY_STREAM
        return self._ears.find(message.subject, message.stream, message.workflow, anywhere=anywhere)

    @cached_property
    def awaits_own(self) -> bool:
        """Some wait is for a message of the agent's own stream."""
        return bool(self._ears.own.items)

    def named(self, name: str) -> Active:
        """The active version of a workflow. Raises Undeliverable with the likeliest name."""
        try:
            return self.active[name]
        except KeyError:
            pass
        close = get_close_matches(name, self.active, n=1)
        hint = f" (did you mean {close[0]}?)" if close else "; `ganglion ps` and `ganglion deploy` tell what is"
        raise Undeliverable(f"no workflow named {name[:64]} is deployed{hint}")

    @cached_property
    def intake_subjects(self) -> tuple[str, ...]:
        """What the agent's own stream captures: a disjoint cover, as the server asks for."""
        return cover(self._own.patterns | self._ears.own.patterns)

    @cached_property
    def core_subjects(self) -> tuple[str, ...]:
        """What the agent subscribes to plainly: a disjoint cover, so that each message comes once."""
        return cover(self._core.patterns | self._ears.core.patterns)

    @cached_property
    def externals(self) -> tuple[External, ...]:
        """Consumers of existing streams, one per workflow and stream."""
        wanted: dict[tuple[str, str], list[str]] = {}
        for stream, lane in self._streams.items():
            for match in lane.items:
                wanted.setdefault((match.active.name, stream), []).append(match.trigger.subject)
        for stream, ears in self._ears.streams.items():
            for ear in ears.items:
                wanted.setdefault((ear.channel.workflow, stream), []).append(ear.channel.awaited.subject)
        return tuple(External(name, stream, cover(subjects)) for (name, stream), subjects in sorted(wanted.items()))

    def address(self, workflow: str) -> str:
        """The subject that starts this workflow on this agent."""
        return f"{self._prefix}{self._agent}.{workflow}"

    def _anywhere(self, subject: str) -> tuple[Match, ...]:
        first: dict[str, Match] = {}
        for lane in (self._own, self._core, *self._streams.values()):
            for match in lane.find(subject):
                first.setdefault(match.active.name, match)
        return tuple(first.values())

    def _lane_of(self, trigger: NatsTrigger) -> Lane[Match]:
        if trigger.capture is Capture.CORE:
            return self._core
        if trigger.stream is None:
            return self._own
        return self._streams.setdefault(trigger.stream, Lane())

    def _addressed(self, subject: str) -> Match:
        where, _, name = subject.removeprefix(self._prefix).partition(".")
        if not subject.startswith(self._prefix) or not name or "." in name:
            raise Undeliverable(f"{subject[:255]} does not name a workflow: expected {self._prefix}any.<workflow>")
        if where not in (self._agent, "any"):
            raise Undeliverable(f"this is addressed to the agent {where[:64]}, and this agent is {self._agent}")
        return Match(self.named(name), NatsTrigger(subject=subject))
