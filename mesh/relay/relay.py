"""The outbox relay: its two lanes, side by side, so that facts never wait for a publication."""

import asyncio
from contextlib import suppress

from engine.events import Identity
from engine.store.outbox import Outbox
from mesh.connection import Connection
from mesh.relay.facts import FactLane
from mesh.relay.publications import PublicationLane
from mesh.streams import Limits


class Relay:
    """Relays an outbox over a connection; `run` is its service. Never loses: without NATS the rows wait.

    `own_server`: the stream of facts is this agent's alone, so the server can be asked to refuse a wrong order.
    """

    def __init__(
        self,
        connection: Connection,
        outbox: Outbox,
        identity: Identity,
        *,
        name: str = "local",
        own_server: bool = True,
        limits: Limits | None = None,
    ) -> None:
        self._connection = connection
        self._outbox = outbox
        self._facts = FactLane(outbox, identity, name=name, limits=limits or Limits(), chained=own_server)
        self._publications = PublicationLane(outbox)

    @property
    def sent_seq(self) -> int:
        """The newest fact that the stream has acknowledged."""
        return self._facts.cursor.seq

    async def run(self) -> None:
        """Relay until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tell(), name="outbox signal")
            tasks.create_task(self._connection.serve(self._facts.work, name="relay of facts"))
            tasks.create_task(self._connection.serve(self._publications.work, name="relay of publications"))

    async def drain(self, seconds: float) -> bool:
        """Wait until everything that is in the outbox now has been sent, at most so long; whether it was.

        For a stop: `agent.stopped` should be on its way before the connection closes.
        """
        if not self._connection.is_connected:
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._facts.wait_until(self._outbox.last_seq)
                await self._publications.is_empty.wait()
                return True
        return False

    async def _tell(self) -> None:
        """The outbox has one signal and two readers: whoever took it would take it from the other."""
        while True:
            await self._outbox.signal.wait()
            self._facts.signal.set()
            if self._outbox.has_more_publications():
                self._publications.is_empty.clear()
                self._publications.signal.set()
