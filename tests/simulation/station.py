"""A machine with one agent and its schedules, for questions of time: days go by in no time."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from engine.clock import parse_time
from engine.contract import Context, Done, Effect, NodeType, Outcome
from engine.engine import Engine
from engine.events import Bus, Identity
from engine.execution.control import control_types
from engine.execution.services import Services
from engine.store import Store
from engine.triggers.cron import Cron
from engine.values import Json
from plugins.registry import Registry
from tests.simulation.clock import MachineClock
from tests.simulation.death import Killed
from tests.simulation.disk import Disk
from tests.simulation.virtual_time import VirtualLoop


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    data: Json = None


Then = Callable[[Engine], Awaitable[object]]
"""What happens during a life."""


class Station:
    """`live` is one life of the agent; between two the clock may be set, or time go by."""

    def __init__(self, folder: Path, start: str, *workflows: str) -> None:
        self.file = folder / "station.db"
        self.clock = MachineClock(parse_time(start))
        self.disk = Disk(random.Random(0))
        self.workflows = workflows
        self.ran: list[tuple[int, Json]] = []
        """Wall time and data of each attempt of a `note` node."""

    def live(self, seconds: float, then: Then | None = None, *, kill: bool = False) -> None:
        """The agent runs for so long, and is stopped or killed."""
        self.clock.loop = loop = VirtualLoop(begin=self.clock.seconds)
        try:
            loop.run_until_complete(self._live(loop.time() + seconds, then, kill))
        except Killed:
            pass
        finally:
            self.disk.die()
            loop.bury()

    def rest(self, seconds: float) -> None:
        """It is off."""
        self.clock.loop = rest = VirtualLoop(begin=self.clock.seconds + seconds)
        rest.close()

    async def _live(self, end: float, then: Then | None, kill: bool) -> None:
        bus = Bus()
        async with Store.open(
            self.file, bus=bus, clock=self.clock, synchronous="off", connect=self.disk.connect
        ) as store:
            services = Services(bus=bus, clock=self.clock, jitter=random.Random(0))
            note = NodeType(
                name="note", description="", example="", params=Params, run=self._note, effect=Effect.AT_LEAST_ONCE
            )
            identity = Identity("a1", "default", store.epoch)
            engine = Engine(store, types=Registry([*control_types(), note]), services=services, identity=identity)
            await engine.prepare()
            for text in self.workflows:
                await engine.deploy(text.encode())
            cron = Cron(store, engine.executor)
            await cron.follow(engine.intake.routes)
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(engine.run())
                beside = [tasks.create_task(cron.run())]
                if then is not None:
                    beside.append(tasks.create_task(_coroutine(then, engine)))
                await asyncio.sleep(end - asyncio.get_running_loop().time())
                if kill:
                    raise Killed
                for task in beside:
                    task.cancel()
                engine.drain()
                await running

    async def _note(self, ctx: Context, params: Params) -> Outcome:
        self.ran.append((self.clock.now(), params.data))
        return Done(params.data)


async def _coroutine(then: Then, engine: Engine) -> None:
    await then(engine)
