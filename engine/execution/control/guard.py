"""`try`: nodes whose failure is handled, and nodes that run whatever happens."""

from collections.abc import Mapping
from typing import Annotated

import msgspec

from engine.construct import Body, Ending, Opening
from engine.contract import Context, Done, Effect, Fail, Inner, NodeType, Outcome
from engine.states import NodeState
from engine.values import Json


class Catch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What happens when the nodes fail."""

    name: Annotated[str, msgspec.Meta(description="What its nodes call the error.")] = msgspec.field(
        default="error", name="as"
    )
    nodes: Annotated[
        dict[str, Json],
        msgspec.Meta(description="They see the error: {kind, message, node}. To fail again, use a node of type fail."),
    ]
    output: Annotated[
        Json, msgspec.Meta(description="What the node gives then; without it, that of its only node.")
    ] = None


class Finally(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What happens in any case."""

    nodes: Annotated[
        dict[str, Json], msgspec.Meta(description="They also run when the execution is cancelled or out of time.")
    ]


class TryParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    nodes: Annotated[dict[str, Json], Inner, msgspec.Meta(description="The nodes whose failure is handled.")]
    output: Annotated[
        Json, Inner, msgspec.Meta(description="What the node gives; without it, the output of its only node.")
    ] = None
    catch: Annotated[Catch | None, Inner, msgspec.Meta(description="Nodes that run when one of them failed.")] = None
    on_finally: Annotated[
        Finally | None, Inner, msgspec.Meta(description="Nodes that run in any case, at the end.")
    ] = msgspec.field(default=None, name="finally")


class Guard:
    """One run of a `try` node: its nodes, then `catch` if they failed, then `finally`. A failure of `finally` is the
    node's; while it is stopped, only `finally` is opened."""

    concurrency = 1

    def __init__(self, params: TryParams, bodies: Mapping[str, tuple[str, ...]]) -> None:
        self._catches = "catch" in bodies
        self._error_name = bodies.get("catch", ("error",))[0]
        self._cleans = "finally" in bodies
        self._todo = ["nodes"]
        self._open = self._stopping = False
        self._output: Json = None
        self._failed: Ending | None = None

    def next(self) -> Opening | Done | Fail | None:
        if self._open:
            return None
        if self._todo:
            body = self._todo.pop()
            self._open = True
            if body == "catch" and self._failed is not None:
                failed = self._failed
                error: Json = {"kind": failed.kind, "message": failed.message, "node": failed.node or None}
                return Opening("catch", "/catch", {self._error_name: error})
            return Opening("nodes", "/try")
        if self._cleans:
            self._cleans, self._open = False, True
            return Opening("finally", "/finally")
        if self._failed is not None:
            return Fail(self._failed.message, kind=self._failed.kind or "failed")
        return Fail("stopped", kind="cancelled") if self._stopping else Done(self._output)

    def refused(self, opening: Opening) -> None:
        raise RuntimeError("a try has no condition")

    def ended(self, ending: Ending) -> None:
        self._open = False
        body = ending.opening.body
        if ending.state is NodeState.COMPLETED:
            if body == "catch":
                self._failed = None
            if body != "finally":
                self._output = ending.values.get("output")
        elif ending.state is NodeState.FAILED:
            self._failed = ending
            if body == "nodes" and self._catches and not self._stopping:
                self._todo.append("catch")

    def stop(self) -> None:
        self._stopping = True
        self._todo.clear()


async def run(ctx: Context, params: TryParams) -> Outcome:
    return Fail("a try is opened, not run", kind="bug")


def _names(fields: Mapping[str, Json]) -> tuple[str, ...]:
    catch = fields.get("catch")
    name = catch.get("as", "error") if isinstance(catch, Mapping) else "error"
    return (name if isinstance(name, str) else "error",)


TRY = NodeType(
    name="try",
    description=(
        "Runs its nodes; if they fail, the nodes of `catch`, which see the error and may fail again; in the end, "
        "whatever happened, those of `finally`, also when the execution is cancelled, out of time or resumed after a "
        "crash. With a `catch` that completes, the node completes. The output is that of its nodes, or of `catch`. "
        "`catch` and `finally` see what its nodes gave, as far as they completed."
    ),
    params=TryParams,
    run=run,
    effect=Effect.AT_LEAST_ONCE,
    bodies={
        "nodes": Body(after={"output": ("output",)}),
        "catch": Body(at=("catch", "nodes"), names=_names, after={"output": ("catch", "output")}, sees=("nodes",)),
        "finally": Body(at=("finally", "nodes"), sees=("nodes", "catch"), shielded=True),
    },
    construct=Guard,
    example="""\
name: careful
nodes:
  safe:
    type: try
    nodes:
      risky: {type: fail, message: "the pump is stuck"}
    catch:
      as: problem
      nodes:
        explain: {type: transform, data: "handled: {{ problem.message }}"}
    finally:
      nodes:
        clean: {type: log, message: "valve closed"}
outputs: "{{ nodes.safe }}"
""",
)
