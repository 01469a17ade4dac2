"""What a workflow may want of the whole fleet, and the comparisons that it is written with."""

import re
from enum import StrEnum
from operator import ge, gt, le, lt
from typing import Annotated, Final

import msgspec

from engine.definition.duration import Duration
from engine.quantities import format_duration

__all__ = ["DECIDED_BY_ENDS", "NEEDS_A_RECORD", "OPERATORS", "Bound", "FleetTrigger", "Stat", "parse_bound"]

Says = msgspec.Meta
_Names = str | tuple[str, ...]
_Least = Annotated[int, Says(ge=0)]

OPERATORS: Final = {">=": ge, "<=": le, ">": gt, "<": lt}
NEEDS_A_RECORD: Final = (
    "a fleet trigger works where the fleet is recorded: set `[fleet] record = true` here and start again, or deploy "
    "the workflow on the agent that records"
)
"""Said where a fleet trigger is deployed on an agent that records nothing."""
_BOUND = re.compile(r"\s*(>=|<=|>|<)\s*([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*", re.ASCII)


class Stat(StrEnum):
    """A figure of the executions in a window; durations in seconds."""

    FAILURE_RATE = "failure_rate"
    STARTED = "started"
    COMPLETED = "completed"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"
    NODE_FAILURES = "node_failures"
    RETRIES = "retries"
    EVENTS = "events"
    MEAN = "mean"
    P50 = "p50"
    P95 = "p95"
    P99 = "p99"
    LONGEST = "longest"


DECIDED_BY_ENDS: Final = frozenset({Stat.FAILURE_RATE, Stat.MEAN, Stat.P50, Stat.P95, Stat.P99, Stat.LONGEST})
"""Figures that say nothing before an execution has ended."""


class Bound(msgspec.Struct, frozen=True):
    """A comparison with a number."""

    operator: str
    value: float

    def holds(self, value: float) -> bool:
        return bool(OPERATORS[self.operator](value, self.value))

    def __str__(self) -> str:
        return f"{self.operator} {self.value:.15g}"


def parse_bound(text: str | int) -> Bound:
    """A comparison such as `>= 5`; a number alone means at least that. Raises ValueError."""
    if isinstance(text, int):
        text = f">= {text}"
    match = _BOUND.fullmatch(text)
    if match is None:
        raise ValueError("expected a comparison with a number, such as >= 5")
    return Bound(match[1], float(match[2]))


def names(written: _Names) -> tuple[str, ...]:
    """One, or a list."""
    return (written,) if isinstance(written, str) else written


class FleetTrigger(msgspec.Struct, frozen=True, kw_only=True, tag="fleet", forbid_unknown_fields=True):
    """What happens on any agent of the fleet starts an execution, on the agent that records the fleet: each event, a
    count of events within a time (`count`), or a figure of the executions in a window (`stat`)."""

    workflow: Annotated[_Names, Says(description="Events of these workflows only; one or a list.")] = ()
    agent: Annotated[_Names, Says(description="Events of these agents only; one or a list.")] = ()
    labels: Annotated[dict[str, str], Says(description="Events of agents that have these labels only.")] = {}
    kind: Annotated[
        _Names,
        Says(description="What happened: workflow.failed, workflow.*, agent.lost …; one or a list. Not with `stat`."),
    ] = ()
    when: Annotated[
        str | None,
        Says(description="An expression without braces that sees `event` and `params`; where it is false the event "
             "counts for nothing. Not with `stat`."),
    ] = None  # fmt: skip
    count: Annotated[
        int | str | None,
        Says(description='How many events must happen `within` a time: ">= 5", or 5. Without it each event starts an '
             "execution."),
    ] = None  # fmt: skip
    within: Annotated[Duration | None, Says(description="In which time `count` events must happen, such as 10m.")] = (
        None
    )
    stat: Annotated[
        Stat | None,
        Says(description="A figure of the executions that happened in the last `over`; durations in seconds."),
    ] = None
    over: Annotated[
        Duration | None,
        Says(description="How long the window of `stat` is: whole minutes, above 6h whole hours."),
    ] = None
    is_: Annotated[str | None, Says(description='The comparison that `stat` must meet, such as "> 0.2" or "< 1".')] = (
        msgspec.field(name="is", default=None)
    )
    min: Annotated[
        _Least | None,
        Says(description="How many executions must have ended in the window before `stat` is judged; 1 for rates and "
             "durations, 0 for counts."),
    ] = None  # fmt: skip
    group_by: Annotated[
        _Names,
        Says(description="What is counted apart: agent.id, agent.labels.<name>, workflow, and with `count` kind or "
             "event.data.<path>; one or a list."),
    ] = ()  # fmt: skip
    again_after: Annotated[
        Duration | None,
        Says(description="Where it stays true for so long, it starts another execution. Without it, it starts one, and "
             "the next only when it has been false in between."),
    ] = None  # fmt: skip
    lateness: Annotated[
        Duration | None,
        Says(description="How late an event may come: a window of `count` that ended longer ago starts nothing (1h "
             "unless told). Without `count`: an older event starts nothing (no limit unless told)."),
    ] = None  # fmt: skip

    @property
    def workflows(self) -> tuple[str, ...]:
        return names(self.workflow)

    @property
    def agents(self) -> tuple[str, ...]:
        return names(self.agent)

    @property
    def kinds(self) -> tuple[str, ...]:
        return names(self.kind)

    @property
    def groups(self) -> tuple[str, ...]:
        return names(self.group_by)

    def __str__(self) -> str:
        """For people: `cold-chain workflow.failed >= 5 in 10m`."""
        words = [*self.workflows, *self.agents, "/".join(self.kinds)]
        if self.count is not None:
            words += [str(parse_bound(self.count)), "in", format_duration(self.within or 0)]
        if self.stat is not None:
            words += [self.stat.value, self.is_ or "", "over", format_duration(self.over or 0)]
        return " ".join([word for word in words if word])

    @property
    def least(self) -> int:
        """How many executions must have ended before `stat` is judged."""
        return int(self.stat in DECIDED_BY_ENDS) if self.min is None else self.min
