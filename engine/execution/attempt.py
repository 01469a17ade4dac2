"""One try of one node: its code is called, and whatever happens becomes an Outcome."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Iterable

import msgspec

from engine.contract import Done, Fail, LimitReached, Outcome, Retry, StateRefused, Wait
from engine.execution.context import AttemptContext
from engine.execution.services import Services
from engine.planning.plan import PlannedNode
from engine.ports import NoResponders, Unreachable
from engine.secrets import UnknownSecret
from engine.store.values import LARGE
from engine.values import InvalidValue, Json, check_value, encode_json

MAX_SECONDS = 10 * 366 * 86_400
"""The longest wait that a node may ask for."""


async def attempt(
    node: PlannedNode, ctx: AttemptContext, params: msgspec.Struct, *, limit: float | None, services: Services
) -> Outcome:
    """Call the node's code, for at most `limit` seconds. Raises nothing but CancelledError."""
    clock = None if limit is None else asyncio.timeout(limit)
    try:
        if clock is None:
            return await node.type.run(ctx, params)
        async with clock:
            return await node.type.run(ctx, params)
    except TimeoutError as error:
        if clock is not None and clock.expired():
            return Retry(f"no result within {limit:g} s", kind="timeout")
        return Retry(str(error) or "timed out", kind="timeout")
    except (Unreachable, NoResponders) as error:
        return Retry(str(error) or "nothing answered", kind="unreachable")
    except UnknownSecret as error:
        return Fail(str(error), kind="secret")
    except StateRefused as error:
        return Fail(str(error), kind="state")
    except LimitReached as error:
        return Fail(str(error), kind="limit")
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        # Nobody cancelled this attempt: its code awaited something that was cancelled, and let that pass.
        return _bug(node, ctx, error, services)
    except Exception as error:
        return _bug(node, ctx, error, services)


def attempt_inline(node: PlannedNode, ctx: AttemptContext, params: msgspec.Struct, *, services: Services) -> Outcome:
    """The same for a pure node, which returns without ever suspending: no task, no timer."""
    try:
        code: Awaitable[Outcome] = node.type.run(ctx, params)
        steps = code.__await__()
        try:
            next(steps)
        except StopIteration as returned:
            outcome: Outcome = returned.value
            return outcome
        steps.close()
    except (Exception, asyncio.CancelledError) as error:
        return _bug(node, ctx, error, services)
    return Fail("the node waited for something, which a pure node must not do", kind="bug")


class Handed:
    """Values that came from stored bytes before and that nobody changes, so that they need no copy when a node gives
    them on. One per execution; the newest large output is known with its bytes."""

    __slots__ = ("body", "scope", "value")

    def __init__(self) -> None:
        self.value: Json = None
        self.body = b"null"
        self.scope: Callable[[], Iterable[Json]] = tuple
        """Everything that the node could see."""


def checked(
    outcome: object, node: PlannedNode, ctx: AttemptContext, max_bytes: int, handed: Handed | None = None
) -> tuple[Outcome, bytes]:  # fmt: skip
    """What is kept of an outcome, and the bytes of its output or memo.

    Code of others returned it: what can't be stored becomes a failure here, before anything is built on it. The output
    that later nodes see is the one that its bytes give, so that they see the same after a crash. Secrets that the
    attempt revealed are masked in it, in errors, and in what it published.

    `handed`: what the node could hand on. An output that is large and is in scope already, or holds what is, is not
    copied (see test_output_that_is_handed_on_is_not_copied).
    """
    match outcome:
        case Done(output=output, port=port):
            if port not in node.ports:
                known = ", ".join(sorted(name for name in node.ports if name is not None)) or "none"
                return Fail(f"the node took the port {port!r}; its ports are: {known}", kind="bug"), b""
            try:
                output, body = _json(output, ctx, handed, is_ours=bool(node.bodies))
            except (InvalidValue, TypeError, ValueError, RecursionError) as error:
                return Fail(f"the output is not JSON data: {_text(str(error))}", kind="bug"), b""
            if len(body) > max_bytes:
                return Fail(f"the output of {len(body)} bytes is larger than {max_bytes}", kind="too_large"), b""
            ctx.mask_publications()
            return Done(output, port), body
        case Fail(error=error, kind=kind):
            return Fail(ctx.scrub(_text(error)), kind=_text(kind, 64)), b""
        case Retry(error=error, after=after, kind=kind):
            if not (isinstance(after, int | float) and after <= MAX_SECONDS):
                return Fail(f"the node asked to be tried again after {after!r} seconds", kind="bug"), b""
            return Retry(ctx.scrub(_text(error)), max(0.0, after), kind=_text(kind, 64)), b""
        case Wait(until=until, memo=memo, expects=expects):
            forever = until is None and expects is not None
            if not forever and not (isinstance(until, int) and until <= ctx.now + MAX_SECONDS * 1_000_000):
                return Fail(f"the node waits until {until!r}, which is no time within ten years", kind="bug"), b""
            try:
                memo, body = _json(memo, ctx)
            except (InvalidValue, TypeError, ValueError, RecursionError) as error:
                return Fail(f"the memo is not JSON data: {_text(str(error))}", kind="bug"), b""
            return Wait(None if until is None else max(0, until), memo, expects), body
        case _:
            return Fail(f"the node returned {type(outcome).__name__}, which is no outcome", kind="bug"), b""


def _json(
    value: Json, ctx: AttemptContext, handed: Handed | None = None, *, is_ours: bool = False
) -> tuple[Json, bytes]:
    """The value and its bytes. `is_ours`: our own code made it, of JSON data."""
    kind = type(value)
    if handed is not None and handed.value is value and not ctx.revealed:
        return value, handed.body
    if kind is not str:
        check_value(value)
    body = encode_json(value)
    if not (kind is str or kind is int or kind is bool or value is None or kind is float):
        if len(body) <= LARGE or handed is None or ctx.revealed:
            value = msgspec.json.decode(body)
        else:
            value = value if is_ours else _adopted(value, body, handed.scope())
            handed.value, handed.body = value, body
    if ctx.revealed:
        value = ctx.masked(value)
        body = encode_json(value)
    return value, body


def _adopted(value: Json, body: bytes, scope: Iterable[Json]) -> Json:
    """What `body` gives, without another copy of what is in scope already."""
    held = {id(one): one for one in scope if _is_container(one)}
    if id(value) in held:
        return value
    known = set(held)
    for one in held.values():
        known.update(id(member) for member in _members(one) if _is_container(member))
    if not any(id(member) in known for member in _members(value)):
        return msgspec.json.decode(body)

    def adopt(member: Json) -> Json:
        return member if id(member) in known else msgspec.json.decode(encode_json(member))

    if isinstance(value, dict):
        return {str(name): adopt(member) for name, member in value.items()}
    return [adopt(member) for member in value]


def _members(value: Json) -> Iterable[Json]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list | tuple) else ()


def _is_container(value: Json) -> bool:
    return isinstance(value, dict | list)


def _text(text: object, limit: int = 4000) -> str:
    """Text of others, fit to be stored and shown."""
    text = str(text).encode(errors="replace").decode()
    return text if len(text) <= limit else text[:limit] + " …"


def _bug(node: PlannedNode, ctx: AttemptContext, error: BaseException, services: Services) -> Fail:
    trace = "".join(traceback.format_exception(error))
    services.log(
        "error",
        f"node type {node.type.name} has a bug",
        {"execution": ctx.execution, "node": ctx.path, "trace": ctx.scrub(_text(trace, 20_000))},
    )
    return Fail(f"{type(error).__name__}: {error}", kind="bug")
