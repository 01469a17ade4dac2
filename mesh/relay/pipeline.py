"""Publishing to JetStream in batches: all are sent, then all answers are awaited.

One answer at a time gives some 2,000 messages/s, a batch ten times as many. The library's `publish_async` makes a
random token, a future and two callbacks for each message; here a number for each and one event for the batch do.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TypeAlias

import msgspec
import nats.errors
from nats.aio.msg import Msg

from mesh.connection import Link
from mesh.nats_client import AnySubjectClient

ANSWER_SECONDS = 5.0
"""How long the server may be silent before the rest of a batch counts as unanswered."""


class Outgoing(msgspec.Struct, frozen=True):
    """A message to send."""

    subject: str
    body: bytes
    headers: Mapping[str, str] = {}


class Stored(msgspec.Struct, frozen=True):
    """A stream has it."""

    stream: str
    seq: int
    duplicate: bool = False


class Refusal(msgspec.Struct, frozen=True):
    """The server would not store it. `err_code` as in the JetStream API, such as 10077."""

    code: int
    err_code: int = 0
    description: str = ""


class Unanswered(msgspec.Struct, frozen=True):
    """Nobody knows: it may be stored, or no stream wants it."""


Answer: TypeAlias = Stored | Refusal | Unanswered
UNANSWERED = Unanswered()


class _Reply(msgspec.Struct, frozen=True):
    stream: str = ""
    seq: int = 0
    duplicate: bool = False
    error: Refusal | None = None


_decoder = msgspec.json.Decoder(_Reply)


class Pipeline:
    """Sends batches, one at a time. Made by `Pipeline.open`."""

    def __init__(self, nc: AnySubjectClient) -> None:
        self._nc = nc
        self._prefix = f"{nc.new_inbox()}."
        self._first = 0
        self._answers: list[Answer] = []
        self._missing = 0
        self._heard = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def open(cls, link: Link) -> "AsyncIterator[Pipeline]":
        pipeline = cls(link.nc)
        subscription = await link.nc.subscribe(f"{pipeline._prefix}*", cb=pipeline._receive)
        try:
            yield pipeline
        finally:
            with suppress(nats.errors.Error):
                await subscription.unsubscribe()

    async def send(self, batch: Sequence[Outgoing]) -> list[Answer]:
        """Publish a batch in its order; the answers in the same order. Raises nats.errors.Error without connection."""
        return await self._send(batch, 0)

    async def send_chain(self, batch: Sequence[Outgoing]) -> Answer:
        """Publish a batch in which each message demands the one before it (`Nats-Expected-Last-Msg-Id`): the answer to
        the last is that of all, and the server is spared the others."""
        return (await self._send(batch, len(batch) - 1))[-1]

    async def _send(self, batch: Sequence[Outgoing], silent: int) -> list[Answer]:
        """The first `silent` messages ask for no answer."""
        self._first += len(self._answers)
        self._answers = [UNANSWERED] * len(batch)
        self._missing = len(batch) - silent
        replies = [""] * silent + [f"{self._prefix}{self._first + place}" for place in range(silent, len(batch))]
        await self._nc.publish_batch(
            (message.subject, reply, message.headers, message.body)
            for message, reply in zip(batch, replies, strict=True)
        )
        with suppress(TimeoutError):
            while self._missing:
                self._heard.clear()
                async with asyncio.timeout(ANSWER_SECONDS):
                    await self._heard.wait()
        return self._answers

    async def _receive(self, msg: Msg) -> None:
        place = int(msg.subject[len(self._prefix) :]) - self._first
        if not 0 <= place < len(self._answers) or self._answers[place] is not UNANSWERED:
            return  # an answer to an earlier batch, which was given up
        if msg.headers is None:  # with headers it says that nobody listens, which is no answer
            reply = _decoder.decode(msg.data)
            self._answers[place] = reply.error or Stored(reply.stream, reply.seq, reply.duplicate)
        self._missing -= 1
        self._heard.set()
