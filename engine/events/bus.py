"""Events inside the process. Facts arrive here after their commit, live events at once.

A slow subscriber never holds up the engine: its queue is bounded, and what does not fit is counted as missed.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager

from engine.events.event import LIVE, Event
from engine.signal import Signal


class Subscription:
    """A bounded queue of events for one reader."""

    def __init__(self, wants: Callable[[Event], bool], *, live: bool, limit: int) -> None:
        self.live = live
        self._wants = wants
        self._events: deque[Event] = deque(maxlen=limit)
        self._signal = Signal()
        self.missed = 0

    def offer(self, event: Event) -> None:
        if (self.live or event.kind not in LIVE) and self._wants(event):
            if len(self._events) == self._events.maxlen:
                self.missed += 1
            self._events.append(event)
            self._signal.set()

    def take(self) -> list[Event]:
        """All events that are here now, oldest first."""
        events = list(self._events)
        self._events.clear()
        return events

    async def wait(self) -> list[Event]:
        """The next events, at least one."""
        while not self._events:
            await self._signal.wait()
        return self.take()

    async def __aiter__(self) -> AsyncIterator[Event]:
        while True:
            for event in await self.wait():
                yield event


class Bus:
    """Hands each event to every subscription that wants it."""

    def __init__(self) -> None:
        self._subscriptions: list[Subscription] = []
        self.live_wanted = False
        """Somebody reads live events; producers skip making them otherwise."""

    @contextmanager
    def subscribe(
        self, wants: Callable[[Event], bool] = lambda _: True, *, live: bool = True, limit: int = 10_000
    ) -> Iterator[Subscription]:
        """Events from now on; `live=False` for facts alone."""
        subscription = Subscription(wants, live=live, limit=limit)
        self._subscriptions.append(subscription)
        self.live_wanted = self.live_wanted or live
        try:
            yield subscription
        finally:
            self._subscriptions.remove(subscription)
            self.live_wanted = any(other.live for other in self._subscriptions)

    def emit(self, events: Iterable[Event]) -> None:
        if self._subscriptions:
            for event in events:
                for subscription in self._subscriptions:
                    subscription.offer(event)
