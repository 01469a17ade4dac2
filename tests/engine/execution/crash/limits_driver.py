"""The same life as in `driver`, with a node type that spends tokens: `ask` reserves twenty and uses ten."""

import asyncio
import sys
from pathlib import Path

import driver

from engine.contract import Context, Done, Effect, NodeType, Outcome
from plugins.registry import Registry

plain = driver.types


def types(sink: Path) -> Registry:
    async def ask(ctx: Context, params: driver.Params) -> Outcome:
        reservation = await ctx.reserve_tokens(20)
        driver.append(sink, f"{ctx.execution} {ctx.path} {ctx.attempt} {ctx.idempotency_key}")
        reservation.settle(10)
        return Done(params.data)

    known = plain(sink)
    asking = NodeType(
        name="ask", description="", params=driver.Params, run=ask, effect=Effect.AT_LEAST_ONCE, example=""
    )
    return Registry([asking, *(type for name in known.names() if (type := known.get(name)) is not None)])


if __name__ == "__main__":
    driver.types = types
    asyncio.run(driver.main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]).read_bytes()))
