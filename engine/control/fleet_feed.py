"""Recorded facts, page by page, and as they come."""

import asyncio

import msgspec

from engine.clock import Clock, format_time
from engine.control.fleet_filters import check_names, labels_of, moment
from engine.control.fleet_messages import MAX_EVENTS, MAX_WAIT_SECONDS, FleetEventInfo, FleetEventList, FleetEvents
from engine.control.verb import Refused
from engine.events import Identity
from engine.events.cloudevent import CloudEvent
from engine.fleet.event import FleetEvent
from engine.fleet.query import EventQuery, Numbered
from engine.fleet.store import FleetStore
from engine.signal import Signal
from engine.values import encode_json

MAX_BYTES = 600 * 1024
"""Of the events in one answer; NATS takes a megabyte."""
MAX_FOLLOWERS = 32
"""Requests that may wait at the same time: half of what an agent carries out."""
GATHER_SECONDS = 0.1
"""Between two looks of one that waits, however fast facts come."""


class FleetFeed:
    """Answers `fleetevents`."""

    def __init__(self, store: FleetStore, *, tenant: str, clock: Clock) -> None:
        self._store = store
        self._tenant = tenant
        self._clock = clock
        self._waiting: set[Signal] = set()
        store.listeners.append(self._told)

    async def answer(self, request: FleetEvents) -> FleetEventList:
        """A page; where none is there yet, after a wait."""
        query = self._query(request)
        if request.after is not None and request.wait > 0:
            page = await self._await(query, min(request.wait, MAX_WAIT_SECONDS))
        else:
            page = await self._page(query)
        if not request.count:
            return page
        total = await self._store.count(msgspec.structs.replace(query, after=None, before=None))
        return msgspec.structs.replace(page, total=total)

    def _query(self, request: FleetEvents) -> EventQuery:
        if request.after is not None and request.before is not None:
            raise Refused(400, "after and before exclude each other: one follows, the other pages back")
        now = self._clock.now()
        return EventQuery(
            agents=check_names("agents", request.agents),
            workflows=check_names("workflows", request.workflows),
            kinds=check_names("kinds", request.kinds),
            executions=check_names("executions", request.executions),
            statuses=check_names("statuses", request.statuses),
            labels=labels_of(request.labels),
            since=moment("since", request.since, now),
            until=moment("until", request.until, now),
            after=request.after,
            before=request.before,
            limit=max(1, min(request.limit, MAX_EVENTS)),
        )

    async def _await(self, query: EventQuery, seconds: float) -> FleetEventList:
        """The first page that is not empty, or the empty one when the time is over."""
        if len(self._waiting) >= MAX_FOLLOWERS:
            raise Refused(503, f"{MAX_FOLLOWERS} others follow the fleet's events: try again, or ask without `wait`")
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        signal = Signal()
        self._waiting.add(signal)
        try:
            while True:
                page = await self._page(query)
                left = end - loop.time()
                if page.events or left <= 0:
                    return page
                query = msgspec.structs.replace(query, after=page.next)
                if await signal.wait(left):
                    await asyncio.sleep(min(GATHER_SECONDS, max(0.0, end - loop.time())))
        finally:
            self._waiting.discard(signal)

    async def _page(self, query: EventQuery) -> FleetEventList:
        newest = await self._store.newest()  # before the events: all up to this number are there to be found
        found = await self._store.events(msgspec.structs.replace(query, limit=query.limit + 1))
        forwards = query.after is not None
        kept = found[: query.limit] if forwards else found[-query.limit :]
        told: list[FleetEventInfo] = []
        size = 0
        for one in kept if forwards else reversed(kept):
            info = FleetEventInfo(number=one.number, event=msgspec.Raw(wire_form(one.event, self._tenant)))
            size += len(bytes(info.event)) + 32
            if told and size > MAX_BYTES:
                break
            told.append(info)
        more = len(told) < len(found)
        last = told[-1].number if forwards and told else 0
        return FleetEventList(
            events=told if forwards else told[::-1],
            next=last if forwards and more else max(newest, last),
            more=more,
        )

    def _told(self, _: list[Numbered]) -> None:
        for signal in self._waiting:
            signal.set()


def wire_form(event: FleetEvent, tenant: str) -> bytes:
    """A recorded fact, as its agent published it."""
    identity = Identity(event.agent, tenant, event.epoch)
    return encode_json(
        CloudEvent(
            specversion="1.0",
            id=identity.event_id(event.seq),
            source=identity.source,
            type=f"ganglion.{event.kind}",
            subject=event.execution,
            time=format_time(event.time),
            datacontenttype="application/json",
            sequence=str(event.seq),
            epoch=event.epoch,
            workflow=event.workflow,
            version=event.version,
            node=event.node,
            data=msgspec.Raw(event.data),
        )
    )
