"""The recorder of a fleet, put together."""

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from engine.clock import Clock
from engine.fleet.event import Gap
from engine.fleet.store import FleetStore
from engine.signal import Signal
from engine.store import StoreFull
from mesh.connection import Connection
from mesh.presence.attendance import Change
from mesh.presence.members import Member
from mesh.recorder.asker import Asker, Report
from mesh.recorder.reader import Reader
from mesh.recorder.watch import PRESENT, Watch
from mesh.streams import Limits

_logger = logging.getLogger("ganglion.mesh")
LOOK_SECONDS = 5.0
"""How often what agents say of themselves is compared with what is recorded."""


class Roster(Protocol):
    """Who is there."""

    @property
    def listeners(self) -> list[Callable[[Change], None]]:
        """Are told who came, and who went."""
        ...

    async def snapshot(self) -> list[Member]:
        """Everybody who is or was there."""
        ...


class Recorder:
    """Records the facts of all agents of a tenant; `run` is its service.

    `connection` leads to where the other agents are. `report` tells the world of facts that will never come, once each.
    """

    def __init__(
        self,
        connection: Connection,
        store: FleetStore,
        *,
        tenant: str,
        agent: str,
        clock: Clock,
        roster: Roster,
        report: Report,
        limits: Limits | None = None,
    ) -> None:
        self._connection = connection
        self._store = store
        self._roster = roster
        self._report = report
        self._stirred = Signal()
        roster.listeners.append(lambda _: self._stirred.set())
        self._there: set[str] = set()
        """Agents that were there at the last look."""
        self._labels: dict[str, dict[str, str]] = {}
        """What the store was told."""
        self.watch = Watch(clock)
        self.reader = Reader(store, tenant=tenant, agent=agent, limits=limits)
        self.asker = Asker(
            connection, store, tenant=tenant, clock=clock, record=self.reader.record, report=self._given_up,
            is_behind=lambda: self.reader.is_behind, tails=self.watch.tails,
        )  # fmt: skip

    async def run(self) -> None:
        """Record until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._connection.serve(self.reader.work, name="the recorder"), name="recorder")
            tasks.create_task(self.asker.run(), name="asking for facts")
            tasks.create_task(self._watch(), name="watching the fleet")

    async def look(self) -> None:
        """Compare once. Raises StoreFull, and then nothing is remembered."""
        members = await self._roster.snapshot()
        self.watch.look(members, await self._store.tracks())
        there = {member.beat.agent for member in members if member.state in PRESENT}
        self.asker.hurry(there - self._there)
        self._there = there
        await self._learn(members)

    async def _learn(self, members: Sequence[Member]) -> None:
        labels = {member.beat.agent: member.beat.labels for member in members}
        if labels != self._labels:
            await self._store.remember(labels)
            self._labels = labels

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        looked = -math.inf
        while True:
            with suppress(StoreFull):  # the labels are told again at the next look, and the reader tells of the disk
                if loop.time() - looked >= LOOK_SECONDS:
                    looked = loop.time()
                    await self.look()
                else:
                    await self._learn(await self._roster.snapshot())
            # Labels are learnt at once, of agents that come or change: what they do is asked for by them.
            await self._stirred.wait(looked + LOOK_SECONDS - loop.time())

    async def _given_up(self, gap: Gap) -> None:
        if gap.first == 1:
            _logger.info(
                "facts %d to %d of the agent %s happened before it was recorded", gap.first, gap.last, gap.agent
            )
            return
        _logger.warning(
            "facts %d to %d of the agent %s (epoch %s) are lost: %s",
            gap.first, gap.last, gap.agent, gap.epoch, gap.lost,
        )  # fmt: skip
        await self._report(gap)
