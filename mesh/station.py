"""One NATS server that an agent works at: what it fetches, serves and shows there.

An agent has its own server, or an external one that it shares with others; behind its own there may be a hub, which is
a shared one too. Facts are relayed for all stations together (relay/), since they come from one outbox.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping

import msgspec

from engine.control import Verb
from engine.definition.model import At
from engine.engine import Engine
from engine.triggers.routes import External, Routes
from mesh.connection import Connection
from mesh.errors import StreamConflict
from mesh.intake import Pump
from mesh.live import LivePublisher
from mesh.service import ControlService

_logger = logging.getLogger("ganglion.mesh")


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent says of itself in the service's metadata."""

    version: str
    metadata: Mapping[str, str] = {}


class Station:
    """The services of one connection: `start` them, `stop_intake` first of all at the end, then `stop`.

    `own`: the server is this agent's alone. `hub`: it is behind the agent's own server. `alone`: there is no hub.
    """

    def __init__(
        self,
        connection: Connection,
        engine: Engine,
        verbs: Iterable[Verb],
        *,
        about: About,
        own: bool,
        hub: bool = False,
        alone: bool = False,
    ) -> None:
        identity = engine.identity
        self.connection = connection
        self.hub = hub
        self._own = own
        self._alone = alone
        self._beyond_reach: frozenset[External] = frozenset()
        """What is wanted of a hub that there is not; known since the start."""
        self.pump = Pump(
            connection,
            engine.intake,
            engine.executor,
            room_for=engine.intake.room_for,
            agent=identity.agent,
            tenant=identity.tenant,
            own_server=own,
            at=At.HUB if hub else At.OWN if own else None,
            clock=engine.store.clock,
        )
        self.service = ControlService(
            connection, verbs, tenant=identity.tenant, agent=identity.agent, version=about.version,
            metadata=about.metadata,
        )  # fmt: skip
        self._live = LivePublisher(engine.services.bus, connection, identity, engine.store.clock)
        self._services: list[asyncio.Task[None]] = []
        self._intake: asyncio.Task[None] | None = None

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Connect and serve; nothing is fetched yet."""
        where = "hub" if self.hub else "own"
        self._services = [
            tasks.create_task(self.connection.run(), name=f"connection ({where})"),
            tasks.create_task(self.service.run(), name=f"service ({where})"),
            tasks.create_task(self._live.run(), name=f"live events ({where})"),
        ]

    def start_intake(self, tasks: asyncio.TaskGroup) -> None:
        """Fetch messages from now on."""
        self._intake = tasks.create_task(self.pump.run(), name="intake")

    async def capture(self, routes: Routes, *, strict: bool = True) -> None:
        """Take in what these routes want of this server. Raises StreamConflict; unless it is `strict`, what can't be
        taken in is logged, and does not touch the rest."""
        if self._alone:
            self._check_reach(routes, strict=strict)
        here = not self.hub
        await self.pump.set_subjects(
            intake=routes.intake_subjects if here else (),
            core=routes.core_subjects if self._own else (),
            plain=routes.plain if here and not self._own else (),
            externals=routes.externals,
            workflows=routes.active,
            strict=strict,
        )

    def _check_reach(self, routes: Routes, *, strict: bool) -> None:
        wanted = frozenset(external for external in routes.externals if external.at is At.HUB)
        for external in sorted(wanted - self._beyond_reach, key=lambda one: (one.workflow, one.stream)):
            problem = (
                f"the workflow {external.workflow} takes from the stream {external.stream} of the hub (at: hub), and "
                "this agent leads to none: set [mesh] hub, or take from a stream here (at: own)"
            )
            if strict:
                raise StreamConflict(problem)
            _logger.error("some messages can't be taken in: %s", problem)
        self._beyond_reach = wanted

    def stop_intake(self) -> None:
        """Take no more messages."""
        if self._intake is not None:
            self._intake.cancel()

    def stop(self) -> None:
        """End the services."""
        for service in reversed(self._services):
            service.cancel()
