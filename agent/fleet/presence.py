"""This agent among the others: says how it is at each beat, and gives way to a twin that was there first."""

import asyncio
import logging
import math
import os
import platform
import secrets
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress

from agent import __version__
from agent.config import Config
from agent.fleet.twin import remember
from agent.mesh_wiring import Mesh
from agent.stopping import Stopping
from engine.engine import Engine
from engine.events import Event, Kind
from engine.resources.machine import MachineGauge
from engine.resources.resident import resident_bytes
from engine.store import StoreFull
from engine.values import Json
from mesh.presence.beat import Beat, State
from mesh.presence.heart import Heart
from mesh.presence.reading import MAX_MODELS, MAX_WORKFLOWS
from mesh.presence.twins import is_later

_log = logging.getLogger("ganglion.agent")


class Presence:
    """Beats where the other agents are, from `start` until `stop`."""

    def __init__(
        self, engine: Engine, mesh: Mesh, config: Config, stopping: Stopping, *, models: Callable[[], Sequence[str]]
    ) -> None:
        """`models` names those that are in memory."""
        self._engine = engine
        self._models = models
        self._stirred_at = -math.inf
        self._mesh = mesh
        self._config = config
        self._stopping = stopping
        self._gauge = engine.services.gauge or MachineGauge(engine.store.clock)
        self._since = engine.store.clock.now()
        self._told_of: set[str] = set()
        """Instances of twins."""
        self._heart = Heart(
            mesh.fleet, self.beat, instance=secrets.token_hex(8), every=config.fleet.heartbeat,
            clock=engine.store.clock, on_twin=self._meet_twin, alone=not mesh.is_shared,
        )  # fmt: skip
        self._beating: asyncio.Task[None] | None = None
        self._telling: asyncio.Task[None] | None = None

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Beat from now on; deployed workflows are told at once."""
        self._tasks = tasks
        self._beating = tasks.create_task(self._heart.run(), name="heartbeat")
        self._engine.followers.append(self.stir)

    async def stir(self) -> None:
        """Something changed that others should know now."""
        self._heart.stir()

    def models_changed(self) -> None:
        """Told at once, but where models come and go all the time not more often than the heart beats anyway."""
        now = self._engine.store.clock.monotonic()
        if now - self._stirred_at >= self._config.fleet.heartbeat:
            self._stirred_at = now
            self._heart.stir()

    async def stop(self) -> None:
        """The last beat. The connection is still there."""
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.wait({self._beating})
        await self._heart.stop()

    def beat(self) -> Beat:
        """How this agent is now. Nothing here reads a table."""
        engine, executor, identity = self._engine, self._engine.executor, self._engine.identity
        cpu = memory = 0.0
        with suppress(OSError):
            load = self._gauge.read()
            cpu, memory = load.cpu / 100, load.memory / 100
        last = engine.outbox.last_seq
        names = sorted(engine.catalogue.active)[:MAX_WORKFLOWS]
        return Beat(
            agent=identity.agent,
            tenant=identity.tenant,
            version=__version__,
            state=State.DRAINING if executor.draining else State.UP,
            epoch=identity.epoch,
            last_seq=last,
            labels=dict(self._config.agent.labels),
            arch=platform.machine(),
            host=socket.gethostname(),
            cpus=os.cpu_count() or 0,
            load=cpu,
            memory_bytes=resident_bytes(),
            memory_used=memory,
            slots=self._config.engine.max_executions,
            free_slots=executor.free_slots(),
            running=len(executor.running()),
            queued=executor.queued(),
            outbox_depth=max(0, last - self._mesh.sent_seq),
            workflows={name: engine.catalogue.active[name].row.version for name in names},
            models=list(self._models())[:MAX_MODELS],
            record=self._config.fleet.record,
        )

    def _meet_twin(self, other: Beat, own: Beat) -> None:
        if is_later(own, other):
            self._heart.hush()
            self._stopping.give_up(remember(self._config.data_path, other, own_since=self._since))
        elif other.instance not in self._told_of:
            self._told_of.add(other.instance)
            _log.error(
                "another agent %s runs on %s, started later: its data directory is a copy of this one's, or the other "
                "way round; it should stop by itself",
                other.agent, other.host or "another machine",
            )  # fmt: skip
            data: dict[str, Json] = {"host": other.host, "instance": other.instance, "started": other.started}
            self._telling = self._tasks.create_task(self._tell(data), name="telling of a twin")

    async def _tell(self, data: dict[str, Json]) -> None:
        now = self._engine.store.clock.now()
        with suppress(StoreFull):
            await self._engine.store.submit(
                lambda tx: tx.fact(Event(kind=Kind.AGENT_TWIN, time=now, data=data)), patient=False
            )
