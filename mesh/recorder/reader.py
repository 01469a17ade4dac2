"""The fleet's facts out of GANGLION_EVENTS: fetch, commit, then acknowledge.

What was not acknowledged comes again, and the store knows what it has; so nothing here needs to remember where it was.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence

import msgspec
import nats.errors
from nats.aio.msg import Msg

from engine.crash import crash_point
from engine.fleet.event import FleetEvent
from engine.fleet.store import FleetStore
from engine.store import StoreFull
from engine.values import Json
from mesh.connection import Link
from mesh.intake.pull import Pull
from mesh.jetstream import NOT_FOUND, ApiError, StreamInfo, ask, drop_consumer, ensure_consumer
from mesh.nats_client import AnySubjectClient
from mesh.recorder.decode import Malformed, decode
from mesh.streams import EVENTS, Limits, ensure_events

_logger = logging.getLogger("ganglion.mesh")
ROOM = 2048
"""Facts in memory and on their way, beside the batch that is being committed."""
TOP_UP = 512
MAX_BYTES = 8 * 2**20
"""What one request may bring, unless the server's largest message is nearly that: a request must have room for it."""
FEW, LINGER_SECONDS = 256, 0.05
"""After a batch so small more are collected for a moment: each commit costs the disk as much as a large one."""
ROOM_SECONDS = 1.0
"""How often a full disk is tried again."""
ACK_SECONDS = 5.0
ACK_WAIT_SECONDS = 20
MAX_ACK_PENDING = 4 * ROOM
MANY_PENDING = 5000
"""So many facts in the stream that it is still catching up: what is missing may be among them."""
MAX_NAMED = 1000
"""Agents whose malformed facts are told in the log."""
_ACK = b"+ACK"


class _Place(msgspec.Struct, frozen=True):
    stream_seq: int = 0


class _Consumer(msgspec.Struct, frozen=True):
    ack_floor: _Place = _Place()
    delivered: _Place = _Place()
    num_ack_pending: int = 0


def recorder_name(tenant: str, agent: str) -> str:
    """The durable consumer of a recorder. Neither id holds an underscore, so no two are the same."""
    return f"recorder_{tenant}_{agent}"


class Reader:
    """Reads the stream of one connection's server into a store, on each link."""

    def __init__(self, store: FleetStore, *, tenant: str, agent: str, limits: Limits | None = None) -> None:
        self._store = store
        self._tenant = tenant
        self._limits = limits or Limits()
        self._named: set[str] = set()
        self.consumer = recorder_name(tenant, agent)
        self.ready = asyncio.Event()
        """Its consumer is there."""
        self.counters: Counter[str] = Counter()
        """recorded, duplicates, conflicts, malformed, unconfirmed (delivered again)."""
        self.pending = MANY_PENDING
        """Facts in the stream that were not read yet, when the newest came."""

    @property
    def is_behind(self) -> bool:
        """Much of the stream was not read yet."""
        return self.pending >= MANY_PENDING

    async def work(self, link: Link) -> None:
        """Record until cancelled. Raises Silent when it has to bind again."""
        self.pending = MANY_PENDING
        info = await ensure_events(link.nc, self._limits)
        self.pending = await self._bind(link.nc, info, is_new=await self._store.newest() == 0)
        self.ready.set()
        max_bytes = max(MAX_BYTES, 2 * link.nc.max_payload)
        async with Pull.open(link, EVENTS, self.consumer, max_bytes=max_bytes, top_up=TOP_UP) as pull:
            recording: asyncio.Task[None] | None = None
            try:
                while True:
                    fetched = await pull.take(ROOM)
                    if not fetched:
                        continue
                    events = self._decoded(fetched)
                    if recording is not None:
                        await recording  # one batch is committed while the next is fetched and decoded, not more
                    recording = asyncio.create_task(self._record(link, fetched, events), name="recording")
                    if len(fetched) < FEW:
                        await asyncio.sleep(LINGER_SECONDS)
            finally:
                if recording is not None:
                    recording.cancel()
                    await asyncio.wait({recording})
                    _raise_bug(recording)

    async def _bind(self, nc: AnySubjectClient, info: StreamInfo, *, is_new: bool) -> int:
        """Make sure of the consumer; how much there is to read.

        What an earlier link or process fetched and did not acknowledge would be held back until its wait is over, so
        the consumer is made anew, and begins there. One that is ahead of the stream, which is an older copy then, would
        skip what comes: it begins with the first. So does that of a file which `is_new`.
        """
        begin: dict[str, Json] = {"deliver_policy": "all"}
        known = await _consumer(nc, self.consumer)
        if known is not None:
            floor = known.ack_floor.stream_seq
            if is_new or max(floor, known.delivered.stream_seq) > info.state.last_seq:
                await drop_consumer(nc, EVENTS, self.consumer)
            elif known.num_ack_pending:
                await drop_consumer(nc, EVENTS, self.consumer)
                begin = {"deliver_policy": "by_start_sequence", "opt_start_seq": floor + 1}
        config: dict[str, Json] = {
            "durable_name": self.consumer,
            "filter_subject": f"ganglion.event.{self._tenant}.>",
            "ack_policy": "explicit",
            "ack_wait": ACK_WAIT_SECONDS * 1_000_000_000,
            "max_ack_pending": MAX_ACK_PENDING,
            "max_deliver": -1,
        }
        return (await ensure_consumer(nc, EVENTS, config, new=begin)).num_pending

    def _decoded(self, fetched: Sequence[Msg]) -> list[FleetEvent]:
        events = []
        for msg in fetched:
            try:
                events.append(decode(msg.data, self._tenant, subject=msg.subject))
            except Malformed as error:
                self._refuse(msg.subject, error)
        return events

    def _refuse(self, subject: str, error: Malformed) -> None:
        """It stays in the stream as long as the stream keeps it, and is not looked at again."""
        self.counters["malformed"] += 1
        agent = (subject.split(".") + [""] * 4)[3][:64]
        if agent not in self._named and len(self._named) < MAX_NAMED:
            self._named.add(agent)
            _logger.warning("something that is not a fact came from the agent %r: %s; such are left out", agent, error)

    async def _record(self, link: Link, fetched: Sequence[Msg], events: Sequence[FleetEvent]) -> None:
        crash_point("recorder-before-commit")
        if events:
            await self.record(events)
        crash_point("recorder-after-commit-before-ack")
        # All travel on one connection and the server handles a consumer's in their order: the answer to the last says
        # that it has handled them all (see test_one_confirmed_acknowledgement_confirms_its_batch).
        await link.nc.publish_batch((msg.reply, "", {}, _ACK) for msg in fetched[:-1])
        try:
            await link.nc.request(fetched[-1].reply, _ACK, timeout=ACK_SECONDS)
        except (nats.errors.TimeoutError, nats.errors.NoRespondersError):
            self.counters["unconfirmed"] += len(fetched)
        self.pending = _pending(fetched[-1].reply)

    async def record(self, events: Sequence[FleetEvent]) -> None:
        """Commit facts. A full disk is waited out, with the facts in hand: nothing is acknowledged, nothing fetched."""
        waiting = False
        while True:
            try:
                recorded = await self._store.record(events)
            except StoreFull as error:
                if not waiting:
                    _logger.error("%s; the fleet's facts wait in their stream", error)
                    waiting = True
                await asyncio.sleep(ROOM_SECONDS)
            else:
                break
        if waiting:
            _logger.info("there is room on the disk again: the fleet's facts are recorded")
        if recorded.conflicts and not self.counters["conflicts"]:
            _logger.warning(
                "facts came under numbers that other facts have: two agents share one identity, a data directory was "
                "copied; `ganglion fleet` shows which"
            )
        self.counters["recorded"] += recorded.new
        self.counters["duplicates"] += recorded.duplicates
        self.counters["conflicts"] += recorded.conflicts


async def _consumer(nc: AnySubjectClient, name: str) -> _Consumer | None:
    try:
        return await ask(nc, f"CONSUMER.INFO.{EVENTS}.{name}", _Consumer)
    except ApiError as error:
        if error.code == NOT_FOUND:
            return None
        raise


def _raise_bug(recording: "asyncio.Task[None]") -> None:
    """What ended it, unless that was we."""
    if not recording.cancelled() and (error := recording.exception()) is not None:
        raise error


def _pending(reply: str) -> int:
    """Facts behind the one that this acknowledges: $JS.ACK.….<delivered>.<seq>.<seq>.<time>.<pending>[.<token>]."""
    parts = reply.split(".")
    number = parts[8] if len(parts) == 9 else parts[10] if len(parts) > 10 else ""
    return int(number) if number.isdigit() else 0
