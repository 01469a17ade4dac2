"""An agent from outside: stopped and started, by us or by whoever else does that."""

import math
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from agent.lock import holder
from agent.update import unit as units
from agent.update.command import Command
from agent.update.unit import NotOurs

LOOK_SECONDS = 0.1
STOP_SECONDS = 20.0
"""Beyond the agent's own grace time; then it is told again, then killed: it goes on from its checkpoints."""
SICK_SECONDS = 5.0
"""The same, of one that is not well."""


def stop(data_dir: Path, *, unit: str, grace: float, is_sick: bool = False) -> None:
    """Let the agent end, and wait until the data directory is free; a sick one is given less time. Raises NotOurs."""
    if unit:
        units.control("stop", unit, grace + units.SECONDS)
    for how, patience in (
        (signal.SIGTERM, SICK_SECONDS if is_sick else grace + STOP_SECONDS),
        (signal.SIGTERM, SICK_SECONDS if is_sick else STOP_SECONDS),
        (signal.SIGKILL, STOP_SECONDS),
    ):
        pid = holder(data_dir)
        if pid is None:
            return
        with suppress(ProcessLookupError):
            try:
                os.kill(pid, how)
            except PermissionError:
                raise NotOurs(f"process {pid} is another user's: run this as that user, or as root") from None
        if until(lambda: holder(data_dir) is None, patience):
            return
    raise NotOurs(f"process {holder(data_dir)} does not end: see what holds it, then ganglion self-update --resume")


def end(child: "subprocess.Popen[bytes]") -> None:
    """End a process that may have come to hang before it took the data directory."""
    child.terminate()
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def started_by_another(data_dir: Path, command: Command, *, within: float) -> bool:
    """Whether somebody else has started the agent, or does in this time: a supervisor starts again what has ended, and
    an agent of ours beside it would run where nobody watches over it."""
    since = time.time() - within
    return until(lambda: holder(data_dir) is not None or _are_starting(command, since), within)


def wait_for_late_ones(command: Command, *, since: float) -> None:
    """Agents that a supervisor has started since may not have come to the lock of the data directory: they are of the
    executable that was there then. The caller holds the lock, so that they end. `since` is in seconds since 1970."""
    now = time.time()
    until(lambda: not _are_starting(command, since, now), STOP_SECONDS)


def start(executable: Path, command: Command, streams: tuple[int, int] | None) -> "subprocess.Popen[bytes] | None":
    """Start an agent that outlives this process. None: its service was told to. Raises NotOurs."""
    if command.unit:
        units.control("start", command.unit)
        return None
    out, err = streams or (subprocess.DEVNULL, subprocess.DEVNULL)
    try:
        return subprocess.Popen(  # noqa: S603
            [executable, *command.arguments], cwd=command.directory, env=command.environ, stdin=subprocess.DEVNULL,
            stdout=out, stderr=err, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise NotOurs(f"{executable} can't be started: {error.strerror or error}") from None


def until(is_so: Callable[[], bool], seconds: float) -> bool:
    """Wait for something, so many seconds at the most; whether it came."""
    give_up = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > give_up:
            return False
        time.sleep(LOOK_SECONDS)
    return True


def _are_starting(command: Command, since: float, before: float = math.inf) -> bool:
    words = list(command.arguments)
    for process in psutil.process_iter(["cmdline", "create_time", "status"]):
        about = process.info
        is_new = since < about["create_time"] < before and about["status"] != psutil.STATUS_ZOMBIE
        if is_new and (about["cmdline"] or [])[-len(words) :] == words:
            return True
    return False
