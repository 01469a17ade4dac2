"""Events of an agent for a person: those of the past, and on from there."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from engine.control.messages import Answer, Events
from engine.values import Json

if TYPE_CHECKING:
    from mesh.client import ServiceClient

Shown: TypeAlias = dict[str, Json]
"""A CloudEvent."""

PAGE_SIZE = 500
"""Facts asked for at once."""
LOOK_SECONDS = 2.0
"""How long a silent subscription is believed."""


class Page(Answer, frozen=True, kw_only=True):
    """An `EventList`, read."""

    events: list[Shown]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which events a person wants to see."""

    workflow: str | None = None
    execution: str | None = None
    """An id, or the beginning of one."""
    kinds: tuple[str, ...] = ()
    """Kinds, or their first word."""

    def has(self, event: Shown) -> bool:
        kind = str(event.get("type", "")).removeprefix("ganglion.")
        return (
            (self.workflow is None or event.get("workflow") == self.workflow)
            and (self.execution is None or str(event.get("subject", "")).startswith(self.execution))
            and (not self.kinds or any(kind == wanted or kind.startswith(f"{wanted}.") for wanted in self.kinds))
        )


async def past(client: "ServiceClient", wanted: Wanted, limit: int, after: int | None) -> list[Shown]:
    """The newest `limit` facts, or the first that follow `after`; oldest first."""
    if limit == 0:
        return []
    if wanted == Wanted(workflow=wanted.workflow):
        return await _page(client, limit, after, wanted.workflow)
    found: deque[Shown] = deque(maxlen=limit if after is None else None)
    async for event in _since(client, after or 0, wanted.workflow):
        if wanted.has(event):
            found.append(event)
            if after is not None and len(found) == limit:
                break
    return list(found)


async def following(
    client: "ServiceClient", wanted: Wanted, limit: int, after: int | None, *, live: bool
) -> AsyncIterator[Shown]:
    """The past, then the present, without a gap and nothing twice; ends when the connection does.

    The numbers of the facts are the truth: what the subscription leaves out is asked for, and what it repeats is left
    out, by number.
    """
    newest = await _page(client, 1, None, None)
    last = int(newest[-1]["sequence"]) if newest and after is None else after or 0
    if after is None:
        for event in await past(client, wanted, limit, None):
            if int(event["sequence"]) <= last:
                yield event
    else:
        async for event in _since(client, after, None):
            last = int(event["sequence"])
            if wanted.has(event):
                yield event
    async for event in _arrivals(client, live=live):
        sequence = int(event.get("sequence") or 0)
        if event and sequence in (0, last + 1):
            last = sequence or last
            if wanted.has(event):
                yield event
        elif not event or sequence > last:
            async for missed in _since(client, last, None):
                last = int(missed["sequence"])
                if wanted.has(missed):
                    yield missed


async def _arrivals(client: "ServiceClient", *, live: bool) -> AsyncIterator[Shown]:
    """What the subscription brings; an empty event after LOOK_SECONDS of silence."""
    place = f"{client.tenant}.{client.agent}"
    subjects = [f"ganglion.event.{place}.>", *([f"ganglion.live.{place}.>"] if live else [])]
    messages = client.messages(*subjects)
    arriving = asyncio.ensure_future(anext(messages, None))
    try:
        while True:
            done, _ = await asyncio.wait({arriving}, timeout=LOOK_SECONDS)
            if not done:
                yield {}
                continue
            message = arriving.result()
            if message is None:
                return
            arriving = asyncio.ensure_future(anext(messages, None))
            yield message[1] if isinstance(message[1], dict) else {}
    finally:
        arriving.cancel()


async def _since(client: "ServiceClient", after: int, workflow: str | None) -> AsyncIterator[Shown]:
    """All facts that follow `after`."""
    while page := await _page(client, PAGE_SIZE, after, workflow):
        for event in page:
            yield event
        after = int(page[-1]["sequence"])


async def _page(client: "ServiceClient", limit: int, after: int | None, workflow: str | None) -> list[Shown]:
    answer = await client.call("events", Events(after=after, limit=limit, workflow=workflow), Page)
    return answer.events
