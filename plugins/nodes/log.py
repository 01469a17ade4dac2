"""`log`: a line in the agent's log."""

from typing import Annotated, Literal

import msgspec

from engine.contract import Context, Done, Effect, NodeType, Outcome
from engine.values import Json


class LogParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    message: Annotated[str, msgspec.Meta(description="The line; it is also the output.")]
    level: Annotated[
        Literal["debug", "info", "warning", "error"], msgspec.Meta(description="How much it matters to the reader.")
    ] = "info"
    data: Annotated[
        Json | msgspec.UnsetType, msgspec.Meta(description="Structured data beside the line, as the field `data`.")
    ] = msgspec.UNSET


async def run(ctx: Context, params: LogParams) -> Outcome:
    if params.data is msgspec.UNSET:
        ctx.log(params.message, level=params.level)
    else:
        ctx.log(params.message, level=params.level, data=params.data)
    return Done(params.message)


LOG = NodeType(
    name="log",
    description=(
        "Writes a line to the agent's log, marked with execution and node. The output is the message. A line is seen "
        "by people and log collectors, so it counts as an effect: it waits until what it tells is durable, and after "
        "a crash it may appear twice."
    ),
    params=LogParams,
    run=run,
    effect=Effect.AT_LEAST_ONCE,
    example="""\
name: say
nodes:
  reading:
    type: transform
    data: {device: fridge-7, celsius: 9.5}
  say:
    type: log
    level: warning
    message: "{{ nodes.reading.device }} is at {{ nodes.reading.celsius }} C"
    data: "{{ nodes.reading }}"
outputs: {said: "{{ nodes.say }}"}
""",
)
