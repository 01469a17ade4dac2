"""Named crash points: places where a test kills the process for real, to see that nothing is lost.

`GANGLION_CRASH_AT=point:n` sends SIGKILL to this process when it passes the point for the n-th time. Without the
variable a point costs one comparison.
"""

import os
import signal

_point, _, _count = os.environ.get("GANGLION_CRASH_AT", "").partition(":")
_left = int(_count) if _count.isdigit() else 1


def crash_point(name: str) -> None:
    """Die here if the environment says so."""
    global _left
    if _point and name == _point:
        _left -= 1
        if _left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
