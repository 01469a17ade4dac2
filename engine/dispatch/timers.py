"""Which waiting executions are due. Timers are rows, so they survive a restart; this looks at them in time."""

from collections.abc import Callable

from engine.clock import Clock
from engine.flow.lines import Lines
from engine.signal import Signal
from engine.store import Store, executions

CHECK_SECONDS = 60.0
"""How long the service sleeps at most: the wall clock may be set."""
SHORTEST_SECONDS = 0.01


class Timers:
    """Queues waiting executions when their time has come. `run` is its service."""

    def __init__(
        self, store: Store, lines: Lines, clock: Clock, *, most: int,
        enqueue: Callable[[str], None], fill: Callable[[], None],
    ) -> None:  # fmt: skip
        """`most`: how many are queued at once; the rest when `refill` says that the queue is short again. `fill` is
        called after new ones were queued with `enqueue`."""
        self._store = store
        self._lines = lines
        self._clock = clock
        self._most = most
        self._enqueue = enqueue
        self._fill = fill
        self._changed = Signal()
        self._more_due = False

    async def run(self) -> None:
        while True:
            pause = await self._queue_due(self._clock.now())
            await self._changed.wait(pause)

    def changed(self) -> None:
        """Some timer may be earlier than was known, or the clock was set."""
        self._changed.set()

    def refill(self) -> None:
        """The queue has room for those that were due and not queued."""
        if self._more_due:
            self._more_due = False
            self._changed.set()

    async def _queue_due(self, now: int) -> float:
        """Queue what is due; returns the seconds until the next look."""
        found = await self._store.read(lambda db: executions.due(db, now, self._most))
        for id in found:
            self._enqueue(id)
        self._more_due = len(found) == self._most
        self._fill()
        following = await self._store.read(lambda db: executions.next_due(db, now))
        pause = CHECK_SECONDS
        if self._lines.in_use:
            await self._lines.end_quiet_times()
            self._fill()
            pause = min(pause, self._lines.pause())
            following = min(self._lines.quiet_until, self._lines.quiet_until if following is None else following)
        elif following is None:
            return pause
        return min(pause, max(SHORTEST_SECONDS, (following - self._clock.now()) / 1_000_000))
