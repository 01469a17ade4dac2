"""One life of an engine that a test kills while a person has an execution run again.

    python rerun_driver.py FOLDER retry|fork

The first life runs an execution to its failure. Every later one finds what it failed at mended; a person who sees it
failed, or sees no fork of it, gives the order again, and the life ends when everything has completed. Run with
GANGLION_CRASH_AT=point:n to die at the n-th passing of a point.
"""

import asyncio
import sys
from pathlib import Path

import msgspec
from driver import append, unfinished

from engine.contract import Context, Done, Effect, Fail, NodeType, Outcome
from engine.engine import Engine
from engine.events import Bus, Identity
from engine.execution.control import control_types
from engine.execution.services import ExecutionConfig, Services
from engine.states import ExecutionState
from engine.store import Store, executions
from engine.store.executions import ExecutionRow
from engine.values import Json
from plugins.registry import Registry

WORKFLOW = b"""\
name: w
nodes:
  list: {type: effect, data: [1, 2, 3, 4]}
  scan:
    type: foreach
    items: nodes.list
    concurrency: 2
    nodes:
      fetch: {type: effect, data: "{{ item }}"}
      pay: {type: effect, data: "{{ nodes.fetch * 10 }}"}
    output: "{{ nodes.pay }}"
  last: {type: effect, data: "{{ nodes.scan }}"}
outputs: "{{ nodes.last }}"
"""
BROKEN = 30


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    data: Json = None


async def main(folder: Path, order: str) -> None:
    mended = folder / "mended"

    async def act(ctx: Context, params: Params) -> Outcome:
        if params.data == BROKEN and not mended.exists():
            return Fail("no")
        append(folder / "sink", f"{ctx.execution} {ctx.path} {ctx.attempt} {ctx.idempotency_key}")
        return Done(params.data)

    effect = NodeType(
        name="effect", description="", params=Params, run=act, effect=Effect.AT_LEAST_ONCE, example=""
    )  # fmt: skip
    bus = Bus()
    async with Store.open(folder / "ganglion.db", bus=bus) as store:
        services = Services(bus=bus, config=ExecutionConfig(max_deaths=1000))
        engine = Engine(
            store, types=Registry([*control_types(), effect]), services=services,
            identity=Identity("a1", "default", store.epoch),
        )  # fmt: skip
        await engine.prepare()
        await engine.deploy(WORKFLOW)
        with bus.subscribe(live=False, limit=100_000) as facts:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(engine.run())
                if not await every(store):
                    await engine.intake.start_by_hand("w")
                else:
                    await give(engine, order, await every(store))
                while await unfinished(store):
                    await facts.wait()
                mended.touch()
                engine.drain()


async def give(engine: Engine, order: str, rows: list[ExecutionRow]) -> None:
    first = min(rows, key=lambda row: row.num)
    if order == "retry" and first.status is ExecutionState.FAILED:
        await engine.rerun.retry(first.id)
    if order == "fork" and len(rows) == 1:
        await engine.forking.fork(first.id, place="scan[1]")


async def every(store: Store) -> list[ExecutionRow]:
    return await store.read(executions.listing)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
