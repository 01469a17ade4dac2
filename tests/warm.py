"""Python processes that begin with the agent imported, which is most of what a command costs (0.5 s of 0.6).

Each is forked from a process that waits for this (`nursery`), and is then a process like any other, with its own
arguments, directory, environment, streams, signals and end. That a cold one finds all that it imports is seen by the
tests of README, demo and layers.
"""

import atexit
import json
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tests.nursery import LENGTH, NUMBER

ROOT = Path(__file__).parents[1]
GANGLION = ["-c", "from agent.cli import main; main()"]
"""The arguments of a `ganglion` command, before its own."""


class Nursery:
    """Where they come from."""

    def __init__(self) -> None:
        self._orders, theirs = socket.socketpair()
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, ROOT / "tests" / "nursery.py", str(theirs.fileno())],
            cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()], start_new_session=True,
        )  # fmt: skip
        theirs.close()

    def close(self) -> None:
        self._orders.close()
        self._process.wait()

    def order(self, streams: Sequence[int], **what: object) -> tuple[int, socket.socket]:
        """The id of a new process, and the channel that will tell how it ended."""
        text = json.dumps(what).encode()
        channel, theirs = socket.socketpair()
        try:
            with theirs, self._lock:
                socket.send_fds(self._orders, [LENGTH.pack(len(text))], [*streams, theirs.fileno()])
                self._orders.sendall(text)
            pid: int = NUMBER.unpack(channel.recv(NUMBER.size))[0]
        except BaseException:
            channel.close()
            raise
        return pid, channel


@cache
def nursery() -> Nursery:
    one = Nursery()
    atexit.register(one.close)
    return one


class Warm(subprocess.Popen[Any]):
    """`subprocess.Popen` of `sys.executable` with these arguments: `-c` and code, or a script, and its own."""

    _channel: socket.socket

    def _execute_child(self, args: Any, *others: Any) -> None:
        # executable, preexec_fn, close_fds, pass_fds, cwd, env, startupinfo, creationflags, shell, then six pipes' ends
        cwd, env, pipes = others[4], others[5], others[9:15]
        stdin, _, _, stdout, _, stderr = pipes
        what = {"arguments": [str(one) for one in args], "cwd": str(cwd or Path.cwd()), "env": dict(env or os.environ)}
        streams = [own if own >= 0 else inherited for inherited, own in enumerate((stdin, stdout, stderr))]
        self.pid, self._channel = nursery().order(streams, **what)
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        if wait_flags & os.WNOHANG and not select.select([self._channel], [], [], 0)[0]:
            return 0, 0
        status: int = NUMBER.unpack(self._channel.recv(NUMBER.size))[0]
        self._channel.close()
        return self.pid, status

    def _internal_poll(self, *_: object, **__: object) -> int | None:
        if self.returncode is None:
            pid, status = self._try_wait(os.WNOHANG)
            if pid:
                self._handle_exitstatus(status)  # type: ignore[attr-defined]
        return self.returncode


def run(
    arguments: Sequence[object], *, cwd: Path | None = None, env: Mapping[str, str] | None = None, input: str = "",
    timeout: float = 60,
) -> "subprocess.CompletedProcess[str]":  # fmt: skip
    """What such a process did and said."""
    with Warm(
        arguments, cwd=cwd, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            out, err = process.communicate(input, timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)
