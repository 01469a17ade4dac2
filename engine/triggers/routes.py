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
from engine.triggers.message import Message

__all__ = ["ANY_STREAM", "Active", "External", "Match", "Routes", "Undeliverable"]

ANY_STREAM = "*"
"""The stream of a message that comes again from a person's hand: it takes every lane."""
REMEMBERED = 4096
"""Subjects whose matches are kept: devices speak on the same subjects again and again."""


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
    ) -> None:
        self.active = {name: Active(version, workflow) for name, version, workflow in active}
        self._agent = agent
        self._prefix = f"ganglion.trigger.{tenant}."
        self._own, self._core, self._streams = _Lane(), _Lane(), dict[str, _Lane]()
        for active_one in self.active.values():
            for trigger in active_one.workflow.triggers:
                if isinstance(trigger, NatsTrigger):
                    self._lane_of(trigger).add(Match(active_one, trigger))

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
        return cover(self._own.patterns)

    @cached_property
    def core_subjects(self) -> tuple[str, ...]:
        """What the agent subscribes to plainly: a disjoint cover, so that each message comes once."""
        return cover(self._core.patterns)

    @cached_property
    def externals(self) -> tuple[External, ...]:
        """Consumers of existing streams, one per workflow and stream."""
        wanted: dict[tuple[str, str], list[str]] = {}
        for stream, lane in self._streams.items():
            for match in lane.matches:
                wanted.setdefault((match.active.name, stream), []).append(match.trigger.subject)
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

    def _lane_of(self, trigger: NatsTrigger) -> "_Lane":
        if trigger.capture is Capture.CORE:
            return self._core
        if trigger.stream is None:
            return self._own
        return self._streams.setdefault(trigger.stream, _Lane())

    def _addressed(self, subject: str) -> Match:
        where, _, name = subject.removeprefix(self._prefix).partition(".")
        if not subject.startswith(self._prefix) or not name or "." in name:
            raise Undeliverable(f"{subject[:255]} does not name a workflow: expected {self._prefix}any.<workflow>")
        if where not in (self._agent, "any"):
            raise Undeliverable(f"this is addressed to the agent {where[:64]}, and this agent is {self._agent}")
        return Match(self.named(name), NatsTrigger(subject=subject))


class _Branch:
    """One token deep in the tree of patterns."""

    __slots__ = ("ends", "next", "tails")

    def __init__(self) -> None:
        self.next: dict[str, _Branch] = {}
        self.ends: list[tuple[int, Match]] = []
        self.tails: list[tuple[int, Match]] = []
        """Patterns that end here with `>`."""


class _Lane:
    """The patterns of one way in, as a tree of tokens: finding costs the subject's depth, however many there are."""

    def __init__(self) -> None:
        self.matches: list[Match] = []
        self._root = _Branch()
        self._known: dict[str, tuple[Match, ...]] = {}

    @property
    def patterns(self) -> set[str]:
        return {match.trigger.subject for match in self.matches}

    def add(self, match: Match) -> None:
        """Triggers come in the order of their file."""
        entry = (len(self.matches), match)
        self.matches.append(match)
        branch = self._root
        *path, last = match.trigger.subject.split(".")
        for step in path:
            branch = branch.next.setdefault(step, _Branch())
        if last == ">":
            branch.tails.append(entry)
        else:
            branch.next.setdefault(last, _Branch()).ends.append(entry)

    def find(self, subject: str) -> tuple[Match, ...]:
        known = self._known.get(subject)
        if known is None:
            known = self._search(subject)
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[subject] = known
        return known

    def _search(self, subject: str) -> tuple[Match, ...]:
        if not self.matches:
            return ()
        hits: list[tuple[int, Match]] = []
        level = [self._root]
        for token in subject.split("."):
            for branch in level:
                hits.extend(branch.tails)
            level = [branch.next[step] for branch in level for step in {token, "*"} if step in branch.next]
            if not level:
                break
        for branch in level:
            hits.extend(branch.ends)
        first: dict[str, Match] = {}
        for _, match in sorted(hits, key=lambda hit: hit[0]):
            first.setdefault(match.active.name, match)
        return tuple(first.values())
