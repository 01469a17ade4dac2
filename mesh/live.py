"""Live events on the wire: published at once, at most so many a second, kept nowhere and never waited for.

ganglion.live.<tenant>.<agent>.<workflow>.<kind>
"""

import asyncio

from engine.clock import Clock
from engine.events import LIVE, Bus, Event, Identity, cloudevent
from mesh.connection import LOST, Connection

PER_SECOND = 1000
"""Live events published in a second; more are dropped and counted, newest first."""
GATHER_SECONDS = 0.05
"""Events of this long are published together: a live picture needs no more, and it leaves the work its time."""


class LivePublisher:
    """Reads the bus and publishes; `run` is its service."""

    def __init__(self, bus: Bus, connection: Connection, identity: Identity, clock: Clock) -> None:
        self._bus = bus
        self._connection = connection
        self._identity = identity
        self._clock = clock
        self._allowance = float(PER_SECOND)
        self.dropped = 0
        """Live events that nobody will see."""

    async def run(self) -> None:
        """Publish until cancelled."""
        refilled = self._clock.monotonic()
        with self._bus.subscribe(lambda event: event.kind in LIVE, limit=PER_SECOND) as subscription:
            while True:
                events = await subscription.wait()
                now = self._clock.monotonic()
                self._allowance = min(PER_SECOND, self._allowance + (now - refilled) * PER_SECOND)
                refilled = now
                self.dropped += subscription.missed
                subscription.missed = 0
                await self._publish(events)
                await asyncio.sleep(GATHER_SECONDS)

    async def _publish(self, events: list[Event]) -> None:
        link = self._connection.link_nowait()
        fit = int(self._allowance) if link is not None else 0
        self.dropped += max(0, len(events) - fit)
        self._allowance -= min(fit, len(events))
        if link is None:
            return
        prefix = f"ganglion.live.{self._identity.tenant}.{self._identity.agent}"
        for event in events[:fit]:
            try:
                subject = f"{prefix}.{event.workflow}.{event.kind.value}"
                await link.nc.publish(subject, cloudevent(event, self._identity))
            except LOST:
                self.dropped += 1
