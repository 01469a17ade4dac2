"""The messages of one consumer, as many as were asked for.

The library's `fetch` sends a probe and a request for each batch, makes a task for each message, and can't tell a quiet
stream from a dead one. Here requests stay open at the server and are topped up, messages are collected while the batch
before is being committed, and heartbeats tell that the server still knows our request.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress

import msgspec
import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from engine.signal import Signal
from engine.uninterrupted import uninterrupted
from mesh.connection import LOST, Link
from mesh.nats_client import AnySubjectClient
from mesh.wire import is_ack

HEARTBEAT_SECONDS = 5.0
EXPIRES_SECONDS = 60.0
MAX_BATCH = 1024
"""Messages in one request."""
TOP_UP = 32
"""An open request is topped up when so many more could come: not for each slot that gets free."""
_HEARTBEAT_NS = int(HEARTBEAT_SECONDS * 1e9)
_NAK = b"-NAK"
_HEARTBEAT, _NO_MESSAGES, _EXPIRED, _CONFLICT = "100", "404", "408", "409"
_PASSING = ("batch completed", "exceeded", "leadership change", "server shutdown", "message size")
"""Reasons of a 409 after which the same consumer can be asked again."""


class Silent(nats.errors.Error):
    """The consumer is gone, or the server does not know our request any more: bind again."""


class _Request(msgspec.Struct, frozen=True, omit_defaults=True):
    batch: int
    expires: int
    idle_heartbeat: int
    max_bytes: int = 0


class Pull:
    """An open pull on one consumer. Made by `Pull.open`."""

    def __init__(
        self,
        nc: AnySubjectClient,
        stream: str,
        consumer: str,
        *,
        max_bytes: int,
        top_up: int,
        expires: float,
        admits: Callable[[], bool],
    ) -> None:
        self._nc = nc
        self._expires_ns = int(expires * 1e9)
        self._admits = admits
        self._shut = False
        self._max_bytes = max_bytes
        self._top_up = top_up
        self._next = f"{nc.api}.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._inbox = nc.new_inbox()
        self._messages: list[Msg] = []
        self._signal = Signal()
        self._heard_at = 0.0
        self._problem = ""
        self._loop = asyncio.get_running_loop()
        self.asked = 0
        """Messages that the server may still send without being asked again."""

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        link: Link,
        stream: str,
        consumer: str,
        *,
        max_bytes: int = 0,
        top_up: int = TOP_UP,
        expires: float = EXPIRES_SECONDS,
        admits: Callable[[], bool] = lambda: True,
    ) -> "AsyncIterator[Pull]":
        """Nothing is fetched until `take`. At the end the server's copy of our requests ends with the inbox.

        `max_bytes` bounds what one request brings, 0 does not; it must be more than the largest message. As many
        requests are open as `top_up` goes into what is asked for. `expires`: seconds after which the server forgets a
        request, so long it may send messages to somebody who is gone without a word. `admits` is asked as each message
        comes: one that it refuses is given back at once.
        """
        pull = cls(link.nc, stream, consumer, max_bytes=max_bytes, top_up=top_up, expires=expires, admits=admits)
        subscription = await link.nc.subscribe(
            pull._inbox, cb=pull._receive, pending_msgs_limit=0, pending_bytes_limit=0
        )
        try:
            yield pull
        finally:
            pull._shut = True
            with suppress(*LOST):
                await pull.give_back(pull.collected())  # nobody took them: not after the ack wait, but at once
            await uninterrupted(_drained(link, subscription))  # what is on its way comes first, and is given back too

    async def take(self, room: int) -> list[Msg]:
        """Messages that have come, at least one; none when the request has run out and `room` is to be asked again.

        Asks for as many as there is `room` for. Raises Silent.
        """
        missing = min(room - len(self._messages) - self.asked, MAX_BATCH)
        if missing > 0 and (missing >= self._top_up or self.asked <= 0):
            await self._ask(missing)
        while not self._messages and self.asked > 0:
            if not await self._signal.wait(HEARTBEAT_SECONDS):
                self._check_pulse()
        if self._problem:
            raise Silent(self._problem)
        return self.collected()

    def collected(self) -> list[Msg]:
        """What has come and was not taken; it is the caller's now."""
        collected, self._messages = self._messages, []
        return collected

    async def give_back(self, messages: Sequence[Msg]) -> None:
        """Let messages come again at once, here or to others."""
        if messages:
            await self._nc.publish_batch((msg.reply, "", {}, _NAK) for msg in messages)

    @contextmanager
    def shut(self) -> Iterator[None]:
        """Within the block nothing is taken: what comes all the same is given back at once."""
        self._shut = True
        try:
            yield
        finally:
            self._shut = False

    async def _ask(self, batch: int) -> None:
        if self.asked <= 0:
            self._heard_at = self._loop.time()
            self.asked = 0
        self.asked += batch
        request = _Request(batch, self._expires_ns, _HEARTBEAT_NS, self._max_bytes)
        await self._nc.publish(self._next, msgspec.json.encode(request), self._inbox)

    def _check_pulse(self) -> None:
        silence = self._loop.time() - self._heard_at
        if silence > 2 * HEARTBEAT_SECONDS:
            raise Silent(f"nothing was heard of {self._next} for {silence:.0f} s")

    async def _receive(self, msg: Msg) -> None:
        self._heard_at = self._loop.time()
        if is_ack(msg.reply):
            self.asked -= 1
            self._signal.set()
            if self._shut or not self._admits():
                await self.give_back([msg])
            else:
                self._messages.append(msg)
            return
        headers = msg.headers or {}
        status = headers.get("Status", "")
        if status == _HEARTBEAT:
            return
        reason = headers.get("Description", "").lower()
        if status in (_NO_MESSAGES, _EXPIRED) or (status == _CONFLICT and reason.startswith(_PASSING)):
            # A request ended: what it had left will not come. Without the figure, ask for everything again.
            left = headers.get("Nats-Pending-Messages", "")
            self.asked = max(self.asked - int(left), 0) if left.isdigit() else 0
        else:
            self.asked = 0
            self._problem = f"the server ended {self._next}: {status} {reason or 'no consumer'}"
        self._signal.set()


async def _drained(link: Link, subscription: Subscription) -> None:
    """Unsubscribe, and wait for what the server has sent before it knew. Not to be cancelled while there is a link: the
    library's client dies of the answer to a ping that nobody waits for."""
    draining = asyncio.create_task(subscription.drain(), name="draining a pull")  # type: ignore[no-untyped-call]
    lost = asyncio.create_task(link.lost.wait(), name="draining a pull: watching its link")
    await asyncio.wait({draining, lost}, return_when=asyncio.FIRST_COMPLETED)
    lost.cancel()
    if not draining.done():
        draining.cancel()
    await asyncio.gather(draining, lost, return_exceptions=True)
