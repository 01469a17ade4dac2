"""The recorder in an agent: its file, its service, what it answers, and what it tells of facts that are lost."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import msgspec

from agent.backups import RECORDING
from agent.config import Config
from agent.fleet.lookout import Lookout
from agent.fleet.seen import of_presence
from agent.mesh_wiring import Mesh
from agent.status import FleetStatus
from agent.update.program import this_program
from agent.upkeep import keep_house
from engine.clock import Clock, format_time
from engine.control import Verb
from engine.control.event_data import FleetGap
from engine.control.fleet_messages import FleetAgentInfo
from engine.control.fleet_verbs import absent_fleet_verbs, fleet_verbs
from engine.engine import Engine
from engine.events import Event, Kind
from engine.fleet.event import Gap
from engine.fleet.store import FleetRetention, FleetStore
from engine.store import StoreCorrupt, StoreFull
from mesh.connection import LOST
from mesh.presence.members import Member, Standing, members
from mesh.presence.roster import Roster
from mesh.recorder import Recorder

ROSTER_SECONDS = 1.0
"""How long an answer waits for the list of agents; without it, it tells what is recorded."""
_log = logging.getLogger("ganglion.agent")


class Recording:
    """A recorder that runs from `start` to `stop`. Opened by `opened_recording`."""

    def __init__(self, store: FleetStore, engine: Engine, mesh: Mesh, retention: FleetRetention) -> None:
        self.store = store
        self._engine = engine
        self._retention = retention
        identity, clock = engine.identity, engine.store.clock
        self.roster = Roster(mesh.fleet, identity.tenant, clock=clock, alone=not mesh.is_shared)
        self._lookout = Lookout(engine.store, self.roster, agent=identity.agent)
        self._clock = clock
        self._recorder = Recorder(
            mesh.fleet, store, tenant=identity.tenant, agent=identity.agent, clock=clock, roster=self.roster,
            report=self.report,
        )  # fmt: skip
        self.verbs = fleet_verbs(store, self, tenant=identity.tenant, agent=identity.agent, clock=clock)
        self._services: list[asyncio.Task[None]] = []

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Record from now on."""
        self._services = [
            tasks.create_task(self.roster.run(), name="roster"),
            tasks.create_task(self._lookout.run(), name="lookout"),
            tasks.create_task(self._recorder.run(), name="recorder"),
            tasks.create_task(keep_house(self), name="housekeeper of the fleet's events"),
        ]

    def stop(self) -> None:
        """What is not recorded yet stays in its stream."""
        for service in self._services:
            service.cancel()

    async def tidy(self) -> bool:
        """One step of retention."""
        return await self.store.tidy(self._retention)

    async def status(self) -> FleetStatus:
        """How it stands."""
        tracks = await self.store.tracks()
        return FleetStatus(
            recorded=await self.store.newest(),
            agents=len({track.agent for track in tracks}),
            missing=sum(track.missing for track in tracks),
            lost=sum(track.lost for track in tracks),
            unread=self._recorder.reader.pending,
        )

    async def agents(self) -> list[FleetAgentInfo]:
        """What all say of themselves; nothing where the list of agents can't be read now."""
        try:
            async with asyncio.timeout(ROSTER_SECONDS):
                found = await self.roster.snapshot()
        except TimeoutError:
            return []
        now = self._clock.now()
        return [self._seen(member, now) for member in found]

    def _seen(self, member: Member, now: int) -> FleetAgentInfo:
        beat, watch = member.beat, self._recorder.watch
        is_there = member.state in (Standing.UP, Standing.DRAINING)
        return msgspec.structs.replace(
            of_presence(member, now),
            clock_skew=watch.skew_seconds(beat.agent) if is_there else None,
            lag_seconds=watch.late_seconds(beat.agent),
        )

    async def report(self, gap: Gap) -> None:
        """Tell by a fact of this agent's that facts of another one are lost."""
        lost = FleetGap(agent=gap.agent, epoch=gap.epoch, first=gap.first, last=gap.last, reason=gap.lost)
        event = Event(kind=Kind.FLEET_GAP, time=self._clock.now(), data=msgspec.to_builtins(lost))
        await self._engine.store.submit(lambda tx: tx.fact(event))


@asynccontextmanager
async def opened_recording(config: Config, engine: Engine, mesh: Mesh | None) -> AsyncIterator[Recording | None]:
    """The recorder, if this agent is to be one. Raises as Store.open does."""
    if not config.fleet.record:
        yield None
        return
    if mesh is None:
        _log.warning("fleet.record = true has no effect: without NATS there is no fleet")
        yield None
        return
    keep = FleetRetention(**msgspec.structs.asdict(config.fleet.retention))
    async with AsyncExitStack() as stack:
        try:
            store = await stack.enter_async_context(_opened(config, engine))
        except StoreCorrupt as error:
            aside = _set_aside(config.data_path / RECORDING, engine.store.clock)
            _log.error(
                "%s; it is %s now, and recording begins anew with what the fleet's stream and outboxes hold",
                error, aside.name,
            )  # fmt: skip
            store = await stack.enter_async_context(_opened(config, engine))
        with suppress(StoreFull):  # it hears of itself in a moment
            await store.remember({engine.identity.agent: dict(config.agent.labels)})
        yield Recording(store, engine, mesh, keep)


def _opened(config: Config, engine: Engine) -> AbstractAsyncContextManager[FleetStore]:
    path = config.data_path / RECORDING
    return FleetStore.open(
        path, clock=engine.store.clock, synchronous=config.store.synchronous.value, program=this_program().told
    )


def _set_aside(path: Path, clock: Clock) -> Path:
    """A damaged file of facts does not keep the agent from its own work."""
    moment = format_time(clock.now())[:19].replace(":", "")
    aside = path.with_name(f"{path.name}.damaged-{moment}")
    for end in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + end).rename(aside.with_name(aside.name + end))
    return aside


def recording_verbs(recording: Recording | None, engine: Engine, mesh: Mesh) -> tuple[Verb, ...]:
    """What is answered about the fleet."""
    if recording is not None:
        return recording.verbs
    identity = engine.identity

    async def recorders() -> list[str]:
        link = mesh.fleet.link_nowait()
        if link is None:
            return []
        try:
            found = await members(link, identity.tenant)
        except LOST:
            return []
        there = (Standing.UP, Standing.DRAINING)
        return [member.beat.agent for member in found if member.beat.record and member.state in there]

    return absent_fleet_verbs(identity.agent, recorders)
