"""A page of an agent's outbox, and what it says for certain."""

import asyncio
from collections.abc import Sequence

import msgspec
import nats.errors

from engine.control.messages import Events
from engine.fleet.event import FleetEvent, Gap
from engine.values import encode_json
from mesh.nats_client import AnySubjectClient
from mesh.recorder.decode import Malformed, decode
from mesh.service import verb_subject

PAGE = 1000
MAX_PAGE_BYTES = 8 * 2**20
ANSWER_SECONDS = 10.0


class NoAnswer(Exception):
    """Not to be had from this agent now; the message says why."""


class _Page(msgspec.Struct, frozen=True):
    events: list[msgspec.Raw]
    epoch: str = ""
    """Empty from an agent that does not say what is certain."""
    through: int = 0


class Page(msgspec.Struct, frozen=True):
    """Facts of one agent that follow a number."""

    events: Sequence[FleetEvent]
    epoch: str
    """Of its store now; empty if it does not say."""
    through: int
    """Every fact up to this number that is not here is kept no more."""

    def gone(self, after: int, gap: Gap) -> list[tuple[int, int]]:
        """Runs of numbers behind `after` and in the gap that the agent does not have any more."""
        last = min(gap.last, self.through)
        runs: list[tuple[int, int]] = []
        at = max(after + 1, gap.first)
        for seq in sorted(event.seq for event in self.events if event.epoch == gap.epoch):
            if seq > last:
                break
            if at < seq:
                runs.append((at, seq - 1))
            at = max(at, seq + 1)
        if at <= last:
            runs.append((at, last))
        return runs


async def ask_for(nc: AnySubjectClient, tenant: str, agent: str, *, after: int, limit: int) -> Page:
    """Facts of an agent that follow a number, by its verb `events`. Raises NoAnswer, and LOST for a broken link."""
    body = encode_json(Events(after=after, limit=min(limit, PAGE)))
    try:
        reply = await nc.request(verb_subject(tenant, agent, "events"), body, timeout=ANSWER_SECONDS)
    except nats.errors.NoRespondersError:
        raise NoAnswer("it is away") from None
    except (nats.errors.TimeoutError, TimeoutError):
        raise NoAnswer(f"it did not answer within {ANSWER_SECONDS:g} s") from None
    if reply.headers and "Nats-Service-Error-Code" in reply.headers:
        raise NoAnswer(f"it refused: {reply.headers.get('Nats-Service-Error', '')[:200]}")
    return await asyncio.get_running_loop().run_in_executor(None, read_page, reply.data, tenant, agent)


def read_page(body: bytes, tenant: str, agent: str) -> Page:
    """The answer of an agent, which may be anything. Raises NoAnswer."""
    if len(body) > MAX_PAGE_BYTES:
        raise NoAnswer(f"its answer of {len(body)} bytes is too large")
    try:
        page = msgspec.json.decode(body, type=_Page)
        events = [decode(bytes(event), tenant) for event in page.events]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, Malformed) as error:
        raise NoAnswer(f"it answered with something else: {error}") from None
    if any(event.agent != agent for event in events):
        raise NoAnswer("it answered with facts of another agent")
    return Page(events, page.epoch, page.through)
