"""The agent, put together. Only wiring: what there is, in which order it starts, and in which it stops.

start   lock -> store -> NATS server (so far start.py) -> no twin lives -> definitions -> engine (recovers) -> streams,
        relays, service -> workflow files -> schedules, intake -> heartbeat, ready
stop    schedules and intake -> engine (drains, within the grace time) -> relays, the last beat -> service, connection,
        server -> store
"""

import asyncio
import logging
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from agent import __version__
from agent.about import about
from agent.backup_desk import BackupDesk
from agent.collector import spare_what_stays
from agent.config import Config
from agent.drain_desk import DrainDesk
from agent.file_watch.places import Places
from agent.file_watch.watch import FileWatch
from agent.fleet.presence import Presence
from agent.fleet.recording import Recording, opened_recording, recording_verbs
from agent.fleet.triggers import FleetTriggers
from agent.fleet.twin import rule_out_a_twin
from agent.ground import Ground
from agent.intelligence import opened_models
from agent.logs import engine_log
from agent.mesh_wiring import Mesh, opened_mesh
from agent.model_desk import ModelDesk
from agent.node_types import node_types
from agent.ready import FILE, announced
from agent.service.watchdog import Watchdog
from agent.status_desk import StatusDesk
from agent.update.hold import is_held
from agent.update.probation import stand_trial
from agent.upkeep import keep_house, retention, when_there_is_room
from agent.workflow_files import deploy_files
from engine.control.engine import engine_verbs
from engine.engine import Engine
from engine.events import Event, Identity, Kind
from engine.execution.services import ExecutionConfig, Services
from engine.store import StoreFull
from engine.store.housekeeping import Housekeeper
from engine.triggers.chained import Chained
from engine.triggers.cron import Cron
from engine.values import Json
from plugins.http_client import HttpClient
from plugins.llm.service.models import Models

_log = logging.getLogger("ganglion.agent")


async def live(config: Config, ground: Ground, ready_file: Path | None = None) -> None:
    """Be an agent until a signal asks to stop; agent/start.py calls this."""
    agent, store = ground.agent, ground.store
    async with AsyncExitStack() as stack:
        mesh = await stack.enter_async_context(opened_mesh(config, agent, ground.server))
        await rule_out_a_twin(
            config.data_path, mesh, tenant=config.agent.tenant, agent=agent, every=config.fleet.heartbeat
        )
        http = HttpClient()
        stack.push_async_callback(http.aclose)
        services = Services(
            bus=store.bus,
            http=http,
            requester=mesh.requester if mesh else None,
            secrets=ground.secrets,
            log=engine_log,
            agent={"id": agent, "labels": config.agent.labels},
            workflows_dir=Path(config.engine.workflows_dir) if config.engine.workflows_dir else None,
            config=ExecutionConfig(
                max_executions=config.engine.max_executions,
                max_concurrent_nodes=config.engine.max_concurrent_nodes,
                scheduling=config.engine.scheduling.rules,
                queue_high=config.engine.queue_high,
                queue_low=config.engine.queue_low,
                grace_seconds=config.engine.grace,
            ),
        )
        models = await stack.enter_async_context(opened_models(config, ground.secrets, crash=ground.crash, owns=True))
        types = node_types(allow_shell=config.engine.allow_shell, models=models)
        engine = Engine(
            store, types=types, services=services, identity=Identity(agent, config.agent.tenant, store.epoch)
        )
        await engine.prepare()
        recording = await stack.enter_async_context(opened_recording(config, engine, mesh))
        spare_what_stays()
        await _live(engine, mesh, config, ground, ready_file, recording, models)


async def _live(
    engine: Engine, mesh: Mesh | None, config: Config, ground: Ground, ready_file: Path | None,
    recording: Recording | None, models: Models,
) -> None:  # fmt: skip
    """From the first service to the last."""
    store, stop, supervisor = ground.store, ground.stop, ground.supervisor
    cron = Cron(store, engine.executor)
    chained = Chained(store, engine.outbox, engine.executor, engine.identity)

    watch = FileWatch(engine.files, places(config), store.clock)
    fleet = FleetTriggers(engine, recording.store if recording is not None else None)

    async def follow_schedules() -> None:
        await cron.follow(engine.intake.routes)
        await chained.follow(engine.intake.routes)
        await watch.follow(engine.intake.routes)
        await fleet.follow(engine.intake.routes)

    engine.followers.append(follow_schedules)
    watchdog = Watchdog(supervisor, store)
    status = StatusDesk(engine, mesh, recording, watchdog if supervisor else None)
    backups = BackupDesk(store)
    draining = DrainDesk(engine, stop)
    model_desk = ModelDesk(models, engine.identity.agent)
    presence = None
    verbs = (*engine_verbs(engine), status.verb, backups.verb, draining.verb, ground.tail.verb(engine.identity.agent))
    if mesh is not None:
        verbs = (*verbs, model_desk.verb, *recording_verbs(recording, engine, mesh))
        presence = Presence(engine, mesh, config, stop, models=lambda: models.resident)
        models.followers.append(presence.models_changed)
    if is_held(config.data_path):
        await stand_trial(config, engine, mesh, verbs, ready=status.ready(), watchdog=watchdog, stop=stop.asked)
        if stop.asked.is_set():
            return
    async with asyncio.TaskGroup() as tasks:
        feeding = tasks.create_task(watchdog.run(), name="watchdog")
        running = tasks.create_task(engine.run(), name="engine")
        governing = tasks.create_task(engine.governor.run(), name="governor")
        housekeeper = tasks.create_task(keep_house(Housekeeper(store, retention(config))), name="housekeeper")
        copying = tasks.create_task(backups.run(), name="backups")
        keeping = tasks.create_task(models.run(), name="models")
        if config.engine.workflows_dir:
            folder = Path(config.engine.workflows_dir)
            await when_there_is_room(lambda: deploy_files(engine, folder))
        if mesh is not None:
            await mesh.start(engine, verbs, tasks, metadata=about(config))
        if recording is not None:
            recording.start(tasks)
        await when_there_is_room(follow_schedules)
        schedules = tasks.create_task(cron.run(), name="schedules")
        chains = tasks.create_task(chained.run(), name="chains")
        engine.captures += [watch.capture, fleet.capture]
        watching = tasks.create_task(watch.run(), name="watched files")
        fleeting = tasks.create_task(fleet.run(), name="fleet triggers")
        await _tell(engine, Kind.AGENT_STARTED, {"version": __version__, "clean": store.was_clean})
        if presence is not None:
            presence.start(tasks)
        with announced(status.ready(), config.data_path / FILE, ready_file):
            watchdog.ready()
            _log.info("ready", extra={"fields": {"agent": engine.identity.agent, "nats": mesh.nats if mesh else "off"}})
            await stop.asked.wait()
            _log.info("stopping; a second signal stops at once")
            schedules.cancel()
            chains.cancel()
            watching.cancel()
            fleeting.cancel()
            if mesh is not None:
                mesh.stop_intake()
            engine.drain(halt=False)
            if presence is not None:
                await presence.stir()
            watchdog.well = "draining: nothing new is begun"
            await stop.patience(running)
            supervisor.stopping("stopping")
            draining.park()
            engine.drain()
            await asyncio.wait({running}, timeout=config.engine.grace)
            await _tell(engine, Kind.AGENT_STOPPED, {"drained": running.done()})
            await draining.say_so()
            if mesh is not None and stop.error is None:
                await mesh.flush()
            if presence is not None:
                await presence.stop()
        running.cancel()
        copying.cancel()
        keeping.cancel()
        housekeeper.cancel()
        governing.cancel()
        feeding.cancel()
        if recording is not None:
            recording.stop()
        if mesh is not None:
            mesh.stop()


def places(config: Config) -> Places:
    """Where workflows may watch for files."""
    own = config.data_path / "files"
    named = Path(config.engine.files_dir) if config.engine.files_dir else own
    return Places(named, [Path(root) for root in config.engine.watch], make=named == own)


async def _tell(engine: Engine, kind: Kind, data: dict[str, Json]) -> None:
    """A fact about the agent itself; a full disk does not hold up the start or the stop for it."""
    now = engine.store.clock.now()
    with suppress(StoreFull):
        await engine.store.submit(lambda tx: tx.fact(Event(kind=kind, time=now, data=data)), patient=False)
