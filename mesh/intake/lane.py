"""One way in: fetch from a consumer, hand over to the engine, and acknowledge what is on the disk."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import nats.errors
from nats.aio.msg import Msg

from engine.clock import Clock
from engine.crash import crash_point
from engine.triggers.message import Fate, Message, Receipt
from engine.values import Json
from mesh.connection import Link
from mesh.intake.pull import Pull
from mesh.intake.sink import Sink, Slots, accept_when_there_is_room
from mesh.jetstream import StreamInfo, drop_consumer, ensure_consumer

ACK_SECONDS = 5.0
"""How long the server may take to confirm; then it delivers again, and the inbox knows the message."""
LAST_SECONDS = 0.5
"""How long the last batch may take at the end."""
ACK_WAIT_SECONDS = 30
MAX_ACK_PENDING = 8192
_ACK, _TERM = b"+ACK", b"+TERM"

Prepare = Callable[[Link], Awaitable[StreamInfo | None]]
"""Makes sure of the stream; None while there is nothing to fetch from."""


class Source(msgspec.Struct, frozen=True):
    """A durable consumer and what it fetches."""

    stream: str
    consumer: str
    subjects: tuple[str, ...] = ()
    """Filter; empty for all."""
    workflow: str = ""
    """Set where it fetches for one workflow."""
    only_new: bool = False
    """Begin with what comes after the consumer is made, not with what the stream holds."""
    private: bool = False
    """Nobody else fetches from it."""


class Lane:
    """Fetches from one source on each link."""

    def __init__(
        self, source: Source, prepare: Prepare, *, sink: Sink, slots: Slots, clock: Clock, counters: Counter[str]
    ) -> None:
        self.source = source
        self.ready = asyncio.Event()
        """Its consumer is there."""
        self._prepare = prepare
        self._sink = sink
        self._slots = slots
        self._clock = clock
        self._counters = counters

    async def work(self, link: Link) -> None:
        """Fetch until cancelled, or until there is no stream. Raises Silent when it has to bind again."""
        info = await self._prepare(link)
        if info is None:
            return
        if self.source.private:
            # What was fetched on an earlier link, or before a kill -9, and not acknowledged comes again at once: the
            # old consumer would hold it back until its ack wait is over.
            await drop_consumer(link.nc, self.source.stream, self.source.consumer)
        await ensure_consumer(link.nc, self.source.stream, self._config(), new={"deliver_policy": self._begin()})
        self.ready.set()
        async with Pull.open(link, self.source.stream, self.source.consumer) as pull:
            acknowledging: asyncio.Task[None] | None = None
            try:
                while True:
                    room = self._slots.free_slots()
                    if room <= 0 and pull.asked <= 0:
                        await self._slots.wait_for_slots()
                        continue
                    fetched = await pull.take(room)
                    if not fetched:
                        continue
                    crash_point("intake-after-fetch")
                    receipts = await accept_when_there_is_room(self._sink, self._messages(fetched, info.created))
                    crash_point("intake-after-commit-before-ack")
                    if acknowledging is not None:
                        await acknowledging  # one batch is acknowledged while the next is being committed, not more
                    acknowledging = asyncio.create_task(self._acknowledge(link, fetched, receipts))
            finally:
                if acknowledging is not None:
                    await _finish(acknowledging, 0.0 if link.lost.is_set() else LAST_SECONDS)

    def _messages(self, fetched: Sequence[Msg], created: str) -> list[Message]:
        now = self._clock.now()
        stream, workflow = self.source.stream, self.source.workflow
        return [
            Message(
                subject=msg.subject,
                body=msg.data,
                headers=msg.headers or {},
                received_at=now,
                stream=stream,
                stream_created=created,
                sequence=_sequence(msg.reply),
                workflow=workflow,
            )
            for msg in fetched
        ]

    async def _acknowledge(self, link: Link, fetched: Sequence[Msg], receipts: Sequence[Receipt]) -> None:
        """Acknowledge a batch, the last one with an answer.

        All travel on one connection and the server handles a consumer's in their order, so the answer to the last says
        that it has handled them all (see test_one_confirmed_acknowledgement_confirms_its_batch).
        """
        words = [_word(receipt) for receipt in receipts]
        await link.nc.publish_batch((msg.reply, "", {}, word) for msg, word in zip(fetched[:-1], words, strict=False))
        try:
            await link.nc.request(fetched[-1].reply, words[-1], timeout=ACK_SECONDS)
        except (nats.errors.TimeoutError, nats.errors.NoRespondersError):
            self._counters["unconfirmed"] += len(fetched)
        else:
            held = sum(receipt.fate is Fate.HELD for receipt in receipts)
            self._counters["held"] += held
            self._counters["acknowledged"] += len(fetched) - held
        crash_point("intake-after-ack")

    def _begin(self) -> str:
        return "new" if self.source.only_new else "all"

    def _config(self) -> dict[str, Json]:
        config: dict[str, Json] = {
            "durable_name": self.source.consumer,
            "ack_policy": "explicit",
            "ack_wait": ACK_WAIT_SECONDS * 1_000_000_000,
            "max_ack_pending": MAX_ACK_PENDING,
            "max_deliver": -1,
        }
        if len(self.source.subjects) == 1:
            config["filter_subject"] = self.source.subjects[0]
        elif self.source.subjects:
            config["filter_subjects"] = list(self.source.subjects)
        return config


async def _finish(acknowledging: "asyncio.Task[None]", seconds: float) -> None:
    """Let the last batch be acknowledged. If that fails it is delivered again, and the inbox knows it."""
    try:
        await asyncio.wait({acknowledging}, timeout=seconds)
    finally:
        acknowledging.cancel()
        await asyncio.gather(acknowledging, return_exceptions=True)


def _word(receipt: Receipt) -> bytes:
    """What the server is told of a message. One that is held stays in the stream and is delivered again later; until
    then others pass it."""
    if receipt.fate is Fate.HELD:
        return b'-NAK {"delay": %d}' % int(receipt.retry_seconds * 1e9)
    return _TERM if receipt.fate is Fate.DEAD else _ACK


def _sequence(reply: str) -> int:
    """The sequence in `$JS.ACK.<stream>.<consumer>.<delivered>.<sequence>…`, or with domain and account before."""
    tokens = reply.split(".")
    return int(tokens[5] if len(tokens) == 9 else tokens[7])
