"""What a death by a native signal leaves behind: the stacks of all threads, written by faulthandler, read at boot."""

import faulthandler
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILE = "crash.log"
KEPT = 5
_log = logging.getLogger("ganglion.agent")


@contextmanager
def crash_file(data_dir: Path) -> Iterator[Path | None]:
    """Within the block native crashes are written to a file of the data directory. Gives the file of the last one."""
    path = data_dir / FILE
    last = _put_aside(path)
    with path.open("w") as file:
        faulthandler.enable(file)
        try:
            yield last
        finally:
            faulthandler.disable()
    path.unlink(missing_ok=True)


def _put_aside(path: Path) -> Path | None:
    """Keep what the last process wrote, if it wrote anything."""
    if not path.exists() or path.stat().st_size == 0:
        return None
    kept = path.with_name(f"crash-{time.strftime('%Y%m%d-%H%M%S')}.log")
    path.replace(kept)
    for old in sorted(path.parent.glob("crash-*.log"))[:-KEPT]:
        old.unlink(missing_ok=True)
    _log.error("the last process died in native code; its stacks are in %s", kept)
    return kept
