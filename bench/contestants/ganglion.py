"""Ganglion through its public path: a file is deployed, executions are started by hand, facts tell of the end."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import uvloop

from agent.collector import spare_what_stays
from contestants import STEPS, nodes_per_second, steps_per_second
from engine.contract import Context, Done, Effect, NodeType, Outcome
from engine.engine import Engine
from engine.events import Bus, Event, Identity, Kind
from engine.execution.control import control_types
from engine.execution.services import ExecutionConfig, Services
from engine.store import Store
from engine.values import Json, encode_json
from plugins.nodes import builtin_types
from plugins.registry import Registry


class StepParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    data: Json = None


async def _run(ctx: Context, params: StepParams) -> Outcome:
    return Done(params.data)


STEP = NodeType(
    name="step",
    description="Does nothing, but counts as an effect: it waits for the commit of what it was built from.",
    params=StepParams,
    run=_run,
    effect=Effect.AT_LEAST_ONCE,
    example="name: one\nnodes: {a: {type: step}}\n",
)


def chain(executions: int, at_once: int, directory: Path) -> float:
    return uvloop.run(_chain(executions, at_once, directory))


def fan(executions: int, width: int, directory: Path) -> float:
    return uvloop.run(_fan(executions, width, directory))


def chain_file() -> bytes:
    """The chain as a person writes it: each step adds one to the step before."""
    lines = ["name: chain", "nodes:", '  s0: {type: step, data: "{{ trigger.data.x + 1 }}"}']
    lines += [f'  s{i}: {{type: step, data: "{{{{ nodes.s{i - 1} + 1 }}}}"}}' for i in range(1, STEPS)]
    return "\n".join([*lines, f'outputs: "{{{{ nodes.s{STEPS - 1} }}}}"', ""]).encode()


def fan_file(width: int) -> bytes:
    """A fan as a program writes it."""
    nodes: dict[str, Json] = {"first": {"type": "step", "data": "{{ trigger.data.x }}"}}
    nodes |= {f"n{i}": {"type": "step", "data": f"{{{{ nodes.first - {i} }}}}"} for i in range(width)}
    nodes["last"] = {"type": "step", "needs": [f"n{i}" for i in range(width)], "data": "{{ nodes.n0 }}"}
    return encode_json({"name": "fan", "nodes": nodes, "outputs": "{{ nodes.last }}"})


def loop(items: int, at_once: int, kind: str, directory: Path) -> float:
    return uvloop.run(_loop(items, at_once, kind, directory))


def loop_file(items: int, at_once: int, kind: str) -> bytes:
    """A loop with one node of this type in its body."""
    body = {"twice": {"type": kind, "data": "{{ item * 2 }}"}}
    scan: dict[str, Json] = {
        "type": "foreach", "items": f"range({items})", "max_iterations": items, "concurrency": at_once, "nodes": body,
    }  # fmt: skip
    return encode_json({"name": "loop", "nodes": {"scan": scan}, "outputs": "{{ nodes.scan | length }}"})


class _Ends:
    """Waits for the end of executions, and holds it to what it should be."""

    def __init__(self) -> None:
        self._ends: dict[str, asyncio.Future[Event]] = {}

    def of(self, execution: str) -> asyncio.Future[Event]:
        """The fact may come before anybody asks for it."""
        return self._ends.setdefault(execution, asyncio.get_running_loop().create_future())

    def told(self, facts: list[Event]) -> None:
        for fact in facts:
            if fact.kind in (Kind.WORKFLOW_COMPLETED, Kind.WORKFLOW_FAILED):
                self.of(fact.execution).set_result(fact)

    async def outputs(self, execution: str) -> Json:
        fact = await self.of(execution)
        del self._ends[execution]
        assert isinstance(fact.data, msgspec.Raw)
        data = msgspec.json.decode(fact.data)
        assert fact.kind is Kind.WORKFLOW_COMPLETED, data
        return data["outputs"]


@asynccontextmanager
async def _engine(directory: Path, config: ExecutionConfig) -> AsyncIterator[tuple[Engine, _Ends]]:
    bus = Bus()
    async with Store.open(directory / "store.db", bus=bus) as store:
        ends = _Ends()
        store.listeners.append(ends.told)
        engine = Engine(
            store,
            types=Registry((*control_types(), *builtin_types(), STEP)),
            services=Services(bus=bus, config=config),
            identity=Identity("bench", "default", store.epoch),
        )
        await engine.prepare()
        async with asyncio.TaskGroup() as group:
            group.create_task(engine.run())
            yield engine, ends
            engine.drain()


async def _chain(executions: int, at_once: int, directory: Path) -> float:
    async with _engine(directory, ExecutionConfig(max_executions=at_once)) as (engine, ends):
        await engine.deploy(chain_file())
        spare_what_stays()

        async def execute(x: int) -> Json:
            started = await engine.intake.start_by_hand("chain", data={"x": x}, kind="bench")
            return await ends.outputs(started.execution)

        return await steps_per_second(execute, executions, at_once)


async def _fan(executions: int, width: int, directory: Path) -> float:
    async with _engine(directory, ExecutionConfig()) as (engine, ends):
        await engine.deploy(fan_file(width), filename="fan.json")
        spare_what_stays()

        async def execute(x: int) -> Json:
            started = await engine.intake.start_by_hand("fan", data={"x": x}, kind="bench")
            return await ends.outputs(started.execution)

        return await nodes_per_second(execute, executions, width)


async def _loop(items: int, at_once: int, kind: str, directory: Path) -> float:
    async with _engine(directory, ExecutionConfig(max_concurrent_nodes=at_once)) as (engine, ends):
        await engine.deploy(loop_file(items, at_once, kind), filename="loop.json")
        spare_what_stays()
        begun = time.perf_counter()
        started = await engine.intake.start_by_hand("loop", kind="bench")
        assert await ends.outputs(started.execution) == items
        return items / (time.perf_counter() - begun)
