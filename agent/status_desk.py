"""Answers for the agent as a whole: what the engine says, and what only the process knows."""

import os
import time

import msgspec

from agent import __version__
from agent.fleet.recording import Recording
from agent.mesh_wiring import Mesh
from agent.ready import Ready
from agent.service.watchdog import Watchdog
from agent.status import AgentStatus
from engine.clock import format_time
from engine.control import Verb
from engine.control.messages import EngineStatus, Nothing
from engine.control.observing_verbs import observing_verbs
from engine.engine import Engine
from engine.resources.resident import resident_bytes


class StatusDesk:
    """Answers for the agent as a whole."""

    def __init__(
        self, engine: Engine, mesh: Mesh | None, recording: Recording | None = None, watchdog: Watchdog | None = None
    ) -> None:
        self._engine = engine
        self._mesh = mesh
        self._recording = recording
        self._watchdog = watchdog
        self._since = time.monotonic()
        [self._engine_status] = [verb for verb in observing_verbs(engine) if verb.name == "engine"]

    @property
    def verb(self) -> Verb:
        return Verb(
            name="status", description="How the agent is.", request=Nothing, answer=AgentStatus, handle=self._status
        )

    def ready(self) -> Ready:
        """What is announced once everything serves."""
        identity = self._engine.identity
        return Ready(
            pid=os.getpid(),
            agent=identity.agent,
            tenant=identity.tenant,
            nats=self._mesh.nats if self._mesh else "",
            mqtt=self._mesh.mqtt if self._mesh else "",
            version=__version__,
        )

    async def _status(self, request: Nothing) -> AgentStatus:
        ready = self.ready()
        hub = self._mesh.hub if self._mesh else None
        expires = self._mesh.expires if self._mesh else None
        status = msgspec.convert(await self._engine_status.handle(request), EngineStatus, from_attributes=True)
        return AgentStatus(
            agent=ready.agent,
            tenant=ready.tenant,
            version=ready.version,
            pid=ready.pid,
            nats=ready.nats,
            mqtt=ready.mqtt,
            connected=self._mesh is not None and self._mesh.connection.is_connected,
            hub=hub.servers if hub else "",
            hub_connected=hub is not None and hub.is_connected,
            credentials_expire=format_time(int(expires * 1_000_000)) if expires else "",
            memory_bytes=resident_bytes(),
            uptime=time.monotonic() - self._since,
            outbox_depth=max(0, status.last_seq - self._mesh.sent_seq) if self._mesh else 0,
            engine=status,
            fleet=await self._recording.status() if self._recording else None,
            supervision=self._watchdog.supervision if self._watchdog else None,
        )
