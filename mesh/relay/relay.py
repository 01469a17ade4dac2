"""The outbox relay: its lanes, side by side: facts never wait for a publication, nor our own stream for the hub's."""

import asyncio
from contextlib import suppress

from engine.events import Identity
from engine.store.outbox import Outbox
from mesh.connection import Connection
from mesh.relay.facts import FactLane
from mesh.relay.publications import PublicationLane
from mesh.streams import Limits

HUB = "hub"
"""The cursor of the hub's stream."""


class Relay:
    """Relays an outbox over a connection; `run` is its service. Never loses: without NATS the rows wait.

    `own_server`: the stream of facts is this agent's alone, so the server can be asked to refuse a wrong order.
    `hub`: facts go there too, with a cursor of their own; publications do not.
    """

    def __init__(
        self,
        connection: Connection,
        outbox: Outbox,
        identity: Identity,
        *,
        name: str = "local",
        own_server: bool = True,
        hub: Connection | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._connection = connection
        self._outbox = outbox
        limits = limits or Limits()
        self._facts = FactLane(outbox, identity, name=name, limits=limits, chained=own_server)
        self._lanes = [(connection, self._facts)]
        if hub is not None:
            self._lanes.append((hub, FactLane(outbox, identity, name=HUB, limits=limits, chained=False)))
        self._publications = PublicationLane(outbox)

    @property
    def sent_seq(self) -> int:
        """The newest fact that every stream has acknowledged."""
        return min(lane.cursor.seq for _, lane in self._lanes)

    async def run(self) -> None:
        """Relay until cancelled."""
        await self._outbox.follow([lane.cursor.name for _, lane in self._lanes])
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tell(), name="outbox signal")
            for connection, lane in self._lanes:
                tasks.create_task(connection.serve(lane.work, name=f"relay of facts ({lane.cursor.name})"))
            tasks.create_task(self._connection.serve(self._publications.work, name="relay of publications"))

    async def drain(self, seconds: float) -> bool:
        """Wait until everything that is in the outbox now has been sent, at most so long; whether it was.

        For a stop: `agent.stopped` should be on its way before the connection closes.
        """
        if not self._connection.is_connected:
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                for connection, lane in self._lanes:
                    if connection.is_connected:
                        await lane.wait_until(self._outbox.last_seq)
                await self._publications.is_empty.wait()
                return True
        return False

    async def _tell(self) -> None:
        """The outbox has one signal and two readers: whoever took it would take it from the other."""
        while True:
            await self._outbox.signal.wait()
            for _, lane in self._lanes:
                lane.signal.set()
            if self._outbox.has_more_publications():
                self._publications.is_empty.clear()
                self._publications.signal.set()
