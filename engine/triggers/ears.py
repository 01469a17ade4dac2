"""Which waits a message may be for: the channels of all workflows that are active, and of those that still run.

A channel reaches its waits by one lane only, as a trigger does. Versions of a workflow that say the same of a wait
share a channel; where they differ, each has its own as long as executions of it are under way.
"""

from collections.abc import Iterable, Mapping

import msgspec

from engine.definition.awaited import Channel, channels, wait_key
from engine.definition.model import At, Capture, Workflow
from engine.expressions import Program, Scope, compile_expression
from engine.triggers.lane import Lane
from engine.values import Json

__all__ = ["Ear", "Ears"]


class Ear(msgspec.Struct, frozen=True):
    """One channel, ready to listen."""

    channel: Channel
    id: str
    """Unique; the same after a restart."""
    program: Program | None

    def key(self, message: Mapping[str, Json], now: int) -> str:
        """What a wait for this message is found by. Raises ExpressionError."""
        channel = self.channel
        value = None if self.program is None else self.program.evaluate(Scope({"message": message}, now=now, seed=""))
        return wait_key(channel.workflow, channel.node, channel.awaited, value)


class Ears:
    """Subject -> ears."""

    def __init__(self, workflows: Iterable[Workflow]) -> None:
        self.own: Lane[Ear] = Lane()
        self.core: Lane[Ear] = Lane()
        self.streams: dict[tuple[At, str], Lane[Ear]] = {}
        known: set[str] = set()
        for workflow in workflows:
            for channel in channels(workflow):
                awaited = channel.awaited
                # The key of no message at all: it tells channels apart, and nothing else.
                id = wait_key(channel.workflow, channel.node, msgspec.structs.replace(awaited, buffer=0), None)
                if id not in known:
                    known.add(id)
                    program = None if awaited.key is None else compile_expression(awaited.key)
                    self._lane_of(channel).add(awaited.subject, id, Ear(channel, id, program))

    def find(self, subject: str, lanes: Iterable[Lane[Ear]], workflow: str) -> tuple[Ear, ...]:
        """Those that want a message which came by one of these lanes; `workflow` names the only one that it is for."""
        found = tuple(ear for lane in lanes for ear in lane.find(subject))
        return tuple(ear for ear in found if ear.channel.workflow == workflow) if workflow else found

    def _lane_of(self, channel: Channel) -> Lane[Ear]:
        awaited = channel.awaited
        if awaited.capture is Capture.CORE:
            return self.core
        if awaited.stream is None:
            return self.own
        return self.streams.setdefault((awaited.at, awaited.stream), Lane())
