"""Facts, strictly in order, into GANGLION_EVENTS. Gap-free: a cursor moves only over what the stream has acknowledged.

The server may lose what it acknowledged (a power cut, a restored disk, a stream made anew): then the cursor goes back
to what the stream really holds, and the kept rows are sent again under the same ids. A reader that dedupes by id sees
each fact once, in order.
"""

import asyncio
import base64
import logging
import re

from engine.crash import crash_point
from engine.events import Event, Identity, cloudevent
from engine.signal import Signal
from engine.store.outbox import Cursor, Outbox
from mesh.connection import Link
from mesh.errors import MeshError
from mesh.jetstream import StreamInfo, last_message
from mesh.relay.pipeline import Outgoing, Pipeline, Refusal, Stored
from mesh.streams import EVENTS, Limits, ensure_events, facts_subject

_logger = logging.getLogger("ganglion.mesh")
BATCH = 512
MARK_SECONDS = 0.25
"""How often the cursor is written: each write is a commit. What a crash forgets is sent again, under the same ids."""
LOOK_SECONDS = 60.0
"""How often a lane that has nothing to send looks whether the stream still holds what it acknowledged."""
_MSG_ID = re.compile(rb"^Nats-Msg-Id: *(\S+)", re.MULTILINE)


class NotStored(MeshError):
    """The stream did not take a fact; it is sent again."""


class FactLane:
    """Sends the facts of one outbox to one stream."""

    def __init__(self, outbox: Outbox, identity: Identity, *, name: str, limits: Limits, chained: bool) -> None:
        self.signal = Signal()
        """There may be new facts."""
        self.cursor = Cursor(name=name)
        """How far the stream has acknowledged."""
        self._outbox = outbox
        self._identity = identity
        self._limits = limits
        self._chained = chained
        self._in_doubt = False
        """A chain was refused, and nobody knows yet for which of its facts."""
        self._torn = False
        """Facts went into a stream that had gone backwards before: its newest one says nothing of those before it."""
        self._marked_seq = 0
        self._marked_at = 0.0
        self._moved = asyncio.Event()

    async def work(self, link: Link) -> None:
        """Relay until cancelled. Raises NotStored to begin again from the first fact without an acknowledgement."""
        info = await ensure_events(link.nc, self._limits)
        if self.cursor.seq == 0:
            self.cursor = await self._outbox.cursor(self.cursor.name)
            self._marked_seq = self.cursor.seq
        await self._compare(link, info)
        async with Pipeline.open(link) as pipeline:
            while True:
                facts = await self._outbox.facts_after(self.cursor.seq, BATCH)
                if facts:
                    await self._send(pipeline, facts)
                await self._mark_or_wait(link, idle=not facts)

    async def wait_until(self, seq: int) -> None:
        """Until the stream has acknowledged this fact."""
        while self.cursor.seq < seq:
            self._moved.clear()
            await self._moved.wait()

    async def _send(self, pipeline: Pipeline, facts: list[Event]) -> None:
        batch = self._outgoing(facts)
        if self._chained and not self._in_doubt:
            facts, answers = facts[-1:], [await pipeline.send_chain(batch)]
        else:
            answers = await pipeline.send(batch)
        crash_point("relay-after-publish-before-mark")
        self._in_doubt = True
        for fact, answer in zip(facts, answers, strict=True):
            if not isinstance(answer, Stored):
                reason = answer.description if isinstance(answer, Refusal) else "no answer"
                raise NotStored(f"the stream {EVENTS} did not take fact {fact.seq} ({reason})")
            if answer.seq <= self.cursor.stream_seq and not answer.duplicate:
                self._torn = True
                raise NotStored(f"the stream {EVENTS} went back to {answer.seq}: it was made anew, or is an older copy")
            self.cursor.seq = fact.seq
            # A duplicate is stored under an older number, which may be behind what followed it.
            self.cursor.stream_seq = max(self.cursor.stream_seq, answer.seq)
        self._in_doubt = False
        self._moved.set()

    def _outgoing(self, facts: list[Event]) -> list[Outgoing]:
        batch: list[Outgoing] = []
        before = ""
        for fact in facts:
            headers = {"Nats-Msg-Id": self._identity.event_id(fact.seq)}
            if before and self._chained:
                # If one is refused, so are those behind it: nothing is stored out of order.
                headers["Nats-Expected-Last-Msg-Id"] = before
            before = headers["Nats-Msg-Id"]
            subject = self._subject(f"{fact.workflow}.{fact.kind.value}")
            batch.append(Outgoing(subject, cloudevent(fact, self._identity), headers))
        return batch

    async def _mark_or_wait(self, link: Link, *, idle: bool) -> None:
        loop = asyncio.get_running_loop()
        due = self._marked_at + MARK_SECONDS - loop.time()
        if self.cursor.seq == self._marked_seq:
            if idle and not await self.signal.wait(LOOK_SECONDS):
                await self._compare(link, await ensure_events(link.nc, self._limits))
            return
        if due > 0 and (not idle or await self.signal.wait(due)):
            return
        seq = self.cursor.seq
        await self._outbox.advance(self.cursor)
        self._marked_seq, self._marked_at = seq, loop.time()

    async def _compare(self, link: Link, info: StreamInfo) -> None:
        """Set the cursor to what the stream really holds of us."""
        cursor = self.cursor
        direct = bool(info.config.get("allow_direct"))
        newest = await last_message(link.nc, EVENTS, self._subject(">"), direct=direct)
        held = self._seq_of(newest.hdrs) if newest is not None else None
        is_another = cursor.stream_created not in ("", info.created)
        if is_another or self._torn or (held is None and info.state.last_seq < cursor.stream_seq):
            held = 0
        self._torn = False
        if held is not None and held < cursor.seq:
            _logger.warning(
                "the stream %s holds facts up to %d, though %d were acknowledged: sending the rest again",
                EVENTS, held, cursor.seq,
            )  # fmt: skip
        cursor.seq = cursor.seq if held is None else held
        cursor.stream_created, cursor.stream_seq = info.created, info.state.last_seq

    def _subject(self, rest: str) -> str:
        return facts_subject(self._identity.tenant, self._identity.agent, rest)

    def _seq_of(self, headers: str) -> int | None:
        """The number of a stored fact; None if it is not from this store's epoch."""
        match = _MSG_ID.search(base64.b64decode(headers))
        start, _, number = match[1].decode("utf-8", "replace").rpartition("/") if match else ("", "", "")
        same = start == f"{self._identity.agent}/{self._identity.epoch}"
        return int(number) if same and number.isdigit() else None
