"""When the sleeping and retrying nodes of one run are due, as long as the run is in memory; their rows say it too."""

import asyncio
from collections.abc import Callable

from engine.clock import Clock
from engine.execution.plan import PlannedNode

LONGEST_SECONDS = 3600.0
"""The wall clock may be set while we wait: it is looked at again after so long."""

Woken = Callable[[PlannedNode, int, bytes | None], None]
"""(node, when it was due, its memo)."""


class NodeTimers:
    """Calls `woken` for each node when its time has come, once."""

    def __init__(self, clock: Clock, woken: Woken) -> None:
        self._clock = clock
        self._woken = woken
        self._loop = asyncio.get_running_loop()
        self._timers: dict[int, tuple[int, asyncio.TimerHandle]] = {}

    @property
    def next_due(self) -> int | None:
        """When the first one is due (microseconds); None without any."""
        return min((due for due, _ in self._timers.values()), default=None)

    def set(self, node: PlannedNode, due: int, memo: bytes | None = None) -> None:
        """Wake this node at `due`."""
        delay = min(max(0.0, (due - self._clock.now()) / 1_000_000), LONGEST_SECONDS)
        self._timers[node.index] = (due, self._loop.call_later(delay, self._ring, node, due, memo))

    def drop(self) -> None:
        """Wake nobody any more."""
        for _, timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _ring(self, node: PlannedNode, due: int, memo: bytes | None) -> None:
        if self._clock.now() < due:
            self.set(node, due, memo)
        else:
            del self._timers[node.index]
            self._woken(node, due, memo)
