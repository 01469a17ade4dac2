"""What a file may say of the flow of its executions: how many run, in which order, how fast, and how many may wait.

`flow_reader` makes a `Flow` from a file; `engine.flow` and the executor keep to it.
"""

from enum import StrEnum
from typing import Annotated, Final

import msgspec

from engine.definition.duration import Duration

__all__ = ["PRIORITIES", "Debounce", "Flow", "FlowForm", "QueueLimit", "Rate", "WhenFull"]

PRIORITIES: Final = (-10, 10)
"""The lowest and the highest priority; 0 is that of all that say nothing."""
Says = msgspec.Meta
Concurrency = Annotated[int, Says(ge=1, le=100_000)]
Mark = Annotated[int, Says(ge=0)]


class WhenFull(StrEnum):
    """What a full queue does with the next message."""

    BLOCK = "block"
    DROP_OLDEST = "drop_oldest"
    DROP_NEWEST = "drop_newest"
    THROTTLE = "throttle"
    NONE = "none"


class Rate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many executions may start in any stretch of time of this length."""

    max: Annotated[int, Says(description="Starts in any stretch of `per`.", ge=1, le=10_000)]
    per: Annotated[Duration, Says(description="The stretch of time, such as 1m.")]


class Debounce(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Only the last message before a quiet time starts an execution."""

    quiet: Annotated[Duration, Says(description="How long no other message may come, per key.")] = msgspec.field(
        name="for"
    )
    max: Annotated[
        Duration | None, Says(description="The last message starts at the latest so long after the first one.")
    ] = None


class QueueLimit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many executions of the workflow may wait for their start, and what a full queue does."""

    max: Annotated[int, Says(description="So many wait, and the queue is full.", ge=1, le=1_000_000)] = 1000
    low: Annotated[Mark | None, Says(description="A full queue opens again at so many; 80 % of `max` without it.")] = (
        None
    )
    when_full: Annotated[
        WhenFull,
        Says(
            description="block: messages stay in their stream. drop_oldest, drop_newest: one is given up, which a "
            "fact tells. throttle: slower and slower from `low` on, then as block. none: no limit."
        ),
    ] = WhenFull.BLOCK

    @property
    def reopens_at(self) -> int:
        """The low mark."""
        return self.max * 8 // 10 if self.low is None else self.low

    @property
    def holds(self) -> bool:
        """Messages stay outside while it is full."""
        return self.when_full in (WhenFull.BLOCK, WhenFull.THROTTLE)


_CONCURRENCY = "Executions of this workflow that run at once on this agent; those that wait or are paused do not count."
_KEY = (
    "An expression over trigger and params. Executions with one key run one at a time, in order of intake, on this "
    "agent; running, waiting and paused ones hold the key. null: no key."
)
_PRIORITY = "From -10 to 10, or an expression over trigger and params; higher starts first, 0 is usual."
_DEDUPE = "An expression whose value stands for the message's id: the same one starts nothing twice. null: its own id."


class FlowForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`flow:` as it stands in a file."""

    concurrency: Annotated[Concurrency | None, Says(description=_CONCURRENCY)] = None
    key: Annotated[str | None, Says(description=_KEY)] = None
    rate: Annotated[Rate | None, Says(description="How many executions may start in a stretch of time.")] = None
    debounce: Annotated[
        Duration | Debounce | None,
        Says(description="A quiet time per key: only the last message before it starts an execution."),
    ] = None
    priority: Annotated[int | str, Says(description=_PRIORITY)] = 0
    dedupe: Annotated[str | None, Says(description=_DEDUPE)] = None
    queue: Annotated[QueueLimit | None, Says(description="How many may wait, and what a full queue does.")] = None


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """`flow:` as the engine holds it; without it a workflow has none of this."""

    concurrency: int | None = None
    key: str | None = None
    rate: Rate | None = None
    debounce: Debounce | None = None
    priority: int | str = 0
    dedupe: str | None = None
    queue: QueueLimit | None = None
