"""The agent's side of NATS, put together: connections, stations, the relay."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from agent import __version__
from agent.access import credentials_of, hub_of, tls_of
from agent.config import Config
from agent.config.model import Mode
from engine.control import Refused, Verb
from engine.engine import Engine
from engine.triggers.routes import Routes
from mesh import streams
from mesh.address import servers_of
from mesh.connection import LOST, Connection
from mesh.errors import StreamConflict
from mesh.leaf import LeafLink
from mesh.permissions import inbox_of
from mesh.relay import Relay
from mesh.requester import NatsRequester
from mesh.server import EmbeddedServer
from mesh.station import About, Station

CONNECT_SECONDS = 10.0
"""How long the start waits for NATS. Without it the agent works on, and connects later."""
FLUSH_SECONDS = 2.0
"""How long a stop waits for the last facts to be sent."""
_log = logging.getLogger("ganglion.agent")


class Mesh:
    """Opened by `opened_mesh`; then `start` once there is an engine, and `stop_intake` first of all at the end."""

    def __init__(self, connection: Connection, server: EmbeddedServer | None, hub: Connection | None) -> None:
        self.connection = connection
        """To the agent's own server, or to the external one."""
        self.hub = hub
        """To the hub, through the own server; None without one."""
        self.requester = NatsRequester(connection)
        self._server = server
        self._relay: Relay | None = None
        self._relaying: asyncio.Task[None] | None = None
        self._stations: list[Station] = []

    @property
    def fleet(self) -> Connection:
        """Where the other agents are."""
        return self.hub or self.connection

    @property
    def is_shared(self) -> bool:
        """Whether there may be other agents where `fleet` leads."""
        return self.hub is not None or self._server is None

    @property
    def expires(self) -> float | None:
        """Until when the external server or the hub lets us in, in seconds since 1970."""
        return self._server.expires if self._server else self.connection.expires

    @property
    def nats(self) -> str:
        """Where clients find NATS."""
        return self._server.url if self._server else self.connection.servers

    @property
    def mqtt(self) -> str:
        return self._server.mqtt if self._server else ""

    async def start(
        self, engine: Engine, verbs: Iterable[Verb], tasks: asyncio.TaskGroup, *, metadata: Mapping[str, str]
    ) -> None:
        """Everything runs when this returns; without a link after CONNECT_SECONDS it will as soon as there is one.

        `metadata`: what others see of this agent in the service's.
        """
        verbs, about = tuple(verbs), About(version=__version__, metadata=metadata)
        private = self._server is not None
        alone = private and self.hub is None
        own = Station(self.connection, engine, verbs, about=about, own=private, alone=alone)
        self._stations = [own]
        if self.hub is not None:
            self._stations.append(Station(self.hub, engine, verbs, about=about, own=False, hub=True))
        for station in self._stations:
            station.start(tasks)
        self._relay = Relay(
            self.connection, engine.outbox, engine.identity, own_server=self._server is not None, hub=self.hub
        )
        self._relaying = tasks.create_task(self._relay.run(), name="relay")
        engine.captures.append(self._capture)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                link = await self.connection.link()
                await streams.ensure_triggers(link.nc, engine.identity.tenant, streams.Limits())
                await own.service.ready.wait()
        except (TimeoutError, *LOST) as error:
            _log.warning("NATS does not answer yet (%s); the agent works without it until it does", error)
        await self._capture(engine.intake.routes, strict=False)
        for station in self._stations:
            station.start_intake(tasks)

    async def _capture(self, routes: Routes, *, strict: bool = True) -> None:
        try:
            for station in self._stations:
                await station.capture(routes, strict=strict)
        except StreamConflict as error:
            raise Refused(409, f"its messages can't be taken in: {error}") from None

    def stop_intake(self) -> None:
        """Take no more messages."""
        for station in self._stations:
            station.stop_intake()

    @property
    def sent_seq(self) -> int:
        """The newest fact that NATS has acknowledged."""
        return self._relay.sent_seq if self._relay else 0

    async def flush(self) -> None:
        """Let what is in the outbox go out, for a moment; the rest goes at the next start."""
        if self._relay is not None:
            await self._relay.drain(FLUSH_SECONDS)

    def stop(self) -> None:
        """End the services; the connections and the server go with the block of `opened_mesh`."""
        if self._relaying is not None:
            self._relaying.cancel()
        for station in reversed(self._stations):
            station.stop()


@asynccontextmanager
async def opened_mesh(config: Config, agent: str, server: EmbeddedServer | None) -> AsyncIterator[Mesh | None]:
    """Connections that are not made yet, to our own server or to another one; None with `mode = "off"`.

    Raises InvalidAccess.
    """
    mesh = config.mesh
    name, inbox = f"ganglion {agent}", inbox_of(config.agent.tenant, agent)
    async with AsyncExitStack() as stack:
        if server is not None:
            connection = Connection([server.url], credentials=server.credentials, name=name)
            hub: Connection | None = None
            if (beyond := hub_of(config)) is not None:
                link = await stack.enter_async_context(LeafLink.open(server, beyond))
                hub = Connection([server.url], credentials=server.uplink, name=name, inbox=inbox, beyond=link)
            yield Mesh(connection, server, hub)
        elif mesh.mode is Mode.EXTERNAL:
            tls = tls_of(config, mesh.url)
            credentials = credentials_of(config)
            servers = servers_of(mesh.url)
            yield Mesh(Connection(servers, credentials=credentials, tls=tls, name=name, inbox=inbox), None, None)
        else:
            yield None
