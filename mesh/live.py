"""Live events on the wire: published at once, at most so many a second, kept nowhere and never waited for.

ganglion.live.<tenant>.<agent>.<workflow>.<kind>

They are made only while somebody listens: the server says when a message reached nobody, and then the bus is left for a
moment, so that the engine makes none. One event after each pause finds out whether there is a listener now. The bus is
left too when more happens than may be published: making events for nobody took a fifth of the engine's time.
"""

import asyncio
from contextlib import suppress

import nats.errors
from nats.aio.msg import Msg

from engine.clock import Clock
from engine.events import LIVE, Bus, Event, Identity, cloudevent
from mesh.connection import Connection, Link

PER_SECOND = 1000
"""Live events published in a second; more are dropped and counted, newest first."""
GATHER_SECONDS = 0.05
"""Events of this long are published together: a live picture needs no more, and it leaves the work its time."""
REST_SECONDS = 0.25
"""How long the bus is left when a second's events were published in less."""
PROBE_SECONDS = 0.5
"""How often the server is asked whether anybody listens."""


class LivePublisher:
    """Reads the bus and publishes; `run` is its service."""

    def __init__(self, bus: Bus, connection: Connection, identity: Identity, clock: Clock) -> None:
        self._bus = bus
        self._connection = connection
        self._identity = identity
        self._clock = clock
        self._prefix = f"ganglion.live.{identity.tenant}.{identity.agent}"
        self._unheard = False
        self._allowance = float(PER_SECOND)
        self._refilled = clock.monotonic()
        self._probe_at = 0.0
        self.dropped = 0
        """Live events that a listener missed, apart from those that were not even made."""

    async def run(self) -> None:
        """Publish until cancelled."""
        await self._connection.serve(self._work, name="live events")

    async def _work(self, link: Link) -> None:
        inbox = link.nc.new_inbox()
        subscription = await link.nc.subscribe(inbox, cb=self._answered)
        try:
            while True:
                await self._publish_while_heard(link, inbox)
                await asyncio.sleep(PROBE_SECONDS if self._unheard else REST_SECONDS)
        finally:
            with suppress(nats.errors.Error):
                await subscription.unsubscribe()

    async def _publish_while_heard(self, link: Link, inbox: str) -> None:
        self._unheard, self._probe_at = False, 0.0
        self._refill()
        with self._bus.subscribe(lambda event: event.kind in LIVE, limit=PER_SECOND) as subscription:
            while not self._unheard and self._allowance >= 1:
                events = await subscription.wait()
                self.dropped += subscription.missed
                subscription.missed = 0
                await self._publish(link, inbox, events)
                await asyncio.sleep(GATHER_SECONDS)

    async def _publish(self, link: Link, inbox: str, events: list[Event]) -> None:
        now = self._refill()
        fit = min(int(self._allowance), len(events))
        self.dropped += len(events) - fit
        self._allowance -= fit
        for event in events[:fit]:
            reply = ""
            if now >= self._probe_at:
                reply, self._probe_at = inbox, now + PROBE_SECONDS
            subject = f"{self._prefix}.{event.workflow}.{event.kind.value}"
            await link.nc.publish(subject, cloudevent(event, self._identity), reply)

    def _refill(self) -> float:
        """Count the allowance up to now, which is returned."""
        now = self._clock.monotonic()
        self._allowance = min(PER_SECOND, self._allowance + (now - self._refilled) * PER_SECOND)
        self._refilled = now
        return now

    async def _answered(self, msg: Msg) -> None:
        """The server answers in the place of listeners that are not there."""
        if msg.headers and msg.headers.get("Status") == "503":
            self._unheard = True
