"""A full queue stops the fetching, from a real server into a real engine."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from nats.aio.client import Client

from engine.contract import Context, Done, Effect, NodeType, Outcome
from engine.engine import Engine
from engine.events import Bus, Identity
from engine.execution.services import Services
from engine.store import Store
from engine.values import Json
from mesh.connection import Connection, Link
from mesh.intake import Pump

pytestmark = pytest.mark.nats

Pumping = Callable[..., AbstractAsyncContextManager[Pump]]
WORKFLOW = """
name: {name}
triggers: [{{nats: {{subject: {subject}{stream}}}}}]
flow: {{concurrency: 1, queue: {{max: 100, low: 50}}}}
nodes:
  a: {{type: stay, data: "{{{{ trigger.data }}}}"}}
"""


class Params(msgspec.Struct, frozen=True, kw_only=True):
    data: Json = None


class Stay:
    """Nodes stay until they are let go."""

    def __init__(self) -> None:
        self.began: list[Json] = []
        self.open = asyncio.Event()
        self.changed = asyncio.Event()

    async def run(self, ctx: Context, params: Params) -> Outcome:
        self.began.append(params.data)
        self.changed.set()
        await self.open.wait()
        return Done(None)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.began) < count:
                self.changed.clear()
                await self.changed.wait()


class Types:
    """One node type."""

    def __init__(self, stay: Stay) -> None:
        self.stay = NodeType(
            name="stay", description="", example="", params=Params, run=stay.run, effect=Effect.AT_LEAST_ONCE
        )

    def get(self, name: str) -> NodeType | None:
        return self.stay if name == "stay" else None

    def names(self) -> tuple[str, ...]:
        return ("stay",)

    def disabled(self, name: str) -> None:
        return None


@asynccontextmanager
async def running(folder: Path, stay: Stay) -> AsyncIterator[Engine]:
    bus = Bus()
    async with Store.open(folder / "engine.db", bus=bus, synchronous="normal") as store:
        services, identity = Services(bus=bus), Identity("edge", "default", store.epoch)
        engine = Engine(store, types=Types(stay), services=services, identity=identity)
        await engine.prepare()
        task = asyncio.create_task(engine.run())
        yield engine
        stay.open.set()
        engine.drain()
        await task


async def deploy(engine: Engine, pump: Pump, name: str, subject: str, stream: str = "") -> None:
    text = WORKFLOW.format(name=name, subject=subject, stream=stream and f", stream: {stream}")
    await engine.deploy(text.encode())
    routes = engine.intake.routes
    await pump.set_subjects(intake=routes.intake_subjects, externals=routes.externals)


async def publish(device: Client, subject: str, count: int) -> None:
    js = device.jetstream()
    for acknowledged in [await js.publish_async(subject, b"%d" % n) for n in range(count)]:
        await acknowledged


async def until_closed(engine: Engine, link: Link) -> None:
    """Until the queue of w is full, and the server has answered a few questions since."""
    async with asyncio.timeout(20):
        while engine.executor.lines.line("w") is None or not engine.executor.lines.line("w").door.closed:
            await link.nc.flush()
    for _ in range(20):
        await link.nc.flush()


@pytest.mark.parametrize("stream", ["", "TAKEN"])
async def test_a_full_queue_stops_fetching_and_goes_on_at_its_low_mark_in_order(
    tmp_path: Path, connection: Connection, link: Link, device: Client, pumping: Pumping, stream: str
) -> None:
    if stream:
        await link.js.add_stream(name=stream, subjects=["work.>"])
    stay = Stay()
    async with running(tmp_path, stay) as engine:
        room = engine.intake.room_for
        async with pumping(connection, engine.intake, slots=engine.executor, room_for=room) as pump:
            await deploy(engine, pump, "w", "work.a", stream)
            await publish(device, "work.a", 1000)
            await until_closed(engine, link)
            await stay.until(1)
            assert len(stay.began) == 1
            assert engine.executor.lines.waiting in (99, 100)  # the one that began had waited or not
            state = (await link.js.consumers_info(stream or "GANGLION_INTAKE"))[0]
            assert state.num_pending in (899, 900)
            assert pump.counters["held"] == 0
            stay.open.set()
            await stay.until(1000)
            assert stay.began == list(range(1000))
            assert pump.counters["held"] == 0


async def test_other_workflows_go_on_while_one_is_full(
    tmp_path: Path, connection: Connection, link: Link, device: Client, pumping: Pumping
) -> None:
    stay = Stay()
    async with running(tmp_path, stay) as engine:
        room = engine.intake.room_for
        async with pumping(connection, engine.intake, slots=engine.executor, room_for=room) as pump:
            await deploy(engine, pump, "w", "work.a")
            await deploy(engine, pump, "other", "work.b")
            await publish(device, "work.a", 300)
            await publish(device, "work.b", 1)
            await stay.until(2)
            assert pump.counters["held"] > 0
            assert engine.executor.lines.waiting <= 101
            stay.open.set()
            await stay.until(301)
            assert sorted(stay.began) == sorted([*range(300), 0])
