"""What a death by a native signal leaves behind: the stacks of all threads, written by faulthandler, read at boot.

SIGQUIT, with which our unit's watchdog ends an agent that gives no sign of life, leaves the same stacks without the
head that faulthandler writes for a native signal.
"""

import faulthandler
import logging
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILE = "crash.log"
KEPT = 5
_NATIVE = "Fatal Python error"
_log = logging.getLogger("ganglion.agent")


@contextmanager
def crash_file(data_dir: Path) -> Iterator[Path | None]:
    """Within the block native crashes are written to a file of the data directory. Gives the file of the last process,
    if it died of one."""
    path = data_dir / FILE
    last = _put_aside(path)
    with path.open("w") as file:
        faulthandler.enable(file)
        faulthandler.register(signal.SIGQUIT, file, chain=True)
        try:
            yield last
        finally:
            faulthandler.unregister(signal.SIGQUIT)
            faulthandler.disable()
    path.unlink(missing_ok=True)


def _put_aside(path: Path) -> Path | None:
    """Keep what the last process wrote, if it wrote anything; the file if that was a native crash."""
    if not path.exists() or path.stat().st_size == 0:
        return None
    kept = path.with_name(f"crash-{time.strftime('%Y%m%d-%H%M%S')}.log")
    path.replace(kept)
    for old in sorted(path.parent.glob("crash-*.log"))[:-KEPT]:
        old.unlink(missing_ok=True)
    if _NATIVE in kept.read_text(errors="replace"):
        _log.error("the last process died in native code; its stacks are in %s", kept)
        return kept
    _log.error(
        "the last process hung and was ended by its watchdog, or by somebody's SIGQUIT; its stacks are in %s", kept
    )
    return None
