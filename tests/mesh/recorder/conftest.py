"""Agents with real outboxes, a real server between, and a recorder with a real file."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.control.observing_verbs import observing_verbs
from engine.engine import Engine
from engine.events import Event, Identity, Kind, cloudevent
from engine.execution.control.__init__ import control_types
from engine.execution.services import Services
from engine.fleet.event import Gap
from engine.fleet.query import EventQuery
from engine.fleet.store import FleetStore
from engine.store import Store
from mesh.connection import Connection
from mesh.presence.beat import Beat
from mesh.presence.members import Member, Standing
from mesh.recorder import Recorder
from mesh.relay import Relay
from mesh.server import EmbeddedServer
from mesh.service import ControlService
from plugins.registry import Registry

NOW = 1_795_000_000_000_000  # 2026-11-18T11:06:40Z


class FakeClock:
    """Time that only tests move."""

    def __init__(self) -> None:
        self.micros = NOW

    def now(self) -> int:
        return self.micros

    def monotonic(self) -> float:
        return (self.micros - NOW) / 1_000_000

    def advance(self, seconds: float) -> None:
        self.micros += round(seconds * 1_000_000)


class Edge:
    """An agent with nothing but its outbox and its service."""

    def __init__(self, store: Store, engine: Engine) -> None:
        self.store = store
        self.engine = engine

    @property
    def epoch(self) -> str:
        return self.store.epoch

    @property
    def last_seq(self) -> int:
        return self.engine.outbox.last_seq

    async def facts(self, count: int, **data: Any) -> None:
        def unit(tx: Any) -> None:
            for _ in range(count):
                tx.fact(Event(kind=Kind.WORKFLOW_STARTED, time=NOW, workflow="cold-chain", execution="x", data=data))

        await self.store.submit(unit)

    async def forget(self, first: int, last: int) -> None:
        """As retention does once every stream has acknowledged them."""
        await self.store.submit(lambda tx: tx.execute("DELETE FROM facts WHERE seq BETWEEN ? AND ?", (first, last)))


class Fleet:
    """The recorder's file, and who is there."""

    def __init__(self, store: FleetStore) -> None:
        self.store = store
        self.members: list[Member] = []
        self.listeners: list[Any] = []
        self.reported: list[Gap] = []
        self._changed = asyncio.Event()
        store.listeners.append(lambda _: self._changed.set())

    async def snapshot(self) -> list[Member]:
        return self.members

    async def report(self, gap: Gap) -> None:
        self.reported.append(gap)

    def says(self, agent: str, epoch: str, last_seq: int, **more: Any) -> None:
        """A beat of an agent, just now."""
        state = more.pop("state", Standing.UP)
        age = more.pop("age", 0.0)
        beat = Beat(agent=agent, tenant="default", version="1.0", epoch=epoch, last_seq=last_seq, **more)
        self.members = [member for member in self.members if member.beat.agent != agent]
        self.members.append(Member(beat, age, state))

    async def numbers(self, agent: str, epoch: str = "") -> list[int]:
        """Of the facts that are recorded of an agent, as they came."""
        found = await self.store.events(EventQuery(agents=(agent,), limit=100_000))
        return [one.event.seq for one in found if not epoch or one.event.epoch == epoch]

    async def until(self, agent: str, count: int) -> list[int]:
        """The numbers, once so many are recorded."""
        async with asyncio.timeout(20):
            while len(found := await self.numbers(agent)) < count:
                self._changed.clear()
                if len(found := await self.numbers(agent)) >= count:
                    break
                await self._changed.wait()
        return found


def _wire(agent: str, seq: int, *, epoch: str = "e1", tenant: str = "default", **changes: Any) -> tuple[str, bytes]:
    """Subject and body of a fact."""
    fields = {"kind": Kind.WORKFLOW_STARTED, "time": NOW, "workflow": "cold-chain", "execution": "x", "data": {"a": 1}}
    event = Event(**{**fields, **changes}, seq=seq)
    body = cloudevent(event, Identity(agent, tenant, epoch))
    return f"ganglion.event.{tenant}.{agent}.{event.workflow}.{event.kind.value}", body


@pytest.fixture
def wire() -> Callable[..., tuple[str, bytes]]:
    """`wire(agent, seq, epoch=…)` gives subject and body of a fact."""
    return _wire


@pytest.fixture
def changed() -> Callable[..., bytes]:
    """`changed(body, source=…)`: the same event with other attributes; None leaves one out."""

    def change(body: bytes, **attributes: Any) -> bytes:
        event = {**msgspec.json.decode(body), **attributes}
        return msgspec.json.encode({name: value for name, value in event.items() if value is not None})

    return change


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def fleet(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Fleet]:
    async with FleetStore.open(tmp_path / "fleet.db", clock=clock, synchronous="off") as store:
        yield Fleet(store)


@asynccontextmanager
async def _recording(connection: Connection, fleet: Fleet, clock: FakeClock, **options: Any) -> AsyncIterator[Recorder]:
    recorder = Recorder(
        connection, fleet.store, tenant="default", agent="watcher", clock=clock, roster=fleet, report=fleet.report,
        **options,
    )  # fmt: skip
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(recorder.run())
        try:
            async with asyncio.timeout(20):
                await recorder.reader.ready.wait()
            yield recorder
        finally:
            running.cancel()


@pytest.fixture
def recording(fleet: Fleet, clock: FakeClock) -> Callable[..., AbstractAsyncContextManager[Recorder]]:
    """`async with recording(connection) as recorder`"""
    return lambda connection, **options: _recording(connection, **{"fleet": fleet, "clock": clock, **options})


@pytest.fixture
def edge_of(tmp_path: Path, server: EmbeddedServer, connected: Any) -> Callable[..., AbstractAsyncContextManager[Edge]]:
    """`async with edge_of("pi-1") as edge`: it answers at the server; with `relay`, its facts go there too."""

    @asynccontextmanager
    async def made(agent: str = "pi-1", *, relay: bool = False) -> AsyncIterator[Edge]:
        async with Store.open(tmp_path / f"{agent}.db", synchronous="off") as store, connected(server) as connection:
            identity = Identity(agent, "default", store.epoch)
            types = Registry(control_types())
            engine = Engine(store, types=types, services=Services(bus=store.bus), identity=identity)
            service = ControlService(
                connection, observing_verbs(engine), tenant="default", agent=agent, version="1.0.0", metadata={}
            )
            async with asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(service.run())]
                if relay:
                    sending = Relay(connection, engine.outbox, identity, own_server=False)
                    running.append(tasks.create_task(sending.run()))
                await service.ready.wait()
                try:
                    yield Edge(store, engine)
                finally:
                    for task in running:
                        task.cancel()

    return made
