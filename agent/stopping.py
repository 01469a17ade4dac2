"""The first signal drains, the second cancels."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGTERM, signal.SIGINT)


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
