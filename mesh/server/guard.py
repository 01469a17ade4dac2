"""Whose data directory it is. Two nats-servers open one store without complaint, so we hold a lock for it.

The child inherits the lock's descriptor: while a server that outlived its agent has the store open, nobody else gets
the lock. The file's content says who holds it, so that such a server can be told from a running agent's.
"""

import asyncio
import fcntl
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Self

import msgspec

from mesh.errors import InUse

WAIT_SECONDS = 5.0
"""A server that lost its agent is killed by the kernel; this is how long that may take."""
_TICK_SECONDS = 0.02
_HAS_PROC = Path("/proc/self/stat").exists()


class Process(msgspec.Struct, frozen=True):
    """A process, told from a later one with the same number by its start."""

    pid: int
    started: str

    @property
    def is_alive(self) -> bool:
        return bool(self.started) and started(self.pid) == self.started


class Holder(msgspec.Struct, frozen=True):
    """The content of the lock file."""

    agent: Process
    server: Process | None = None


def started(pid: int) -> str:
    """When a process started, as text that only serves to compare; empty if there is none."""
    if _HAS_PROC:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        except OSError:
            return ""
        fields = stat.rpartition(")")[2].split()  # the name before may hold spaces and brackets
        return "" if fields[0] == "Z" else f"{boot}/{fields[19]}"
    listing = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S603, S607
    return listing.stdout.strip()


def this_process() -> Process:
    return Process(os.getpid(), started(os.getpid()))


class Guard:
    """The lock on a server's directory, held until `release`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor
        """The child inherits it."""

    @classmethod
    async def acquire(cls, directory: Path) -> Self:
        """Take the lock; a server whose agent is dead is waited for, then killed.

        Raises InUse when an agent runs there, or a process that can't be proven to be an orphan of ours.
        """
        path = directory / "lock"
        descriptor = _open(path)
        try:
            await _take(path, descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        guard = cls(path, descriptor)
        guard.write(None)
        return guard

    def write(self, server: int | None) -> None:
        """Say who holds the lock, with the server's process if there is one."""
        child = Process(server, started(server)) if server is not None else None
        content = msgspec.json.encode(Holder(this_process(), child))
        os.pwrite(self.descriptor, content, 0)
        os.ftruncate(self.descriptor, len(content))

    def release(self) -> None:
        """Free once the child is gone too."""
        os.close(self.descriptor)


def _open(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


async def _take(path: Path, descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    patience = loop.time() + WAIT_SECONDS
    killed = False
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        holder = _holder(descriptor)
        if holder is not None and holder.agent.is_alive:
            raise InUse(
                f"{path.parent.parent} is in use by the agent with process id {holder.agent.pid}: "
                "stop that one, or choose another data_dir"
            )
        if loop.time() >= patience:
            if killed or holder is None or holder.server is None or not holder.server.is_alive:
                raise InUse(
                    f"{path} is locked by a process that is not known: find it with `fuser {path}`, end it, start again"
                )
            os.kill(holder.server.pid, signal.SIGKILL)
            killed = True
            patience = loop.time() + WAIT_SECONDS
        await asyncio.sleep(_TICK_SECONDS)


def _holder(descriptor: int) -> Holder | None:
    try:
        return msgspec.json.decode(os.pread(descriptor, 4096, 0), type=Holder)
    except msgspec.DecodeError:
        return None
