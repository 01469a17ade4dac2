"""One way in from a plain subscription: for subjects that people use for request-reply, which no stream may answer.

Outside the promise: what comes while the agent is away, or faster than it can commit, is lost. The latter is counted.
"""

import asyncio
import hashlib
from collections import Counter, deque
from contextlib import suppress

import nats.errors
from nats.aio.msg import Msg

from engine.clock import Clock
from engine.definition.model import Deliver
from engine.signal import Signal
from engine.triggers.message import Fate, Message
from engine.triggers.routes import Plain
from mesh.connection import Link
from mesh.intake.sink import Sink, accept_when_there_is_room

LIMIT = 4096
"""Messages that may wait for their commit."""
BATCH = 256


class Capture:
    """Takes in what is published to one subject, on each link."""

    def __init__(self, plain: Plain, *, tenant: str, sink: Sink, clock: Clock, counters: Counter[str]) -> None:
        self.plain = plain
        self.ready = asyncio.Event()
        self._queue = _queue_of(plain, tenant)
        self._sink = sink
        self._clock = clock
        self._counters = counters
        self._waiting: deque[Message] = deque()
        self._signal = Signal()

    async def work(self, link: Link) -> None:
        """Subscribe, and hand over until cancelled."""
        subscription = await link.nc.subscribe(self.plain.subject, queue=self._queue, cb=self._receive)
        try:
            await link.nc.flush()  # the server has it: what is published from now on comes here
            self.ready.set()
            while True:
                while self._waiting:
                    batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
                    receipts = await accept_when_there_is_room(self._sink, batch)
                    # Nothing keeps what a full queue does not take.
                    self._counters["dropped"] += sum(receipt.fate is Fate.HELD for receipt in receipts)
                await self._signal.wait()
        finally:
            with suppress(nats.errors.Error):
                await subscription.unsubscribe()

    async def _receive(self, msg: Msg) -> None:
        if len(self._waiting) >= LIMIT:
            self._counters["dropped"] += 1
            return
        self._waiting.append(
            Message(
                subject=msg.subject,
                body=msg.data,
                headers=msg.headers or {},
                received_at=self._clock.now(),
                workflow=self.plain.workflow,
                deliver=self.plain.deliver,
            )
        )
        self._signal.set()


def _queue_of(plain: Plain, tenant: str) -> str:
    """The group of those that share the messages; empty for none. The subject is in it: agents with another version of
    the workflow may ask for others."""
    if plain.deliver is not Deliver.ONE:
        return ""
    return f"ganglion_{tenant}_{plain.workflow}_{hashlib.sha256(plain.subject.encode()).hexdigest()[:8]}"
