"""`wait`: for a time, for a message, or for the end of another execution; no slot is held meanwhile."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Annotated

import msgspec

from engine.contract import Context, Done, Effect, Expectation, Fail, Misfit, NodeType, Outcome, Wait
from engine.definition.awaited import AwaitedMessage, check_awaited, wait_key
from engine.execution.control.sleep import SleepParams
from engine.execution.control.sleep import run as sleep
from engine.quantities import parse_duration
from engine.values import Json

Says = msgspec.Meta
SECOND = 1_000_000


class OnTimeout(StrEnum):
    """What becomes of a wait whose time is over."""

    FAIL = "fail"
    CONTINUE = "continue"


class WaitParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    duration: Annotated[
        str | float | None, Says(description="Wait so long, such as 30s, 5m or 7d; a number is seconds.")
    ] = None
    until: Annotated[str | None, Says(description="Wait until a time, RFC 3339.")] = None
    message: Annotated[AwaitedMessage | None, Says(description="Wait for a message; it may have come already.")] = None
    execution: Annotated[
        str | None, Says(description="Wait for the end of this execution, by its id; it may have ended already.")
    ] = None
    within: Annotated[
        str | float | None, Says(description="How long to wait for a message or an execution; without it, for ever.")
    ] = None
    on_timeout: Annotated[
        OnTimeout, Says(description="fail: the node fails with kind `timeout`. continue: its output is null.")
    ] = OnTimeout.FAIL

    def __post_init__(self) -> None:
        given = [name for name in _WAYS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"takes exactly one of {', '.join(_WAYS)}")


_WAYS = ("duration", "until", "message", "execution")


def check(written: Mapping[str, Json]) -> Iterator[Misfit]:
    given = [name for name in _WAYS if written.get(name) is not None]
    if len(given) != 1:
        yield (
            (),
            f"a wait takes exactly one of {', '.join(_WAYS)}, and here {_counted(given)}",
            "write it as `duration: 5m` or `message: {subject: …}`",
        )
    elif given[0] in ("duration", "until"):
        for name in ("within", "on_timeout"):
            if name in written:
                yield (name,), f"a wait for a time has no {name}", "remove it"
    message = written.get("message")
    if isinstance(message, Mapping):
        for path, said, hint in check_awaited(message):
            yield ("message", *path), said, hint


def _counted(names: list[str]) -> str:
    return f"are {' and '.join(names)}" if names else "is none"


async def run(ctx: Context, params: WaitParams) -> Outcome:
    if params.message is None and params.execution is None:
        return await sleep(ctx, SleepParams(duration=params.duration, until=params.until))
    if ctx.wake is None:
        try:
            until = None if params.within is None else ctx.now + round(parse_duration(params.within) * SECOND)
        except ValueError as error:
            return Fail(f"within: {error}", kind="invalid")
        return Wait(until, expects=_expectation(ctx, params))
    if not ctx.wake.answered:
        return _too_late(params)
    if params.execution is not None and ctx.wake.answer["status"] == "unknown":
        return Fail(f"there is no execution {params.execution[:64]}; `ganglion ps --all` lists them", kind="not_found")
    return Done(ctx.wake.answer)


def _expectation(ctx: Context, params: WaitParams) -> Expectation:
    if params.message is None:
        return Expectation(kind="execution", key=params.execution or "")
    node = ctx.path.rpartition("/")[2]
    awaited = params.message
    detail = {"subject": awaited.subject, "equals": awaited.equals}
    return Expectation(kind="message", key=wait_key(ctx.workflow, node, awaited, awaited.equals), detail=detail)


def _too_late(params: WaitParams) -> Outcome:
    if params.on_timeout is OnTimeout.CONTINUE:
        return Done(None)
    what = f"the end of {params.execution}" if params.message is None else f"a message on {params.message.subject}"
    return Fail(f"{what} did not come within {params.within}", kind="timeout")


WAIT = NodeType(
    name="wait",
    description=(
        "Waits for one of: a time (`duration`, `until`), a message, or the end of another execution, through restarts "
        "and without holding a slot. A message may arrive before the wait begins: those that nobody waits for are kept "
        "for `buffer`, at most 1,000 of a workflow, and taken by the first wait that fits. One message ends all waits "
        "that it fits. The output is the message {data, subject, headers, time, id}, or {execution, status, outputs, "
        "error} of the execution that ended, or {slept_until}. It fails with kind `timeout` when `within` is over, and "
        "`not_found` for an execution that is not there."
    ),
    params=WaitParams,
    run=run,
    check=check,
    effect=Effect.AT_LEAST_ONCE,
    example="""\
name: paid
description: Ship an order once it is paid.
triggers:
  - nats: {subject: "orders.new"}
nodes:
  payment:
    type: wait
    message: {subject: "orders.*.paid", key: message.data.order, equals: "{{ trigger.data.order | default(1) }}"}
    within: 50ms
    on_timeout: continue
  ship: {type: log, needs: payment, message: "payment: {{ nodes.payment }}"}
outputs: "{{ nodes.payment }}"
""",
)
