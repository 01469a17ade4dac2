"""`form`: asks a person, and goes on with the answer."""

import hashlib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated

import msgspec

from engine.contract import Context, Done, Effect, Expectation, Fail, Misfit, NodeType, Outcome, Wait
from engine.definition.model import Param
from engine.definition.parameters import check_declared
from engine.quantities import parse_duration
from engine.values import Json, encode_json

Says = msgspec.Meta
SECOND = 1_000_000
MAX_FIELDS = 100
_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"


class OnExpiry(StrEnum):
    """What becomes of a form that nobody filled in."""

    FAIL = "fail"
    CONTINUE = "continue"
    DEFAULT = "default"


class FormParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    title: Annotated[str, Says(description="What is asked, in a line.")]
    message: Annotated[str, Says(description="What one should know to answer.")] = ""
    fields: Annotated[
        dict[str, Param],
        Says(description="What is to be filled in, declared like parameters: type, description, required, default, "
             "min, max, one_of …; without fields the form is only to be submitted."),
    ] = {}  # fmt: skip
    assignees: Annotated[
        list[str],
        Says(description="Names of those who may submit it, as they call themselves; without any, everybody."),
    ] = []  # fmt: skip
    within: Annotated[str | float | None, Says(description="How long it is open; without it, for ever.")] = None
    on_timeout: Annotated[
        OnExpiry,
        Says(description="fail: the node fails with kind `timeout`. continue: its output is null. default: the output "
             "holds the defaults of the fields."),
    ] = OnExpiry.FAIL  # fmt: skip


def check(written: Mapping[str, Json]) -> Iterator[Misfit]:
    if "on_timeout" in written and "within" not in written:
        yield ("on_timeout",), "a form without `within` is open for ever", "add `within: 1d`, or remove this"
    fields = written.get("fields")
    if isinstance(fields, Mapping) and b"{{" not in encode_json(fields):
        for path, message, hint in check_declared(fields):
            yield ("fields", *path), message, hint
        for name, field in fields.items() if written.get("on_timeout") == OnExpiry.DEFAULT else ():
            if isinstance(field, Mapping) and field.get("required"):
                yield ("fields", name), "with on_timeout: default it needs a default", "give it one instead of required"


async def run(ctx: Context, params: FormParams) -> Outcome:
    if ctx.wake is None:
        return _open(ctx, params)
    if ctx.wake.answered:
        return Done(ctx.wake.answer)
    if params.on_timeout is OnExpiry.CONTINUE:
        return Done(None)
    if params.on_timeout is OnExpiry.DEFAULT:
        values = {
            name: None if field.default is msgspec.UNSET else field.default for name, field in params.fields.items()
        }
        return Done({"values": values, "by": None, "at": None})
    return Fail(f"nobody filled in the form within {params.within}", kind="timeout")


def _open(ctx: Context, params: FormParams) -> Outcome:
    if len(params.fields) > MAX_FIELDS:
        return Fail(f"{len(params.fields)} fields are more than a form may have ({MAX_FIELDS})", kind="invalid")
    fields = {name: _written(field) for name, field in params.fields.items()}
    wrong = [f"fields.{'.'.join(map(str, path))}: {message}" for path, message, _ in check_declared(fields)]
    if wrong:
        return Fail("; ".join(wrong), kind="invalid")
    try:
        until = None if params.within is None else ctx.now + round(parse_duration(params.within) * SECOND)
    except ValueError as error:
        return Fail(f"within: {error}", kind="invalid")
    detail = {
        "title": params.title,
        "message": params.message,
        "fields": fields,
        "assignees": params.assignees,
    }
    return Wait(until, expects=Expectation(kind="form", key=_id(ctx), detail=detail))


def _written(field: Param) -> dict[str, Json]:
    """A field as a file would declare it."""
    values = msgspec.structs.asdict(field)
    known = {info.name: info.default for info in msgspec.structs.fields(Param)}
    return {name: value for name, value in values.items() if value is not known[name] and value is not msgspec.UNSET}


def _id(ctx: Context) -> str:
    """Ten digits that people can type: 50 bits, the same when a crash has it opened again."""
    digest = hashlib.sha256(f"{ctx.execution}/{ctx.path}/{ctx.attempt}".encode()).digest()
    return "".join(_DIGITS[byte & 31] for byte in digest[:10])


FORM = NodeType(
    name="form",
    description=(
        "Asks a person: an approval, a decision, a few values. It stands in the list of open forms (`ganglion forms`) "
        "until somebody submits it (`ganglion submit`, or the service `submit`), also through restarts; no slot is "
        "held meanwhile. What is submitted is checked against the fields. The output is {values, by, at}: who "
        "submitted what, and when. It fails with kind `timeout` when `within` is over."
    ),
    params=FormParams,
    run=run,
    check=check,
    effect=Effect.AT_LEAST_ONCE,
    example="""\
name: approval
nodes:
  ask:
    type: form
    title: "Restart pump 3?"
    fields:
      approve: {type: boolean, default: false, description: "true restarts it"}
      reason: {type: string, max_length: 200}
    within: 50ms
    on_timeout: default
  yes: {type: if, condition: nodes.ask.values.approve}
  restart: {type: log, needs: yes.then, message: "restarted for {{ nodes.ask.by }}"}
outputs: "{{ nodes.ask.values }}"
""",
)
