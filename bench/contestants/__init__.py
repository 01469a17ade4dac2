"""The same work, done by each contestant. One file each, imported only in the process that runs it.

    chain(executions, at_once, directory) -> durable steps per second: executions of ten steps, so many at once
    fan(executions, width, directory) -> nodes per second: one node, then `width` at once, then one that waits for all

ganglion.py    through the engine's public path: deploy a file, start by hand, wait for the fact
ceiling.py     the same rows and facts, statement by statement, group commit: no engine
langgraph.py   AsyncSqliteSaver, durability="sync"
dbos.py        its SQLite system database
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

STEPS = 10
"""Steps of the chain; each adds one."""

Execute = Callable[[int], Awaitable[object]]
"""One execution from its input to its durable end; returns the result."""


async def nodes_per_second(execute: Execute, executions: int, width: int) -> float:
    """Run that many fans, one after the other, after one to warm up. Each gives the number of nodes in its middle."""

    async def batch(count: int) -> float:
        began = time.perf_counter()
        for _ in range(count):
            result = await execute(width)
            assert result == width, f"{result} of {width} nodes"
        return count * (width + 2) / (time.perf_counter() - began)

    await batch(1)
    return await batch(executions)


async def steps_per_second(execute: Execute, executions: int, at_once: int) -> float:
    """Run that many chains, so many at once, after one each to warm up. Results are held to what they should be."""

    async def work(count: int) -> None:
        for _ in range(count):
            x = random.randrange(1_000_000)
            result = await execute(x)
            assert result == x + STEPS, f"{x} + {STEPS} is not {result}"

    async def batch(count: int) -> float:
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(work(count))
        return at_once * count * STEPS / (time.perf_counter() - began)

    await batch(1)
    return await batch(executions // at_once)
