"""One process per data directory.

Two agents on one store, or two NATS servers on one stream directory, would corrupt both without a word. The lock is an
flock, so the kernel lets go of it when the process is gone, however it died.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.store.errors import StoreError, StoreInUse

PATIENCE = 1.0
"""Seconds to wait: a process that was just killed may still be finishing a write."""


class DirectoryUnusable(StoreError):
    """There is no data directory, and none can be made."""


@contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Hold the directory within the block.

    Makes the directory (0700) if there is none. Raises StoreInUse, which names the holder, and DirectoryUnusable.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DirectoryUnusable(
            f"the data directory {data_dir} can't be made or written ({(error.strerror or str(error)).lower()}): "
            "give it to this user, or name another one with --data-dir"
        ) from None
    try:
        _take(descriptor, data_dir)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def holder(data_dir: Path) -> int | None:
    """The process that holds the directory now, or None. A question for people: it may change at any time."""
    try:
        descriptor = os.open(data_dir / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return _written(descriptor)
    finally:
        os.close(descriptor)
    return None


def _take(descriptor: int, data_dir: Path) -> None:
    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > give_up:
                pid = _written(descriptor)
                who = "another process" if pid is None else f"the process {pid}"
                raise StoreInUse(
                    f"the data directory {data_dir} is in use by {who}: stop it, or give another one with --data-dir"
                ) from None
        time.sleep(0.02)


def _written(descriptor: int) -> int | None:
    text = os.pread(descriptor, 32, 0).strip()
    return int(text) if text.isdigit() else None
