"""One try of one node: its code is called, and whatever happens becomes an Outcome."""

import asyncio
import traceback
from collections.abc import Awaitable

import msgspec

from engine.contract import Done, Fail, Outcome, Retry, Wait
from engine.execution.context import AttemptContext
from engine.execution.plan import PlannedNode
from engine.execution.services import Services
from engine.ports import NoResponders, Unreachable
from engine.secrets import UnknownSecret
from engine.values import InvalidValue, Json, check_value, encode_json


async def attempt(
    node: PlannedNode, ctx: AttemptContext, params: msgspec.Struct, *, limit: float | None, services: Services
) -> Outcome:
    """Call the node's code, for at most `limit` seconds. Raises nothing but CancelledError."""
    clock = asyncio.timeout(limit)
    try:
        async with clock:
            return await node.type.run(ctx, params)
    except TimeoutError as error:
        if clock.expired():
            return Retry(f"no result within {limit:g} s", kind="timeout")
        return Retry(str(error) or "timed out", kind="timeout")
    except (Unreachable, NoResponders) as error:
        return Retry(str(error) or "nothing answered", kind="unreachable")
    except UnknownSecret as error:
        return Fail(str(error), kind="secret")
    except Exception as error:
        return _bug(node, ctx, error, services)


def attempt_inline(node: PlannedNode, ctx: AttemptContext, params: msgspec.Struct, *, services: Services) -> Outcome:
    """The same for a pure node, which returns without ever suspending: no task, no timer."""
    code: Awaitable[Outcome] = node.type.run(ctx, params)
    steps = code.__await__()
    try:
        next(steps)
    except StopIteration as returned:
        outcome: Outcome = returned.value
        return outcome
    except Exception as error:
        return _bug(node, ctx, error, services)
    steps.close()
    return Fail("the node waited for something, which a pure node must not do", kind="bug")


def checked(outcome: object, node: PlannedNode, ctx: AttemptContext, max_bytes: int) -> tuple[Outcome, bytes]:
    """The outcome with its output verified, and the output's bytes. Errors lose the secrets that the attempt used."""
    if not isinstance(outcome, Done | Fail | Retry | Wait):
        return Fail(f"the node returned {type(outcome).__name__}, which is no outcome", kind="bug"), b""
    match outcome:
        case Done(output=output):
            try:
                if type(output) is not str:
                    check_value(output)
                body = encode_json(output)
            except (InvalidValue, TypeError, ValueError) as error:
                return Fail(f"the output is not JSON data: {error}", kind="invalid_output"), b""
            if len(body) > max_bytes:
                return Fail(f"the output of {len(body)} bytes is larger than {max_bytes}", kind="too_large"), b""
            if node.plain_output:
                return msgspec.structs.replace(outcome, output=_plain(body)), body
            return outcome, body
        case Fail(error=error):
            return msgspec.structs.replace(outcome, error=_bounded(ctx.scrub(error))), b""
        case Retry(error=error):
            return msgspec.structs.replace(outcome, error=_bounded(ctx.scrub(error))), b""
        case Wait(memo=memo):
            return outcome, encode_json(memo)


def _plain(body: bytes) -> Json:
    return msgspec.json.decode(body)


def _bounded(text: str, limit: int = 4000) -> str:
    return text if len(text) <= limit else text[:limit] + " …"


def _bug(node: PlannedNode, ctx: AttemptContext, error: Exception, services: Services) -> Fail:
    trace = "".join(traceback.format_exception(error))
    services.log(
        "error",
        f"node type {node.type.name} has a bug",
        {"execution": ctx.execution, "node": ctx.path, "trace": ctx.scrub(trace)},
    )
    return Fail(f"{type(error).__name__}: {error}", kind="bug")
