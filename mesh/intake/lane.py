"""One way in: fetch from a consumer, hand over to the engine, and acknowledge what is on the disk.

Where other agents fetch from the same consumer, what this one can't take in at once is theirs: it goes back to the
server, and nothing is held while the disk is full.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from nats.aio.msg import Msg

from engine.clock import Clock
from engine.crash import crash_point
from engine.store import StoreFull
from engine.triggers.message import Message, Receipt
from mesh.connection import LOST, Link
from mesh.intake import consumer
from mesh.intake.answers import Answers, sequence_in
from mesh.intake.hand import Hand, Share
from mesh.intake.pull import EXPIRES_SECONDS, Pull
from mesh.intake.sink import ROOM_SECONDS, Sink, Slots, accept_when_there_is_room
from mesh.intake.source import Source
from mesh.jetstream import StreamInfo, drop_consumer

_logger = logging.getLogger("ganglion.mesh")
LAST_SECONDS = 0.5
"""How long the last batch may take at the end."""
MAKING_UP_SECONDS = 1.0
"""How long a shared lane waits on a new link before it fetches: a server that was killed gives out again what it does
not know to be answered, and whoever has taken it in says so first."""
SHARED_ROOM = 256
"""Messages of a shared consumer that one agent may have in hand; if it freezes, others wait for them for the ack
wait."""
SHARED_EXPIRES_SECONDS = 20.0
"""Requests of an agent that has gone without a word are forgotten before the ack wait is over, so that what it
swallowed is not given to it again."""

Prepare = Callable[[Link], Awaitable[StreamInfo | None]]
"""Makes sure of the stream; None while there is nothing to fetch from."""


class Lane:
    """Fetches from one source on each link."""

    def __init__(
        self,
        source: Source,
        prepare: Prepare,
        *,
        sink: Sink,
        slots: Slots,
        hand: Hand,
        clock: Clock,
        counters: Counter[str],
    ) -> None:
        self.source = source
        self.ready = asyncio.Event()
        """Its consumer is there."""
        self._prepare = prepare
        self._sink = sink
        self._slots = slots
        self._hand = hand
        self._mine = Share(hand)
        self._clock = clock
        self._counters = counters
        self._answers = Answers(counters)
        self._is_full = False

    async def work(self, link: Link) -> None:
        """Fetch until cancelled, or until there is no stream. Raises Silent when it has to bind again."""
        source = self.source
        info = await self._prepare(link)
        if info is None:
            return
        if source.private:
            # What was fetched on an earlier link, or before a kill -9, and not acknowledged comes again at once: the
            # old consumer would hold it back until its ack wait is over.
            await drop_consumer(link.nc, source.stream, source.consumer)
        else:
            await self._answers.make_up(link, info)
        await consumer.ensure(link, source, info)
        if source.shared and self.ready.is_set():
            await asyncio.sleep(MAKING_UP_SECONDS)
        self.ready.set()
        expires = SHARED_EXPIRES_SECONDS if source.shared else EXPIRES_SECONDS
        try:
            async with Pull.open(link, source.stream, source.consumer, expires=expires, admits=self._admits) as pull:
                await self._fetch(link, pull, info.created)
        finally:
            self._mine.let_go(
                self._mine.count
            )  # what was not taken in: the pull has given it back, or the link is lost

    async def _fetch(self, link: Link, pull: Pull, created: str) -> None:
        before: asyncio.Task[None] | None = None
        handling: asyncio.Task[None] | None = None
        try:
            while True:
                room = self._room()
                if room <= 0 and not self._mine.count and (self.source.shared or pull.asked <= 0):
                    with pull.shut():
                        await self._wait_for_room()
                    continue
                fetched = await self._kept(pull, await pull.take(1 if self._is_full else room))
                if not fetched:
                    continue
                crash_point("intake-after-fetch")
                accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                before, handling = handling, asyncio.create_task(self._handle(link, pull, fetched, created, accepted))
                await accepted
                if before is not None:
                    await before  # one batch is acknowledged while the next is being committed, not more
        finally:
            for task in (before, handling):
                if task is not None:
                    await _finish(task, 0.0 if link.lost.is_set() and not self.source.shared else LAST_SECONDS)

    def _room(self) -> int:
        """How many messages this lane may have in hand."""
        free = self._slots.free_slots()
        return min(free - self._mine.of_others, SHARED_ROOM) if self.source.shared else free

    def _admits(self) -> bool:
        """Whether a message that has come may stay. From its arrival it counts as in hand, also while this lane waits
        for a commit: nobody else has it."""
        if self.source.shared and self._mine.count >= self._room():
            self._counters["given back"] += 1
            return False
        self._mine.take()
        return True

    async def _wait_for_room(self) -> None:
        if self._slots.free_slots() <= 0:
            await self._slots.wait_for_slots()
        else:
            await self._hand.wait_for_less()

    async def _kept(self, pull: Pull, fetched: list[Msg]) -> list[Msg]:
        """What there is still room for; it came some time ago. The rest is the others'."""
        room = max(self._room(), 0)
        if not self.source.shared or len(fetched) <= room:
            return fetched
        await self._give_back(pull, fetched[room:])
        return fetched[:room]

    async def _give_back(self, pull: Pull, messages: Sequence[Msg]) -> None:
        self._mine.let_go(len(messages))
        self._counters["given back"] += len(messages)
        await pull.give_back(messages)

    async def _handle(
        self, link: Link, pull: Pull, fetched: Sequence[Msg], created: str, accepted: "asyncio.Future[None]"
    ) -> None:
        """Take a batch in and acknowledge it: a task of its own, so that a lane which ends does both or none."""
        try:
            receipts = await self._accept(self._messages(fetched, created))
        except StoreFull:
            with pull.shut():
                with suppress(*LOST):
                    await self._give_back(pull, [*fetched, *pull.collected()])
                await asyncio.sleep(ROOM_SECONDS)
            _settle(accepted)
            return
        except Exception as error:
            _settle(accepted, error)
            return
        self._mine.let_go(len(fetched))
        crash_point("intake-after-commit-before-ack")
        _settle(accepted)
        await self._answers.give(link, fetched, receipts)

    async def _accept(self, messages: Sequence[Message]) -> list[Receipt]:
        """The receipts. A full disk is waited out with the messages in hand, if nobody else could take them; if others
        can, raises StoreFull."""
        if not self.source.shared:
            return await accept_when_there_is_room(self._sink, messages)
        try:
            receipts = await self._sink.accept(messages)
        except StoreFull as error:
            if not self._is_full:
                _logger.error("%s; messages are left to other agents", error)
            self._is_full = True
            raise
        self._is_full = False
        return receipts

    def _messages(self, fetched: Sequence[Msg], created: str) -> list[Message]:
        now = self._clock.now()
        source = self.source
        return [
            Message(
                subject=msg.subject,
                body=msg.data,
                headers=msg.headers or {},
                received_at=now,
                stream=source.stream,
                at=source.at,
                stream_created=created,
                sequence=sequence_in(msg.reply),
                workflow=source.workflow,
                deliver=source.deliver,
            )
            for msg in fetched
        ]


def _settle(accepted: "asyncio.Future[None]", error: Exception | None = None) -> None:
    """Tell the lane, unless it has ended meanwhile."""
    if accepted.done():
        return
    if error is None:
        accepted.set_result(None)
    else:
        accepted.set_exception(error)


async def _finish(handling: "asyncio.Task[None]", seconds: float) -> None:
    """Let the last batch be acknowledged. If that fails it is delivered again, and the inbox knows it."""
    try:
        await asyncio.wait({handling}, timeout=seconds)
    finally:
        handling.cancel()
        await asyncio.gather(handling, return_exceptions=True)
