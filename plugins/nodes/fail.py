"""`fail`: an end that somebody should see."""

from typing import Annotated

import msgspec

from engine.contract import Context, Effect, Fail, NodeType, Outcome


class FailParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    message: Annotated[str, msgspec.Meta(description="Why, for the person who reads it.")]
    kind: Annotated[
        str,
        msgspec.Meta(
            description="One word for conditions and catch filters: `errors.<id>.kind`.",
            pattern="^[a-z][a-z0-9_]{0,63}$",
        ),
    ] = "failed"


async def run(ctx: Context, params: FailParams) -> Outcome:
    return Fail(params.message, kind=params.kind)


FAIL = NodeType(
    name="fail",
    description=(
        "Fails on purpose, for data that must not go on. It is never retried; with the usual `on_error: fail` the "
        "execution ends failed with this message, and `errors.<id>` holds its kind and message for handlers."
    ),
    params=FailParams,
    run=run,
    effect=Effect.PURE,
    pure_capable=True,
    example="""\
name: refuse
params:
  celsius: {type: number, default: 99}
nodes:
  implausible:
    type: fail
    when: params.celsius > 60
    kind: implausible
    message: "{{ params.celsius }} C is not a temperature of a fridge: check the sensor"
""",
)
