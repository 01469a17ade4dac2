"""`transform`: new data from old."""

from typing import Annotated

import msgspec

from engine.contract import Context, Done, Effect, NodeType, Outcome
from engine.values import Json


class TransformParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    data: Annotated[Json, msgspec.Meta(description="What the output is: any value; texts inside are evaluated.")]


async def run(ctx: Context, params: TransformParams) -> Outcome:
    return Done(params.data)


TRANSFORM = NodeType(
    name="transform",
    description=(
        "Builds new data. The output is `data` with every text in it evaluated; a text that is exactly one {{ … }} "
        "keeps its kind, so lists and objects pass through filters such as map, select, sort and group_by. It touches "
        "nothing outside and is never waited for."
    ),
    params=TransformParams,
    run=run,
    effect=Effect.PURE,
    pure_capable=True,
    example="""\
name: fahrenheit
params:
  limit: {type: number, default: 8}
nodes:
  reading:
    type: transform
    data: {device: fridge-7, celsius: 9.5}
  report:
    type: transform
    data:
      device: "{{ nodes.reading.device }}"
      fahrenheit: "{{ nodes.reading.celsius * 9 / 5 + 32 }}"
      text: "{{ nodes.reading.device }} is {{ nodes.reading.celsius - params.limit }} C above its limit"
outputs: "{{ nodes.report }}"
""",
)
