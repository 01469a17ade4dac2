"""The agent, put together. Only wiring: what there is, in which order it starts, and in which it stops.

start   lock -> store -> definitions -> NATS server and connection -> engine (recovers) -> streams, relays, service
        -> workflow files -> schedules, intake -> ready
stop    schedules and intake -> engine (drains, within the grace time) -> relays -> service, connection, server
        -> store
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from agent import __version__
from agent.config import Config
from agent.crashes import crash_file
from agent.identity import agent_id
from agent.lock import locked
from agent.logs import engine_log
from agent.node_types import node_types
from agent.ready import FILE, Ready, announced
from agent.secret_files import SecretFiles
from agent.stopping import canceller, two_phase_stop
from agent.upkeep import keep_house, retention
from agent.workflow_files import deploy_files
from engine.engine import Engine
from engine.events import Bus, Event, Identity, Kind
from engine.execution.services import ExecutionConfig, Services
from engine.store import Store
from engine.store.housekeeping import Housekeeper
from engine.triggers.cron import Cron
from plugins.http_client import HttpClient

_log = logging.getLogger("ganglion.agent")
STORE = "ganglion.db"


async def serve(config: Config, *, secrets: SecretFiles, ready_file: Path | None = None) -> None:
    """Run an agent until a signal asks it to stop.

    Raises, alone or inside exception groups, StoreError and MeshError, whose messages say what to do.
    """
    stop = asyncio.Event()
    with locked(config.data_path), crash_file(config.data_path), two_phase_stop(drain=stop.set, cancel=canceller()):
        async with opened_engine(config, secrets) as engine:
            await _live(engine, config, stop, ready_file)


@asynccontextmanager
async def opened_engine(config: Config, secrets: SecretFiles) -> AsyncIterator[Engine]:
    """An engine on the store of the data directory, with its definitions loaded."""
    agent = agent_id(config.data_path, config.agent.id)
    async with AsyncExitStack() as stack:
        bus = Bus()
        http = HttpClient()
        stack.push_async_callback(http.aclose)
        store = await stack.enter_async_context(
            Store.open(config.data_path / STORE, bus=bus, synchronous=config.store.synchronous)
        )
        if not store.was_clean:
            _log.warning("the last process did not stop in an orderly way; the store was checked and is whole")
        services = Services(
            bus=bus,
            http=http,
            secrets=secrets,
            log=engine_log,
            agent={"id": agent, "labels": config.agent.labels},
            config=ExecutionConfig(
                max_executions=config.engine.max_executions,
                max_concurrent_nodes=config.engine.max_concurrent_nodes,
                grace_seconds=config.engine.grace,
            ),
        )
        types = node_types(allow_shell=config.engine.allow_shell)
        engine = Engine(
            store, types=types, services=services, identity=Identity(agent, config.agent.tenant, store.epoch)
        )
        await engine.prepare()
        yield engine


async def _live(engine: Engine, config: Config, stop: asyncio.Event, ready_file: Path | None) -> None:
    """From the first service to the last."""
    store = engine.store
    cron = Cron(store, engine.executor)

    async def follow_schedules() -> None:
        await cron.follow(engine.intake.routes)

    engine.followers.append(follow_schedules)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(engine.run(), name="engine")
        background = [
            tasks.create_task(keep_house(Housekeeper(store, retention(config))), name="housekeeper"),
        ]
        if config.engine.workflows_dir:
            await deploy_files(engine, Path(config.engine.workflows_dir))
        await follow_schedules()
        sources = [tasks.create_task(cron.run(), name="cron")]
        await _tell(engine, Kind.AGENT_STARTED, {"version": __version__, "clean": store.was_clean})
        ready = Ready(pid=os.getpid(), agent=engine.identity.agent, tenant=engine.identity.tenant, version=__version__)
        with announced(ready, config.data_path / FILE, ready_file):
            _log.info("ready", extra={"fields": {"agent": ready.agent, "data_dir": config.data_dir}})
            await stop.wait()
            _log.info("stopping; a second signal stops at once")
            for source in sources:
                source.cancel()
            engine.drain()
            await asyncio.wait({running}, timeout=config.engine.grace)
        await _tell(engine, Kind.AGENT_STOPPED, {"drained": running.done()})
        for task in (running, *background):
            task.cancel()
    _log.info("stopped")


async def _tell(engine: Engine, kind: Kind, data: dict[str, object]) -> None:
    """A fact about the agent itself."""
    now = engine.store.clock.now()
    await engine.store.submit(lambda tx: tx.fact(Event(kind=kind, time=now, data=data)))
