"""The node types of a simulation: each attempt plays its script, and the oracle sees what it does to the world."""

import asyncio
from typing import Annotated

import msgspec

from engine.contract import Context, Done, Effect, Fail, NodeType, Outcome, Retry, Static, Wait
from engine.crash import crash_point
from engine.execution.control import control_types
from engine.ports import Unreachable
from engine.values import Json
from plugins.registry import Registry
from tests.simulation.oracle import Oracle
from tests.simulation.script import ENDS, STALL_SECONDS, Move, behaviour, output


class Params(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    n: int
    """The message's number."""
    sees: Json = None
    stalls: Annotated[bool, Static] = False
    tells: Annotated[bool, Static] = False


class Acting:
    """`act` (at least once), `once` (at most once), `calc` (pure), beside the engine's own types."""

    oracle: Oracle
    """Of the run that is played now."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.dead = False
        """The process is: what its code still does touches nothing."""
        self.attempts = 0
        """Begun in this life."""

    def types(self) -> Registry:
        own = self._made("act", Effect.AT_LEAST_ONCE), self._made("once", Effect.AT_MOST_ONCE)
        return Registry([*control_types(), *own, self._made("calc", Effect.PURE)])

    def _made(self, name: str, effect: Effect) -> NodeType:
        async def run(ctx: Context, params: Params) -> Outcome:
            return await self._act(name, ctx, params)

        async def calculate(ctx: Context, params: Params) -> Outcome:
            return Done(output(ctx.path, params.n, params.sees))

        pure = effect is Effect.PURE
        return NodeType(
            name=name, description="", example="", params=Params, run=calculate if pure else run, effect=effect,
            pure_capable=pure,
        )  # fmt: skip

    async def _act(self, type: str, ctx: Context, params: Params) -> Outcome:
        result = output(ctx.path, params.n, params.sees)
        script = behaviour(
            self._seed, ctx.workflow, params.n, ctx.path, ctx.attempt, once=type == "once", stalls=params.stalls
        )
        if not self.dead:
            self.attempts += 1
            self.oracle.began(ctx, effect=type)
            crash_point("node-begins")
        if script.wait is not None and ctx.wake is None:
            return Wait(ctx.now + round(script.wait * 1_000_000), memo={"n": params.n})
        if ctx.wake is not None and ctx.wake.memo != {"n": params.n} and not self.dead:
            self.oracle.violate(f"{ctx.path} of {ctx.execution} woke with {ctx.wake.memo}")
        if script.before:
            await asyncio.sleep(script.before)
        if script.move in ENDS and not self.dead:
            self.oracle.affected(ctx, result if script.move is Move.DONE else None, effect=type)
            crash_point("node-acts")
        if script.after:
            await asyncio.sleep(script.after)
        return await _moved(script.move, ctx, params, result)


async def _moved(move: Move, ctx: Context, params: Params, result: Json) -> Outcome:
    match move:
        case Move.DONE:
            if params.tells:
                ctx.publish("out", str(params.n).encode())
            return Done(result)
        case Move.FAIL:
            if params.tells:
                ctx.publish("out", b"never sent")
            return Fail("it was to be")
        case Move.BUG:
            raise ZeroDivisionError("it was to be")
        case Move.RETRY:
            return Retry("not yet", after=1.0)
        case Move.UNREACHABLE:
            raise Unreachable("nobody there")
        case Move.TIMEOUT:
            raise TimeoutError
        case Move.STALL:
            await asyncio.sleep(STALL_SECONDS)
            return Fail("nobody stopped it")
