"""A new version on trial begins nothing: what it accepted after it has migrated the databases would be lost to the old
one, if that had to come back.

Whoever updates holds a lock on a file of the data directory, and an agent that finds it locked waits (probation.py).
The kernel lets go for an updater that was killed: then the agent, which is ready after all, goes on. It goes on too
where the updater was stopped and not killed (Ctrl-Z, a terminal that takes no more lines), after the time that stands
in the file: what it has done then keeps the old version from taking over.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILE = "on-trial"
LONGEST_SECONDS = 600.0
"""A trial of which nobody has said how long it may take."""


@contextmanager
def held(data_dir: Path, seconds: float) -> Iterator[None]:
    """Agents of this directory that start within the block begin nothing until it ends, or for so long. Raises
    OSError."""
    path = data_dir / FILE
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.fchmod(descriptor, 0o644)  # root updates another user's agent, whatever the umask
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{seconds}\n".encode(), 0)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def is_held(data_dir: Path) -> bool:
    """Whether somebody tries the agent of this directory now."""
    try:
        descriptor = os.open(data_dir / FILE, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def longest(data_dir: Path) -> float:
    """How long an agent of this directory waits for the end of its trial, in seconds."""
    try:
        return float((data_dir / FILE).read_text())
    except (OSError, ValueError):
        return LONGEST_SECONDS


def clear(data_dir: Path) -> None:
    """Remove what an updater that was killed has left."""
    (data_dir / FILE).unlink(missing_ok=True)
