"""An agent to which nothing happens: it sleeps, and writes nothing."""

import asyncio
import random
import re
from collections.abc import Iterator
from pathlib import Path

from agent.file_watch.places import Places
from agent.file_watch.watch import FileWatch
from agent.service.supervisor import Supervisor
from agent.service.watchdog import Watchdog
from agent.upkeep import keep_house
from engine.engine import Engine
from engine.events import Bus, Identity
from engine.execution.control import control_types
from engine.execution.services import Services
from engine.store import Store
from engine.store.housekeeping import Housekeeper, Retention
from engine.triggers.chained import Chained
from engine.triggers.cron import Cron
from plugins.llm.service.models import Models
from plugins.nodes import builtin_types
from plugins.registry import Registry
from tests.simulation.clock import MachineClock
from tests.simulation.disk import Disk
from tests.simulation.virtual_time import VirtualLoop

ROOT = Path(__file__).parents[2]
NOW = 1_795_000_000_000_000
HOUR_SECONDS = 3600.0
SETTLING_SECONDS = 1800.0
"""Until what the start has written is past its retention."""
WAKEUPS = 400
"""Of an hour: a schedule looks at the clock every 15 s, files are looked at every 30 s, the house is kept each minute,
and a watchdog of a minute is fed twice in it."""
WORKFLOWS = (
    'name: at-three\ntriggers: [{cron: {schedule: "0 3 1 1 *"}}]\nnodes: {a: {type: log, message: x}}\n',
    "name: of-files\ntriggers: [{file: {path: inbox/*.csv, format: text}}]\nnodes: {a: {type: log, message: x}}\n",
    'name: of-messages\ntriggers: [{nats: {subject: "in.>"}}]\nnodes: {a: {type: log, message: x}}\n',
)
PERIODIC = re.compile(
    r"^([A-Z_]*(?:LOOK|WATCH|TICK|POLL|PROBE|CHECK|PAUSE|EVERY|SWEEP|LIST|IDLE|BEAT)[A-Z_, ]*) = (.+)$", re.MULTILINE
)
COMMANDS = ("agent/cli/", "agent/demo/", "agent/update/")
"""Processes that end by themselves."""
UNDER_WAY = {
    "agent/file_watch/entry.py": "between two looks at a directory in which something happens",
    "agent/trial.py": "`ganglion run`, until its execution ends",
    "engine/triggers/room.py": "a queue that is full opens by time alone",
    "mesh/client.py": "commands: after a server that was asked has gone",
    "mesh/connection.py": "between two tries of a connection that is lost; they grow to 5 s",
    "mesh/live.py": "live events that nobody hears, at most so often",
    "mesh/server/embedded.py": "between two starts of a server that has ended; they grow to 5 s",
    "mesh/server/guard.py": "at the start, until an old server has ended",
    "plugins/llm/remote/exchange.py": "while a model is asked",
    "plugins/llm/service/liveness.py": "while a model writes",
    "plugins/llm/service/turns.py": "while somebody waits for a model",
}
"""Files with shorter pauses, and when these are made: never at rest."""


def test_an_agent_to_which_nothing_happens_sleeps_and_writes_nothing(tmp_path: Path) -> None:
    loop = VirtualLoop()
    try:
        wakeups, before, after = loop.run_until_complete(_an_hour_at_rest(tmp_path, loop))
    finally:
        loop.close()
    assert wakeups <= WAKEUPS
    assert before == after


async def _an_hour_at_rest(folder: Path, loop: VirtualLoop) -> tuple[int, dict[str, bytes], dict[str, bytes]]:
    """How often it woke, and what the files held before and after."""
    clock, bus = MachineClock(NOW), Bus()
    clock.loop = loop
    data = folder / "data"
    async with (
        Store.open(data / "ganglion.db", bus=bus, clock=clock, connect=Disk(random.Random(1)).connect) as store,
        asyncio.TaskGroup() as tasks,
    ):
        identity = Identity("a1", "default", store.epoch)
        types = Registry((*control_types(), *builtin_types()))
        engine = Engine(store, types=types, services=Services(bus=bus, clock=clock), identity=identity)
        await engine.prepare()
        cron, chained = Cron(store, engine.executor), Chained(store, engine.outbox, engine.executor, identity)
        watch = FileWatch(engine.files, Places(folder / "files", make=True), clock)
        watchdog = Watchdog(Supervisor(watchdog_seconds=60.0), store)
        running = tasks.create_task(engine.run())
        services = [
            tasks.create_task(service)
            for service in (
                engine.governor.run(), keep_house(Housekeeper(store, Retention())), cron.run(), chained.run(),
                watch.run(), watchdog.run(), Models(clock=clock).run(),
            )
        ]  # fmt: skip
        for workflow in WORKFLOWS:
            await engine.deploy(workflow.encode())
        for service in (cron, chained, watch):
            await service.follow(engine.intake.routes)
        await asyncio.sleep(SETTLING_SECONDS)
        woken, before = loop.waits, _written(data)
        await asyncio.sleep(HOUR_SECONDS)
        found = loop.waits - woken, before, _written(data)
        for service in services:
            service.cancel()
        engine.drain()
        await running
    return found


def _written(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith("-shm")}


def test_what_is_looked_at_again_and_again_is_looked_at_once_a_second_at_most() -> None:
    short = {(file, name) for file, name, seconds in _pauses() if seconds < 1.0}
    assert {file for file, _ in short} <= UNDER_WAY.keys(), "wait for an event, or look more rarely; else say why here"
    assert UNDER_WAY.keys() <= {file for file, _ in short}, "these have no short pause any more"


def test_the_pauses_of_the_source_are_found() -> None:
    found = {(file, name): seconds for file, name, seconds in _pauses()}
    assert found["mesh/connection.py", "WATCH_SECONDS"] == 1.0
    assert found["agent/file_watch/watch.py", "LOOK_OFTEN_SECONDS"] == 2.0


def _pauses() -> Iterator[tuple[str, str, float]]:
    for folder in ("agent", "engine", "mesh", "plugins"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            file = str(path.relative_to(ROOT))
            if file.startswith(COMMANDS):
                continue
            for names, values in PERIODIC.findall(path.read_text()):
                for name, value in zip(names.split(", "), values.split(", "), strict=False):
                    if name.endswith("_SECONDS") and re.fullmatch(r"[\d.]+", value):
                        yield file, name, float(value)
