"""`workflow`: another workflow as one node; its execution is a child of this one."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

import msgspec

from engine.contract import (
    CannotStart,
    Child,
    Context,
    Done,
    Effect,
    Expectation,
    Fail,
    Misfit,
    NodeType,
    Outcome,
    Role,
    Wait,
)  # fmt: skip
from engine.values import Json

Says = msgspec.Meta
_GOOD = frozenset({"completed", "partial"})


class SubflowParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    workflow: Annotated[
        str | None, Says(description="The name of a deployed workflow: its active version when the child starts; or "
                         "name@version.")
    ] = None  # fmt: skip
    file: Annotated[
        str | None,
        Says(description="Instead: a workflow file inside [engine] workflows_dir, such as sub/clean.yaml; with "
             "`ganglion run FILE`, one beside FILE."),
    ] = None  # fmt: skip
    input: Annotated[Json | msgspec.UnsetType, Says(description="What the child sees as `trigger.data`.")] = (
        msgspec.UNSET
    )
    params: Annotated[dict[str, Json], Says(description="Values of the child's parameters.")] = {}
    inherit: Annotated[
        list[Literal["trigger", "params", "vars"]],
        Says(description="What the child gets of this execution: trigger (`input` replaces its data), params (those "
             "that it declares too), vars (as they are now)."),
    ] = []  # fmt: skip
    wait: Annotated[
        bool,
        Says(description="false: go on at once; the child is on its own, and the output is {execution}.",
             extra={"role": Role.STATIC}),
    ] = True  # fmt: skip
    max_depth: Annotated[
        int,
        Says(description="How many executions there may be above the child.", ge=1, le=1000,
             extra={"role": Role.STATIC}),
    ] = 16  # fmt: skip

    def __post_init__(self) -> None:
        if (self.workflow is None) == (self.file is None):
            raise ValueError("takes exactly one of workflow and file")


def check(written: Mapping[str, Json]) -> Iterator[Misfit]:
    if ("workflow" in written) == ("file" in written):
        yield (), "a node of type workflow takes exactly one of workflow and file", "write `workflow: name`"
    file = written.get("file")
    if isinstance(file, str) and "{{" not in file and (file.startswith(("/", "~")) or ".." in file.split("/")):
        yield ("file",), "only files inside the directory of workflow files can be started", "write a path from there"


async def run(ctx: Context, params: SubflowParams) -> Outcome:
    if ctx.wake is not None:
        return _ended(params, ctx.wake.answer)
    order = Child(
        workflow=params.workflow or "",
        file=params.file or "",
        data=params.input,
        params=params.params,
        inherit=tuple(params.inherit),
        max_depth=params.max_depth,
        detached=not params.wait,
    )
    try:
        id = await ctx.start(order)
    except CannotStart as error:
        return Fail(str(error), kind=error.kind)
    if not params.wait:
        return Done({"execution": id})
    return Wait(None, expects=Expectation(kind="execution", key=id, detail={"child": params.workflow or params.file}))


def _ended(params: SubflowParams, answer: Mapping[str, Json]) -> Outcome:
    status, id = answer["status"], answer["execution"]
    if status in _GOOD:
        return Done(answer["outputs"])
    error = answer["error"]
    why = f": {error['message']}" if isinstance(error, dict) and "message" in error else ""
    where = f" in {error['node']}" if isinstance(error, dict) and error.get("node") else ""
    return Fail(f"{params.workflow or params.file} {status}{where}{why} (execution {id})", kind="child")


SUBFLOW = NodeType(
    name="workflow",
    description=(
        "Runs another workflow, by name or file, as a child execution with events and checkpoints of its own; the "
        "output is the child's outputs. The version is bound when the child starts. This execution holds no slot "
        "meanwhile; pause, resume and cancel reach the child. A child that fails or is cancelled fails the node with "
        "kind `child`; one that can't be started with `not_found`, `invalid`, `not_allowed` or `recursion`."
    ),
    params=SubflowParams,
    run=run,
    check=check,
    effect=Effect.AT_LEAST_ONCE,
    example="""\
name: countdown
params:
  from: {type: integer, default: 3}
nodes:
  more: {type: if, condition: params.from > 0}
  rest: {type: workflow, needs: more.then, workflow: countdown, params: {from: "{{ params.from - 1 }}"}}
outputs: "{{ [params.from] + (nodes.rest | default([])) }}"
""",
)
