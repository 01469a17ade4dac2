"""A new version on trial begins nothing: what it accepted after it has migrated the databases would be lost to the old
one, if that had to come back.

Whoever updates holds a lock on a file of the data directory, and an agent that finds it locked waits (probation.py).
The kernel lets go for an updater that was killed: then the agent, which is ready after all, goes on.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILE = "on-trial"


@contextmanager
def held(data_dir: Path) -> Iterator[None]:
    """Agents of this directory that start within the block begin nothing until it ends. Raises OSError."""
    path = data_dir / FILE
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.fchmod(descriptor, 0o644)  # root updates another user's agent, whatever the umask
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def is_held(data_dir: Path) -> bool:
    """Whether somebody tries the agent of this directory now."""
    try:
        descriptor = os.open(data_dir / FILE, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def clear(data_dir: Path) -> None:
    """Remove what an updater that was killed has left."""
    (data_dir / FILE).unlink(missing_ok=True)
