"""Named crash points: places where a test kills the process for real, to see that nothing is lost.

`GANGLION_CRASH_AT=point:n` sends SIGKILL to this process when it passes the point for the n-th time. Without the
variable a point costs one comparison.
"""

import os
import signal
from collections.abc import Callable

Observer = Callable[[str], None]
"""Told the name of each point that is passed."""


def _killer(place: str) -> Observer | None:
    """Kills this process where `place` says; None for no place."""
    point, _, count = place.partition(":")
    left = int(count) if count.isdigit() else 1

    def kill(name: str) -> None:
        nonlocal left
        if name == point:
            left -= 1
            if left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return kill if point else None


observer = _killer(os.environ.get("GANGLION_CRASH_AT", ""))
"""A simulation, whose processes are objects, puts its own here."""


def crash_point(name: str) -> None:
    """Die here if the environment says so."""
    if observer is not None:
        observer(name)
