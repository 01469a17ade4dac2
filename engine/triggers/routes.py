"""Which workflows a message starts: an immutable table, made anew at each deploy and undeploy.

A message reaches a workflow by one lane only, the one its trigger asks for: the agent's own stream, an existing stream
here or at the hub, or a plain subscription. So a subject that is captured twice, for two workflows, still starts each
of them once.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cached_property
from typing import TypeVar

import msgspec

from engine.definition.model import At, Capture, Deliver, NatsTrigger, Workflow
from engine.subjects import cover, matches
from engine.triggers.ears import Ear, Ears
from engine.triggers.lane import Lane
from engine.triggers.message import Message

__all__ = ["ANY_STREAM", "Active", "External", "Match", "Plain", "Routes", "Undeliverable"]

T = TypeVar("T")
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
    at: At | None = At.OWN
    """None where own and hub are the same."""
    deliver: Deliver | None = Deliver.ONE
    """None where nobody shares it."""


class Plain(msgspec.Struct, frozen=True):
    """A plain subscription; with a workflow, for that one only."""

    subject: str
    workflow: str = ""
    deliver: Deliver | None = None
    """`one`: the agents that have the workflow share it. None where nobody does."""


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
        self._streams: dict[tuple[At, str], Lane[Match]] = {}
        self._ears = Ears([*(one.workflow for one in self.active.values()), *lingering])
        for active_one in self.active.values():
            for trigger in active_one.workflow.triggers:
                if isinstance(trigger, NatsTrigger):
                    self._lane_of(trigger).add(trigger.subject, active_one.name, Match(active_one, trigger))

    def find(self, message: Message) -> tuple[Match, ...]:
        """The workflows that a message starts, each once: of several triggers that match, the first in the file wins.

        Raises Undeliverable for a message on a subject of `ganglion.trigger.<tenant>.` that names no deployed workflow,
        unless others may have it.
        """
        if message.subject.startswith("ganglion.trigger."):
            if message.workflow and message.stream != ANY_STREAM and message.workflow not in self.active:
                return ()
            return (self._addressed(message.subject),)
        lanes = _lanes(message, self._own, self._core, self._streams)
        found = lanes[0].find(message.subject) if len(lanes) == 1 else _first_of_each(lanes, message.subject)
        if message.workflow:
            found = tuple(match for match in found if match.active.name == message.workflow)
        if message.deliver is not None:
            found = tuple(match for match in found if match.trigger.deliver is message.deliver)
        return found

    def awaiting(self, message: Message) -> tuple[Ear, ...]:
        """The waits that a message may be for: each agent hears what all get, since only one of them waits."""
        if message.deliver is Deliver.ONE:
            return ()
        ears = self._ears
        return ears.find(message.subject, _lanes(message, ears.own, ears.core, ears.streams), message.workflow)

    def is_elsewhere(self, message: Message) -> bool:
        """Whether a message that nobody wants here was fetched for a workflow, or a version of it, that comes or goes
        just now. Where it is active, its consumer may still bring more than it asked for."""
        if not message.workflow or message.stream == ANY_STREAM:
            return False
        if not message.stream or message.subject.startswith("ganglion.trigger."):
            return message.workflow not in self.active
        asked = [
            subject
            for external in self.externals
            if (external.workflow, external.stream) == (message.workflow, message.stream)
            and message.at in (None, external.at)
            and message.deliver in (None, external.deliver)
            for subject in external.subjects
        ]
        return not any(matches(pattern, message.subject) for pattern in cover(asked))

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
        """Consumers of existing streams, one per workflow, stream, and who gets a message."""
        wanted: dict[tuple[str, str, At, Deliver], list[str]] = {}
        for (at, stream), lane in self._streams.items():
            for match in lane.items:
                key = (match.active.name, stream, at, match.trigger.deliver)
                wanted.setdefault(key, []).append(match.trigger.subject)
        for (at, stream), ears in self._ears.streams.items():
            for ear in ears.items:
                key = (ear.channel.workflow, stream, at, Deliver.ALL)
                wanted.setdefault(key, []).append(ear.channel.awaited.subject)
        return tuple(
            External(name, stream, cover(subjects), at, deliver)
            for (name, stream, at, deliver), subjects in sorted(wanted.items())
        )

    @cached_property
    def plain(self) -> tuple[Plain, ...]:
        """Plain subscriptions at a server that others share: per workflow, and who gets a message."""
        wanted: dict[tuple[str, Deliver], list[str]] = {}
        for match in self._core.items:
            wanted.setdefault((match.active.name, match.trigger.deliver), []).append(match.trigger.subject)
        for ear in self._ears.core.items:
            wanted.setdefault((ear.channel.workflow, Deliver.ALL), []).append(ear.channel.awaited.subject)
        return tuple(
            Plain(subject, name, deliver)
            for (name, deliver), subjects in sorted(wanted.items())
            for subject in cover(subjects)
        )

    def address(self, workflow: str) -> str:
        """The subject that starts this workflow on this agent."""
        return f"{self._prefix}{self._agent}.{workflow}"

    def _lane_of(self, trigger: NatsTrigger) -> Lane[Match]:
        if trigger.capture is Capture.CORE:
            return self._core
        if trigger.stream is None:
            return self._own
        return self._streams.setdefault((trigger.at, trigger.stream), Lane())

    def _addressed(self, subject: str) -> Match:
        where, _, name = subject.removeprefix(self._prefix).partition(".")
        if not subject.startswith(self._prefix) or not name or "." in name:
            raise Undeliverable(f"{subject[:255]} does not name a workflow: expected {self._prefix}any.<workflow>")
        if where not in (self._agent, "any"):
            raise Undeliverable(f"this is addressed to the agent {where[:64]}, and this agent is {self._agent}")
        return Match(self.named(name), NatsTrigger(subject=subject))


def _lanes(message: Message, own: Lane[T], core: Lane[T], streams: Mapping[tuple[At, str], Lane[T]]) -> list[Lane[T]]:
    """Those by which a message came. A stream of the agent's server that no trigger names is the agent's own."""
    if message.stream == ANY_STREAM:
        return [own, core, *streams.values()]
    if not message.stream:
        return [core]
    places = (At.OWN, At.HUB) if message.at is None else (message.at,)
    found = [streams[at, message.stream] for at in places if (at, message.stream) in streams]
    return found or ([] if message.at is At.HUB else [own])


def _first_of_each(lanes: Iterable[Lane[Match]], subject: str) -> tuple[Match, ...]:
    first: dict[str, Match] = {}
    for lane in lanes:
        for match in lane.find(subject):
            first.setdefault(match.active.name, match)
    return tuple(first.values())
