"""The agent's side of NATS, put together: server, connection, streams, ways in, ways out, the control service."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from agent import __version__
from agent.access import credentials_of, tls_of
from agent.config import Config
from agent.config.model import Mode
from engine.control import Refused, Verb
from engine.engine import Engine
from engine.triggers.routes import Routes
from mesh import streams
from mesh.connection import LOST, Connection
from mesh.credentials import Credentials
from mesh.errors import StreamConflict
from mesh.intake import Pump
from mesh.live import LivePublisher
from mesh.relay import Relay
from mesh.requester import NatsRequester
from mesh.server import EmbeddedServer, Settings
from mesh.service import ControlService

CONNECT_SECONDS = 10.0
"""How long the start waits for NATS. Without it the agent works on, and connects later."""
FLUSH_SECONDS = 2.0
"""How long a stop waits for the last facts to be sent."""
_log = logging.getLogger("ganglion.agent")


class Mesh:
    """Opened by `opened_mesh`; then `start` once there is an engine, and `stop_intake` first of all at the end."""

    def __init__(self, config: Config, connection: Connection, server: EmbeddedServer | None) -> None:
        self.connection = connection
        self.requester = NatsRequester(connection)
        self._config = config
        self._server = server
        self._relay: Relay | None = None
        self._intake: asyncio.Task[None] | None = None
        self._services: list[asyncio.Task[None]] = []

    @property
    def nats(self) -> str:
        """Where clients find NATS."""
        return self._server.url if self._server else self.connection.servers

    @property
    def mqtt(self) -> str:
        return self._server.mqtt if self._server else ""

    async def start(self, engine: Engine, verbs: Iterable[Verb], tasks: asyncio.TaskGroup) -> None:
        """Everything runs when this returns; without a link after CONNECT_SECONDS it will as soon as there is one."""
        identity = engine.identity
        pump = Pump(
            self.connection,
            engine.intake,
            engine.executor,
            room_for=engine.intake.room_for,
            agent=identity.agent,
            tenant=identity.tenant,
            own_server=self._server is not None,
            clock=engine.store.clock,
        )
        service = ControlService(
            self.connection, verbs, tenant=identity.tenant, agent=identity.agent, version=__version__, metadata={}
        )
        self._relay = Relay(self.connection, engine.outbox, identity, own_server=self._server is not None)
        live = LivePublisher(engine.services.bus, self.connection, identity, engine.store.clock)
        self._services = [
            tasks.create_task(self.connection.run(), name="connection"),
            tasks.create_task(service.run(), name="service"),
            tasks.create_task(live.run(), name="live events"),
            tasks.create_task(self._relay.run(), name="relay"),
        ]

        async def capture(routes: Routes) -> None:
            try:
                await pump.set_subjects(
                    intake=routes.intake_subjects, core=routes.core_subjects, externals=routes.externals
                )
            except StreamConflict as error:
                raise Refused(409, f"its messages can't be taken in: {error}") from None

        engine.captures.append(capture)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                link = await self.connection.link()
                await streams.ensure_triggers(link.nc, identity.tenant, streams.Limits())
                await service.ready.wait()
        except (TimeoutError, *LOST) as error:
            _log.warning("NATS does not answer yet (%s); the agent works without it until it does", error)
        try:
            await capture(engine.intake.routes)
        except Refused as refused:
            _log.error("%s", refused.message)
        self._intake = tasks.create_task(pump.run(), name="intake")

    def stop_intake(self) -> None:
        """Take no more messages."""
        if self._intake is not None:
            self._intake.cancel()

    @property
    def sent_seq(self) -> int:
        """The newest fact that NATS has acknowledged."""
        return self._relay.sent_seq if self._relay else 0

    async def flush(self) -> None:
        """Let what is in the outbox go out, for a moment; the rest goes at the next start."""
        if self._relay is not None:
            await self._relay.drain(FLUSH_SECONDS)

    def stop(self) -> None:
        """End the services; the connection and the server go with the block of `opened_mesh`."""
        for service in reversed(self._services):
            service.cancel()


@asynccontextmanager
async def opened_mesh(config: Config, agent: str) -> AsyncIterator[Mesh | None]:
    """The server, if it is to be ours, and a connection that is not made yet; None with `mode = "off"`.

    Raises ServerRefused and InvalidAccess.
    """
    mesh = config.mesh
    if mesh.mode is Mode.OFF:
        yield None
    elif mesh.mode is Mode.EXTERNAL:
        connection = Connection(
            [mesh.url], credentials=credentials_of(config), tls=tls_of(config, mesh.url), name=f"ganglion {agent}"
        )
        yield Mesh(config, connection, None)
    else:
        async with EmbeddedServer.open(server_settings(config, agent)) as server:
            connection = Connection([server.url], credentials=server.credentials, name=f"ganglion {agent}")
            yield Mesh(config, connection, server)


def server_settings(config: Config, agent: str) -> Settings:
    """What the embedded server is told."""
    mesh = config.mesh
    return Settings(
        name=agent,
        data_dir=config.data_path,
        listen=mesh.listen,
        mqtt=mesh.mqtt,
        device=Credentials(user=mesh.device.user, password=mesh.device.password),
        sync_interval=mesh.sync_interval,
        max_file_bytes=mesh.max_file_bytes,
        max_payload_bytes=mesh.max_payload_bytes,
    )
