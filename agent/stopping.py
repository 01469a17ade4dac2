"""How an agent is asked to stop: at once, or when what runs has ended.

The first signal stops: attempts under way finish within the grace time. The second cancels. A drain lets whole
executions finish before that; a signal cuts it short.
"""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engine.signal import Signal

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopping:
    """Asked by signals, by the verb `drain`, and by a twin."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        """Nothing new is to be begun."""
        self.error: Exception | None = None
        """Why it stops, if that is to be the end of the process: raised when everything is closed."""
        self._deadline: float | None = None
        self._is_urgent = False
        self._changed = Signal()

    def stop(self) -> None:
        """Let attempts under way finish; the rest goes on at the next start."""
        self._is_urgent = True
        self.asked.set()
        self._changed.set()

    def drain(self, seconds: float | None) -> None:
        """Let running executions finish, within so many seconds from now; None: as long as they need."""
        self._deadline = None if seconds is None else asyncio.get_running_loop().time() + seconds
        self.asked.set()
        self._changed.set()

    def give_up(self, error: Exception) -> None:
        """Stop, and let that be the reason."""
        if self.error is None:
            self.error = error
        self.stop()

    async def patience(self, running: "asyncio.Task[None]") -> None:
        """Until `running` has ended, or there is no more time for that."""
        running.add_done_callback(self._ended)
        loop = asyncio.get_running_loop()
        while not running.done() and not self._is_urgent:
            left = None if self._deadline is None else self._deadline - loop.time()
            if left is not None and left <= 0:
                return
            await self._changed.wait(left)

    def _ended(self, _: "asyncio.Task[None]") -> None:
        self._changed.set()


@contextmanager
def two_phase_stop(*, drain: Callable[[], None], cancel: Callable[[], None]) -> Iterator[None]:
    """Within the block SIGTERM and SIGINT call `drain` the first time and `cancel` from then on."""
    loop = asyncio.get_running_loop()
    asked = False

    def stop() -> None:
        nonlocal asked
        if asked:
            cancel()
        else:
            asked = True
            drain()

    for number in SIGNALS:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)


def canceller() -> Callable[[], None]:
    """A `cancel` for this very task."""
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("called outside a task")

    def cancel() -> None:
        task.cancel()

    return cancel
