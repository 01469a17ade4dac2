"""One child process, bounded in time and output, gone with everything it started.

The child leads a process group of its own; when it ends, in whichever way, what is left of the group is killed, so
that no attempt leaves a grandchild behind. Only a process that makes itself a session of its own (a daemon) escapes.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from typing import cast

import msgspec

GRACE_SECONDS = 2.0
"""Between SIGTERM and SIGKILL, when a process is cut off."""
DRAIN_SECONDS = 1.0
"""How long a pipe that somebody else still holds is waited for after the end."""


class Finished(msgspec.Struct, frozen=True):
    """How a process ended."""

    exit_code: int
    """Negative: the signal that killed it."""
    stdout: bytes
    stderr: bytes
    overflow: bool
    """It wrote more than allowed to one of the two, and was killed for it."""


async def run_process(
    argv: Sequence[str],
    *,
    cwd: str | None,
    env: Mapping[str, str],
    stdin: bytes | None,
    timeout: float,
    max_bytes: int,
) -> Finished:
    """Run a program to its end, `max_bytes` of each output at most.

    Raises OSError if it cannot be started (FileNotFoundError, PermissionError), ValueError for a NUL character, and
    TimeoutError; then, and when cancelled, the group gets SIGTERM and, after the grace time, SIGKILL.
    """
    transport, child = await asyncio.get_running_loop().subprocess_exec(
        lambda: _Child(max_bytes),
        *argv,
        cwd=cwd,
        env=dict(env),
        stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    group = transport.get_pid()
    try:
        if stdin:
            pipe = cast(asyncio.WriteTransport, transport.get_pipe_transport(0))
            pipe.write(stdin)
            pipe.close()
        try:
            async with asyncio.timeout(timeout):
                await child.ended.wait()
        except (TimeoutError, asyncio.CancelledError):
            _signal(group, signal.SIGTERM)
            await _wait(child.exited, GRACE_SECONDS)
            raise
    finally:
        # Also after a good end, for the grandchildren. The group keeps its number while a member lives.
        _signal(group, signal.SIGKILL)
        try:
            await _wait(child.closed, DRAIN_SECONDS)
        finally:
            transport.close()
    code = transport.get_returncode()
    return Finished(
        exit_code=-signal.SIGKILL if code is None else code,
        stdout=bytes(child.outputs[0]),
        stderr=bytes(child.outputs[1]),
        overflow=child.overflow,
    )


class _Child(asyncio.SubprocessProtocol):
    """Collects what comes. Not `asyncio.create_subprocess_exec`: its `wait` waits for the pipes too, which a
    grandchild may hold open for ever (see test_a_grandchild_that_holds_the_output_does_not_outlive_the_process)."""

    def __init__(self, max_bytes: int) -> None:
        self.outputs = (bytearray(), bytearray())
        self.overflow = False
        self.exited = asyncio.Event()
        self.ended = asyncio.Event()
        """Exited, or wrote too much."""
        self.closed = asyncio.Event()
        """Exited, and all pipes at their end."""
        self._max_bytes = max_bytes

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        output = self.outputs[fd - 1]
        room = self._max_bytes - len(output)
        output += data[:room]
        if len(data) > room:
            self.overflow = True
            self.ended.set()

    def process_exited(self) -> None:
        self.exited.set()
        self.ended.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
