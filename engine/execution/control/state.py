"""`state`: values of the workflow that outlive its executions."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated

import msgspec

from engine.contract import Context, Done, Effect, Misfit, NodeType, Outcome, Static
from engine.values import Json


class Op(StrEnum):
    GET = "get"
    SET = "set"
    INCR = "incr"
    DELETE = "delete"
    COMPARE_AND_SET = "compare_and_set"


_FIELDS: dict[str, tuple[str, ...]] = {
    Op.GET: ("otherwise",),
    Op.SET: ("value",),
    Op.INCR: ("by",),
    Op.DELETE: (),
    Op.COMPARE_AND_SET: ("expected", "value"),
}
"""What each operation takes besides its key."""
_OPTIONAL = ("otherwise", "value", "by", "expected")


def describe(text: str) -> msgspec.Meta:
    return msgspec.Meta(description=text)


class StateParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    op: Annotated[Op, Static, describe("What to do: get, set, incr, delete or compare_and_set.")]
    key: Annotated[str, describe("Which value; up to 256 bytes of text. Each workflow has keys of its own.")]
    value: Annotated[Json, describe("For set and compare_and_set: the new value, up to 64 KiB as JSON.")] = None
    by: Annotated[int | float, describe("For incr: what is added; a key that is not there counts as 0.")] = 1
    expected: Annotated[
        Json, describe("For compare_and_set: what must be there; null also stands for a key that is not there.")
    ] = None
    otherwise: Annotated[Json, describe("For get: the output where the key is not there.")] = None


def check(written: Mapping[str, Json]) -> Iterator[Misfit]:
    """Each operation has fields of its own."""
    op = str(written.get("op"))
    allowed = _FIELDS.get(op, _OPTIONAL)
    for name in _OPTIONAL:
        if name in written and name not in allowed:
            yield (name,), f"{op} takes no {name}", "remove it"
    if op in (Op.SET, Op.COMPARE_AND_SET) and "value" not in written:
        yield (), "value is missing", "add `value: …`, what is to be kept"


async def run(ctx: Context, params: StateParams) -> Outcome:
    match params.op:
        case Op.GET:
            return Done(await ctx.state.get(params.key, params.otherwise))
        case Op.SET:
            await ctx.state.set(params.key, params.value)
            return Done(params.value)
        case Op.INCR:
            return Done(await ctx.state.incr(params.key, params.by))
        case Op.DELETE:
            return Done(await ctx.state.delete(params.key))
        case Op.COMPARE_AND_SET:
            return Done(await ctx.state.compare_and_set(params.key, params.expected, params.value))


STATE = NodeType(
    name="state",
    description=(
        "Reads or changes a value of the workflow that outlives its executions: a counter, what was last seen. Changes "
        "of several executions at once are made one after the other, and each happens exactly once, also through a "
        "crash. The output of get is the value, of set and incr the new value, of delete and compare_and_set whether "
        "anything was changed. It fails, with the kind `state`, where a value can't be kept or counted up."
    ),
    params=StateParams,
    run=run,
    effect=Effect.AT_LEAST_ONCE,
    check=check,
    example="""\
name: count-visits
params:
  visitor: {type: string, default: ada}
nodes:
  visits: {type: state, op: incr, key: "visits.{{ params.visitor }}"}
  before: {type: state, op: get, key: "seen.{{ params.visitor }}", otherwise: never}
  now: {type: state, op: set, needs: before, key: "seen.{{ params.visitor }}", value: "{{ trigger.time }}"}
outputs: "visit {{ nodes.visits }} of {{ params.visitor }}, last seen {{ nodes.before }}"
""",
)
