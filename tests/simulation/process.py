"""One life of an engine: what `agent/app.py` puts together, on the simulated machine."""

import asyncio
import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from engine.crash import crash_point
from engine.engine import Engine
from engine.events import Bus, Identity
from engine.execution.services import ExecutionConfig, Services
from engine.store import Store
from engine.store.housekeeping import Housekeeper, Retention
from mesh.intake.sink import accept_when_there_is_room
from tests.simulation.acting import Acting
from tests.simulation.broker import Broker, Delivery
from tests.simulation.clock import MachineClock
from tests.simulation.disk import Disk
from tests.simulation.fate import Fate
from tests.simulation.oracle import Oracle
from tests.simulation.people import People
from tests.simulation.scenario import Scenario
from tests.simulation.shelf import Shelf


class Process:
    """Made for one life."""

    def __init__(
        self, scenario: Scenario, *, file: Path, disk: Disk, clock: MachineClock, broker: Broker, oracle: Oracle,
        fate: Fate, acting: Acting, shelf: Shelf,
    ) -> None:  # fmt: skip
        self.scenario = scenario
        self.file, self.disk, self.clock = file, disk, clock
        self.broker, self.oracle, self.fate = broker, oracle, fate
        self.acting, self.shelf = acting, shelf
        self.engine: Engine | None = None
        self.is_up = False
        self.remains: list[str] = []
        """What was still in memory when it had stopped in order."""

    async def live(self, done: Callable[[], bool], *, seconds: float | None) -> None:
        """Open, recover, work; stop when everything is `done`, or after so many seconds."""
        scenario = self.scenario
        bus = Bus()
        async with Store.open(
            self.file, bus=bus, clock=self.clock, synchronous="off", connect=self.disk.connect
        ) as store:
            world = Services(
                bus=bus, clock=self.clock, jitter=random.Random(scenario.seed),
                config=ExecutionConfig(
                    max_executions=scenario.max_executions, max_queued=scenario.max_queued,
                    park_seconds=scenario.park_seconds, max_deaths=1000,
                ),
            )  # fmt: skip
            identity = Identity("a1", "default", store.epoch)
            engine = self.engine = Engine(store, types=self.acting.types(), services=world, identity=identity)
            self.shelf.serve(engine.catalogue)
            await engine.prepare()
            for spec in reversed(scenario.specs):
                if spec.name not in engine.catalogue.active:
                    await engine.deploy(spec.source, filename="w.json")
            self.is_up = True
            async with AsyncExitStack() as stack:
                around = await stack.enter_async_context(asyncio.TaskGroup())
                running = around.create_task(engine.run())
                people = People(engine, self.oracle, random.Random(scenario.seed))
                fate = self.fate.run(people)
                services = self._take_in(engine), self._keep_house(store), people.decide(bus), fate
                beside = [around.create_task(service) for service in services]
                await self._until(done, seconds)
                engine.drain()
                await running
                for task in beside:
                    task.cancel()
        self._look_into_memory(engine)

    def stop_starting(self) -> None:
        """It is dead: while its tasks are cancelled, in no order, it shall not begin new ones."""
        if self.engine is not None:
            self.engine.executor._draining = True

    async def _until(self, done: Callable[[], bool], seconds: float | None) -> None:
        loop = asyncio.get_running_loop()
        end = None if seconds is None else loop.time() + seconds
        pause = 0.05
        while not done():
            if end is not None and loop.time() >= end:
                return
            await asyncio.sleep(pause if end is None else min(pause, end - loop.time()))
            pause = min(pause * 1.3, 600.0)

    async def _take_in(self, engine: Engine) -> None:
        """What a lane of the mesh does."""
        loop = asyncio.get_running_loop()
        while True:
            if engine.executor.free_slots() == 0:
                await engine.executor.wait_for_slots()
                continue
            fetched = self.broker.fetch(engine.executor.free_slots(), loop.time(), self.clock.now())
            if fetched:
                await self.accept(engine, fetched)
                continue
            due = self.broker.next_due()
            await asyncio.sleep(600.0 if due is None else max(0.001, due - loop.time()))

    async def accept(self, engine: Engine, fetched: list[Delivery]) -> None:
        """Commit, then acknowledge."""
        crash_point("intake-after-fetch")
        receipts = await accept_when_there_is_room(engine.intake, [message for _, _, message in fetched])
        crash_point("intake-after-commit-before-ack")
        for (sequence, n, _), receipt in zip(fetched, receipts, strict=True):
            self.broker.acknowledge(sequence, n, receipt.executions)
        crash_point("intake-after-ack")

    async def _keep_house(self, store: Store) -> None:
        housekeeper = Housekeeper(store, Retention())
        while True:
            await asyncio.sleep(600.0)
            await housekeeper.tidy()

    def _look_into_memory(self, engine: Engine) -> None:
        executor = engine.executor
        self.remains = [
            name
            for name, thing in (
                ("running", executor._running), ("queue", len(executor._queue)), ("changing", executor._changing),
                ("units", engine.store.writer._pending),
            )
            if thing
        ]  # fmt: skip
