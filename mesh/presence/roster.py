"""Who is there, as one watcher sees it: kept up to date by what agents say, and by their silence.

A consumer of the bucket tells each beat as it comes; the whole list is read with each new link and now and then, since
a message may get lost. Silence is counted by this machine's monotonic clock, and only while there is a link: who was
cut off heard nobody, so after each new link everybody has three beats again to speak.
"""

import asyncio
from collections.abc import Callable

import msgspec
import nats.errors
from nats.aio.msg import Msg

from engine.clock import Clock
from engine.values import Json
from mesh.connection import Connection, Link
from mesh.jetstream import ask
from mesh.presence.attendance import Attendance, Change
from mesh.presence.beat import Beat
from mesh.presence.bucket import PREFIX, STREAM, ensure_bucket, listing
from mesh.presence.members import Member
from mesh.presence.reading import read_beat
from mesh.wire import is_ack

LIST_SECONDS = 60.0
"""How often the whole list is read."""
IDLE_SECONDS = 5.0
"""How often the server says that the consumer is there, when nobody else says anything."""
SILENT_SECONDS = 3 * IDLE_SECONDS
"""Without a word for so long the consumer is gone: a new one is made."""
LOOK_SECONDS = 1.0
"""How soon a silence is noticed at the latest."""
QUEUE = 10_000
"""Beats that may wait to be looked at; the list makes up for more."""


class ConsumerGone(nats.errors.Error):
    """The server does not tell of beats any more."""


class _Created(msgspec.Struct, frozen=True):
    name: str


class Roster:
    """Follows the agents of a tenant; `run` is its service. `listeners` are told of each change on the event loop."""

    def __init__(
        self,
        connection: Connection,
        tenant: str,
        *,
        clock: Clock,
        list_seconds: float = LIST_SECONDS,
        alone: bool = False,
    ) -> None:
        """`alone`: the server is the watcher's own, and no other agent is there."""
        self._connection = connection
        self._tenant = tenant
        self._clock = clock
        self._list_seconds = list_seconds
        self._alone = alone
        self._attendance = Attendance()
        self._known = asyncio.Event()
        self.listeners: list[Callable[[Change], None]] = []
        self.bad = 0
        """Values that were no beat, as they came."""

    async def run(self) -> None:
        """Follow until cancelled."""
        await self._connection.serve(self._work, name="the roster")

    async def snapshot(self) -> list[Member]:
        """Everybody, in the order of their ids, as soon as the list was read once."""
        await self._known.wait()
        return self._attendance.members(self._clock.monotonic())

    def beats(self) -> list[Beat]:
        """The newest of everybody who is known now."""
        return list(self._attendance.beats())

    async def _work(self, link: Link) -> None:
        await ensure_bucket(link.nc, in_memory=self._alone)
        coming: asyncio.Queue[Msg] = asyncio.Queue(QUEUE)

        async def take(message: Msg) -> None:
            if not coming.full():
                coming.put_nowait(message)

        inbox = link.nc.new_inbox()
        subscription = await link.nc.subscribe(inbox, cb=take)
        self._attendance.linked(self._clock.monotonic())
        try:
            await ask(link.nc, f"CONSUMER.CREATE.{STREAM}", _Created, self._consumer(inbox))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._list(link), name="the roster's list")
                await self._follow(coming)
        finally:
            self._attendance.unlinked(self._clock.monotonic())
            if link.nc.is_connected:
                await subscription.unsubscribe()

    async def _list(self, link: Link) -> None:
        while True:
            before = self._attendance.sequences()
            found = await listing(link.nc, self._tenant)
            self._tell(self._attendance.listed(found, before, self._clock.monotonic()))
            self._known.set()
            await asyncio.sleep(self._list_seconds)

    async def _follow(self, coming: "asyncio.Queue[Msg]") -> None:
        """Until the server has said nothing for too long, not even that the consumer is idle."""
        loop = asyncio.get_running_loop()
        last = loop.time()
        while True:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    message = await coming.get()
            except TimeoutError:
                if loop.time() - last > SILENT_SECONDS:
                    raise ConsumerGone(f"{STREAM} has told nothing for {SILENT_SECONDS:g} s") from None
            else:
                last = loop.time()
                self._hear(message)
            self._tell(self._attendance.silence(self._clock.monotonic()))

    def _hear(self, message: Msg) -> None:
        if not message.data:
            return  # the server's own word that the consumer is idle, or the marker of a deleted key
        beat = read_beat(message.subject.removeprefix(PREFIX), message.data) if is_ack(message.reply) else None
        if beat is None or beat.tenant != self._tenant:
            self.bad += 1
            return
        self._tell(self._attendance.heard(beat, message.metadata.sequence.stream, self._clock.monotonic()))

    def _tell(self, changes: list[Change]) -> None:
        for change in changes:
            for listener in self.listeners:
                listener(change)

    def _consumer(self, inbox: str) -> dict[str, Json]:
        """One that lives as long as its link, and keeps nothing."""
        return {
            "stream_name": STREAM,
            "config": {
                "deliver_subject": inbox,
                "deliver_policy": "new",
                "ack_policy": "none",
                "max_deliver": 1,
                "replay_policy": "instant",
                "filter_subject": f"{PREFIX}{self._tenant}.*",
                "idle_heartbeat": int(IDLE_SECONDS * 1_000_000_000),
                "inactive_threshold": 30_000_000_000,
                "mem_storage": True,
                "num_replicas": 1,
            },
        }
