"""When the sleeping and retrying nodes of an execution are due, as long as it is in memory; their rows say it too."""

import asyncio
from collections.abc import Callable

from engine.clock import Clock
from engine.execution.frame import Frame
from engine.planning.plan import PlannedNode

LONGEST_SECONDS = 3600.0
"""The wall clock may be set while we wait: it is looked at again after so long."""

Woken = Callable[[Frame, PlannedNode, int, bytes | None], None]
"""(frame, node, when it was due, its memo)."""


class NodeTimers:
    """Calls `woken` for each node when its time has come, once."""

    def __init__(self, clock: Clock, woken: Woken) -> None:
        self._clock = clock
        self._woken = woken
        self._loop = asyncio.get_running_loop()
        self._timers: dict[tuple[Frame, int], tuple[int, asyncio.TimerHandle]] = {}

    @property
    def next_due(self) -> int | None:
        """When the first one is due (microseconds); None without any."""
        return min((due for due, _ in self._timers.values()), default=None)

    def set(self, frame: Frame, node: PlannedNode, due: int, memo: bytes | None = None) -> None:
        """Wake this node at `due`."""
        delay = min(max(0.0, (due - self._clock.now()) / 1_000_000), LONGEST_SECONDS)
        self._timers[frame, node.index] = (due, self._loop.call_later(delay, self._ring, frame, node, due, memo))

    def drop(self, frame: Frame, node: PlannedNode) -> None:
        """Do not wake this one."""
        timer = self._timers.pop((frame, node.index), None)
        if timer is not None:
            timer[1].cancel()

    def clear(self) -> None:
        """Wake nobody any more."""
        for _, timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _ring(self, frame: Frame, node: PlannedNode, due: int, memo: bytes | None) -> None:
        if self._clock.now() < due:
            self.set(frame, node, due, memo)
        else:
            del self._timers[frame, node.index]
            self._woken(frame, node, due, memo)
