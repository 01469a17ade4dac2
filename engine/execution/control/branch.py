"""`if` and `switch`: which way an execution goes on."""

from collections.abc import Mapping
from typing import Annotated

import msgspec

from engine.contract import Context, Done, Effect, Fail, NodeType, Outcome, Role
from engine.values import Json, kind_of

Expression = {"role": Role.EXPRESSION}


class IfParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    condition: Annotated[
        Json, msgspec.Meta(description="An expression without braces; it must give true or false.", extra=Expression)
    ]


async def run_if(ctx: Context, params: IfParams) -> Outcome:
    value = params.condition
    if not isinstance(value, bool):
        return Fail(
            f"condition gave {kind_of(value)}, not true or false: compare it, such as `x > 0` or `x is defined`",
            kind="invalid",
        )
    return Done(value, port="then" if value else "else")


IF = NodeType(
    name="if",
    description=(
        "Takes one of two ways. Nodes that say `needs: <id>.then` run when the condition is true, those that say "
        "`needs: <id>.else` when it is false; the others are skipped. The output is the condition's value."
    ),
    params=IfParams,
    run=run_if,
    effect=Effect.PURE,
    pure_capable=True,
    ports=lambda _: ("then", "else"),
    example="""\
name: too-warm
params:
  celsius: {type: number, default: 9.5}
nodes:
  warm: {type: if, condition: params.celsius > 8}
  alarm: {type: transform, needs: warm.then, data: "{{ params.celsius }} C is too warm"}
  calm: {type: transform, needs: warm.else, data: "{{ params.celsius }} C is fine"}
outputs: "{{ nodes.alarm | default(nodes.calm) }}"
""",
)


class SwitchParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    value: Annotated[Json, msgspec.Meta(description="An expression without braces.", extra=Expression)]
    cases: Annotated[
        dict[str, Json],
        msgspec.Meta(
            description="Port name -> the value, or list of values, that takes it; read at deploy.",
            extra={"role": Role.STATIC},
        ),
    ]


async def run_switch(ctx: Context, params: SwitchParams) -> Outcome:
    for port, wanted in params.cases.items():
        for candidate in wanted if isinstance(wanted, list) else [wanted]:
            # True == 1 in Python; for people they are different.
            if kind_of(candidate) == kind_of(params.value) and candidate == params.value:
                return Done(port, port=port)
    return Done("default", port="default")


def _switch_ports(written: Mapping[str, Json]) -> tuple[str, ...]:
    cases = written.get("cases")
    return (*(cases if isinstance(cases, dict) else ()), "default")


SWITCH = NodeType(
    name="switch",
    description=(
        "Takes one of several ways: the first case that holds the value, else `default`. Nodes say "
        "`needs: <id>.<case>`. The output is the name of the port that was taken."
    ),
    params=SwitchParams,
    run=run_switch,
    effect=Effect.PURE,
    pure_capable=True,
    ports=_switch_ports,
    example="""\
name: by-colour
params:
  colour: {type: string, default: R}
nodes:
  pick: {type: switch, value: params.colour, cases: {red: [r, R], blue: b}}
  warm: {type: transform, needs: pick.red, data: warm}
  cold: {type: transform, needs: pick.blue, data: cold}
  other: {type: transform, needs: pick.default, data: unknown}
outputs: "{{ nodes.warm | default(nodes.cold) | default(nodes.other) }}"
""",
)
