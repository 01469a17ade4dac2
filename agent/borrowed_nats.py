"""Somebody else's NATS server for one run in this process: `ganglion run FILE --url nats://…`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from agent.access import credentials_at, tls_of
from agent.config import Config
from engine.store.outbox import Outbox
from mesh.connection import Connection
from mesh.errors import AgentUnreachable
from mesh.relay.publications import PublicationLane
from mesh.requester import NatsRequester

CONNECT_SECONDS = 5.0
SEND_SECONDS = 5.0
"""How long the end of a run waits until its messages are taken."""


class BorrowedNats:
    """Request-reply for nodes, and a way out for what they publish."""

    def __init__(self, connection: Connection) -> None:
        self.requester = NatsRequester(connection)
        self._connection = connection

    async def send(self, outbox: Outbox) -> None:
        """Send what nodes published; what is not taken in time stays in the outbox."""
        lane = PublicationLane(outbox)
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(self._connection.serve(lane.work, name="publications"))
            with suppress(TimeoutError):
                async with asyncio.timeout(SEND_SECONDS):
                    await lane.is_empty.wait()
            sending.cancel()


@asynccontextmanager
async def borrowed_nats(config: Config, url: str) -> AsyncIterator[BorrowedNats]:
    """Connected within the block. Raises AgentUnreachable and InvalidAccess, inside exception groups."""
    connection = Connection(
        [url], credentials=credentials_at(config, url), tls=tls_of(config, url), name="ganglion run"
    )
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(connection.run(), name="connection")
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await connection.link()
        except TimeoutError:
            raise AgentUnreachable(f"no NATS server answers at {connection.servers}") from None
        yield BorrowedNats(connection)
        running.cancel()
