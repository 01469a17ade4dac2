"""`sleep`: wait for a while or until a time, also through restarts, without holding a slot."""

from typing import Annotated

import msgspec

from engine.clock import format_time, parse_time
from engine.contract import Context, Done, Effect, Fail, NodeType, Outcome, Wait
from engine.quantities import parse_duration


class SleepParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    duration: Annotated[
        str | float | None, msgspec.Meta(description="How long, such as 30s, 5m or 7d; a number is seconds.")
    ] = None
    until: Annotated[str | None, msgspec.Meta(description="A time, RFC 3339; one that has passed ends at once.")] = None

    def __post_init__(self) -> None:
        if (self.duration is None) == (self.until is None):
            raise ValueError("takes exactly one of `duration` and `until`")


async def run(ctx: Context, params: SleepParams) -> Outcome:
    if ctx.wake is not None:
        return Done({"slept_until": format_time(ctx.wake.at)})
    try:
        if params.until is not None:
            until = parse_time(params.until)
        else:
            until = ctx.now + round(parse_duration(params.duration) * 1_000_000)
    except ValueError as error:
        return Fail(str(error), kind="invalid")
    if until <= ctx.now:
        return Done({"slept_until": format_time(until)})
    return Wait(until)


SLEEP = NodeType(
    name="sleep",
    description=(
        "Waits for a duration or until a time. The timer is a row: it survives restarts, and a sleeping execution "
        "holds no slot. The output is {slept_until}."
    ),
    params=SleepParams,
    run=run,
    effect=Effect.AT_LEAST_ONCE,
    example="""\
name: remind
nodes:
  pause: {type: sleep, duration: 50ms}
  after: {type: transform, needs: pause, data: "time is up"}
outputs: "{{ nodes.after }}"
""",
)
