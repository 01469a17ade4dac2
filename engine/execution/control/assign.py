"""`set`: give variables of the execution new values."""

from typing import Annotated

import msgspec

from engine.contract import Context, Done, Effect, NodeType, Outcome
from engine.definition.model import SET_TYPE
from engine.values import Json


class SetParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    vars: Annotated[
        dict[str, Json],
        msgspec.Meta(description="Variable -> its new value. Each is declared under `vars` of the workflow."),
    ]


async def run(ctx: Context, params: SetParams) -> Outcome:
    return Done(params.vars)


SET = NodeType(
    name=SET_TYPE,
    description=(
        "Gives variables of the execution new values; nodes that start later see them as `vars.<name>`. All values are "
        "evaluated before any is assigned. Variables are checkpointed like outputs: after a crash they are what they "
        "were. They last as long as the execution; what outlives it is a `state`. The output is the object of values."
    ),
    params=SetParams,
    run=run,
    effect=Effect.PURE,
    pure_capable=True,
    example="""\
name: count-and-add
vars: {count: 0, total: 0}
nodes:
  add:
    type: foreach
    items: "[3, 4, 5]"
    nodes:
      sum: {type: set, vars: {count: "{{ vars.count + 1 }}", total: "{{ vars.total + item }}"}}
  mean: {type: transform, needs: add, data: "{{ vars.total / vars.count }}"}
outputs: "{{ nodes.mean }}"
""",
)
