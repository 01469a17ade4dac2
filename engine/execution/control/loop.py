"""`while` and `repeat`: the same nodes again and again, until there is no more reason to."""

from collections.abc import Mapping
from typing import Annotated

import msgspec

from engine.construct import Body, Ending, Opening
from engine.contract import Context, Done, Effect, Fail, Inner, NodeType, Outcome, Static
from engine.states import NodeState
from engine.values import Json, kind_of

MAX_ITERATIONS = 1_000_000
_NODES = "The nodes of one iteration; they see `index` (from 0) and `last`, the output of the iteration before."
_OUTPUT = "What an iteration gives; without it, the output of its only node."


class WhileParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    condition: Annotated[
        str | bool,
        Inner,
        msgspec.Meta(description="An expression asked before each iteration; it sees `index`, `last` and `vars`."),
    ]
    nodes: Annotated[dict[str, Json], Inner, msgspec.Meta(description=_NODES)]
    max_iterations: Annotated[
        int, Static, msgspec.Meta(ge=1, le=MAX_ITERATIONS, description="More fail the node: a loop that never ends.")
    ] = 1000
    output: Annotated[Json, Inner, msgspec.Meta(description=_OUTPUT)] = None


class RepeatParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    times: Annotated[int, msgspec.Meta(ge=0, le=MAX_ITERATIONS, description="How many iterations there are at most.")]
    until: Annotated[
        str | None,
        Inner,
        msgspec.Meta(description="An expression asked after each iteration, which sees its nodes; true ends the loop."),
    ] = None
    nodes: Annotated[dict[str, Json], Inner, msgspec.Meta(description=_NODES)]
    output: Annotated[Json, Inner, msgspec.Meta(description=_OUTPUT)] = None


class Loop:
    """One run of a loop: iterations one after the other."""

    concurrency = 1

    def __init__(self, limit: int, *, safeguard: bool) -> None:
        """`safeguard`: to reach the limit is a failure, not the end."""
        self._limit = limit
        self._safeguard = safeguard
        self._count = 0
        self._last: Json = None
        self._open = self._over = self._stopping = False
        self._failed: Ending | None = None

    def next(self) -> Opening | Done | Fail | None:
        if self._open:
            return None
        if self._failed is not None:
            return Fail(f"{self._failed.node or self._failed.opening.suffix}: {self._failed.message}",
                        kind=self._failed.kind or "failed")  # fmt: skip
        if self._stopping:
            return Fail("stopped", kind="cancelled")
        if self._over:
            return Done({"count": self._count, "last": self._last})
        self._open = True
        return Opening("nodes", f"[{self._count}]", {"index": self._count, "last": self._last})

    def refused(self, opening: Opening) -> None:
        self._open, self._over = False, True

    def ended(self, ending: Ending) -> None:
        self._open = False
        if ending.state is not NodeState.COMPLETED:
            self._failed = ending
            return
        self._count += 1
        self._last = ending.values.get("output")
        until = ending.values.get("until", False)
        if not isinstance(until, bool):
            message = f"until gave {kind_of(until)}, not true or false: compare it, such as `x > 0` or `x is defined`"
            self._failed = msgspec.structs.replace(ending, state=NodeState.FAILED, kind="invalid", message=message)
        elif until:
            self._over = True
        elif self._count >= self._limit:
            self._over = True
            if self._safeguard:
                message = f"still true after {self._limit} iterations, which is max_iterations"
                self._failed = msgspec.structs.replace(ending, state=NodeState.FAILED, kind="limit", message=message)

    def stop(self) -> None:
        self._stopping = True


def _while(params: WhileParams, _: Mapping[str, tuple[str, ...]]) -> Loop:
    return Loop(params.max_iterations, safeguard=True)


def _repeat(params: RepeatParams, _: Mapping[str, tuple[str, ...]]) -> Loop:
    loop = Loop(params.times, safeguard=False)
    if params.times == 0:
        loop.refused(Opening("nodes", "[0]"))
    return loop


async def run(ctx: Context, params: msgspec.Struct) -> Outcome:
    return Fail("a loop is opened, not run", kind="bug")


def _names(_: object) -> tuple[str, ...]:
    return ("index", "last")


WHILE = NodeType(
    name="while",
    description=(
        "Runs its nodes again and again while a condition is true, which is asked before each iteration. The output is "
        "{count, last}: how many iterations there were, and the output of the last one. `max_iterations` guards "
        "against a loop that never ends. Each iteration that ended is checkpointed."
    ),
    params=WhileParams,
    run=run,
    effect=Effect.AT_LEAST_ONCE,
    bodies={"nodes": Body(names=_names, before=("condition",), after={"output": ("output",)})},
    construct=_while,
    example="""\
name: count-up
vars: {tries: 0}
nodes:
  poll:
    type: while
    condition: vars.tries < 3
    nodes:
      count: {type: set, vars: {tries: "{{ vars.tries + 1 }}"}}
outputs: "{{ nodes.poll.count }}"
""",
)

REPEAT = NodeType(
    name="repeat",
    description=(
        "Runs its nodes a number of times, or until an expression is true, which is asked after each iteration and "
        "sees its nodes. The output is {count, last}: how many iterations there were, and the output of the last one. "
        "Each iteration that ended is checkpointed."
    ),
    params=RepeatParams,
    run=run,
    effect=Effect.AT_LEAST_ONCE,
    bodies={"nodes": Body(names=_names, after={"output": ("output",)}, asks={"until": ("until",)})},
    construct=_repeat,
    example="""\
name: until-large
nodes:
  grow:
    type: repeat
    times: 10
    until: nodes.power > 100
    nodes:
      power: {type: transform, data: "{{ (last | default(1) if index > 0 else 1) * 3 }}"}
outputs: "{{ nodes.grow }}"
""",
)
