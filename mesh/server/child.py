"""One nats-server process: dies with us whatever happens, and its log lines are read here."""

import asyncio
import ctypes
import logging
import os
import re
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

from mesh.errors import ServerRefused

STOP_SECONDS = 10.0
"""How long it may take to close its store before it is killed."""
RELOAD_SECONDS = 5.0
READY_SECONDS = 60.0
"""How long it may take to read its store after an unclean end."""
_PR_SET_PDEATHSIG = 1
_LINE = re.compile(r"\[\d+\] \[(?P<level>[A-Z]{3})\] ?(?P<text>.*)")
_LEVELS = {"WRN": logging.WARNING, "ERR": logging.WARNING, "FTL": logging.ERROR}
"""What the server calls an error is mostly a client that did what it may not."""
_KNOWN = "Plaintext passwords detected"  # in a file that only we can read
_CLIENTS = "Listening for client connections on "
_MQTT = "Listening for MQTT clients on "
_READY = "Server is ready"
_CRASH = ("fatal error: ", "panic: ")
"""Go's last words; the stack is behind them, and says nothing to a user."""
_RELOADED = re.compile("(Reloaded|Failed to reload) server configuration")
_STUCK = re.compile(
    "(Filestore|JetStream) .*(critical write error|no space left on device|will be disabled)", re.IGNORECASE
)
"""A stream that could not be written refuses everything until the server is started again, room or not."""
_libc = ctypes.PyDLL(None) if sys.platform == "linux" else None
# PyDLL keeps the interpreter lock during the call: between fork and exec nothing else may run.

Log = Callable[[int, str], None]
"""Takes a level of `logging` and a line."""


def _die_with(parent: int) -> None:
    """In the child, before exec: be killed when the thread that forked us ends. Undone if that has happened already."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)


class Child:
    """A running server, ready when `start` returns."""

    def __init__(self, process: asyncio.subprocess.Process, log: Log) -> None:
        self._process = process
        self._log = log
        self._ready = asyncio.Event()
        self._last: deque[str] = deque(maxlen=5)
        self._crash = ""
        self._stuck = asyncio.Event()
        self._reloaded: asyncio.Future[bool] | None = None
        self.clients = ""
        """`host:port` where it takes clients, by its own word: right for port 0, and never another server's."""
        self.mqtt = ""

    @property
    def pid(self) -> int:
        return self._process.pid

    @classmethod
    async def start(
        cls, program: Path, config: Path, *, descriptor: int, log: Log, tasks: asyncio.TaskGroup,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> Self:  # fmt: skip
        """Start it and wait until it takes clients; `tasks` owns the reading of its log. `meanwhile` is called before
        the wait: the server has a process of its own, and we have time.

        The parent-death signal is tied to the thread that forks, so this must be the main thread. Raises ServerRefused
        when the server gives up, with what it said.
        """
        if threading.current_thread() is not threading.main_thread():
            raise ServerRefused("the embedded server must be started from the main thread: run the agent's loop there")
        parent = os.getpid()
        process = await asyncio.create_subprocess_exec(
            str(program),
            "-c",
            str(config),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            pass_fds=(descriptor,),
            start_new_session=True,  # Ctrl-C in a terminal is for the agent, which stops the server last
            preexec_fn=lambda: _die_with(parent),
        )
        child = cls(process, log)
        reading = tasks.create_task(child._read(), name="nats-server log")
        ready = asyncio.ensure_future(child._ready.wait())
        try:
            meanwhile()
            await asyncio.wait({ready, reading}, timeout=READY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not child._ready.is_set():
                raise ServerRefused(child._why())
        except BaseException:
            await child.kill()
            raise
        finally:
            ready.cancel()
        return child

    async def wait(self) -> int | None:
        """Its exit status, once it has ended; None once it can't write its store any more."""
        ended = asyncio.ensure_future(self._process.wait())
        stuck = asyncio.ensure_future(self._stuck.wait())
        try:
            await asyncio.wait({ended, stuck}, return_when=asyncio.FIRST_COMPLETED)
            return ended.result() if ended.done() else None
        finally:
            ended.cancel()
            stuck.cancel()

    async def stop(self) -> None:
        """Ask it to close its store, and wait for that; kill it when it takes too long."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._process.wait()
        except BaseException as error:
            await self.kill()
            if not isinstance(error, TimeoutError):
                raise

    async def reload(self) -> bool:
        """Let it read its configuration again; whether it took it."""
        self._reloaded = asyncio.get_running_loop().create_future()
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGHUP)
        try:
            async with asyncio.timeout(RELOAD_SECONDS):
                return await self._reloaded
        except TimeoutError:
            return False
        finally:
            self._reloaded = None

    async def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    def _why(self) -> str:
        if self._crash:
            remedy = ": free some, or let it have more (ulimit -v)" if "memory" in self._crash else ""
            return f"nats-server did not start: {self._crash}{remedy}"
        said = "; ".join(self._last) or f"nothing within {READY_SECONDS:.0f} s"
        if "address already in use" in said:
            return (
                f"the port is taken ({said}): stop the other agent or nats-server, "
                'or take a free port with [mesh] listen = "127.0.0.1:0"'
            )
        return f"nats-server did not start, it said: {said}"

    async def _read(self) -> None:
        stderr = self._process.stderr
        if stderr is None:
            return
        while line := await _line(stderr):
            match = _LINE.match(line)
            level, text = (match["level"], match["text"]) if match else ("ERR", line)
            if not self._ready.is_set():
                self._learn(level, text)
            if self._reloaded is not None and not self._reloaded.done() and (said := _RELOADED.match(text)):
                self._reloaded.set_result(said[1] == "Reloaded")
            if level in _LEVELS and _STUCK.match(text):
                self._stuck.set()
            if text and self._crash and text != self._crash:
                self._log(logging.DEBUG, text)
            elif text:
                self._log(logging.DEBUG if text.startswith(_KNOWN) else _LEVELS.get(level, logging.DEBUG), text)

    def _learn(self, level: str, text: str) -> None:
        if text.startswith(_CLIENTS):
            self.clients = text.removeprefix(_CLIENTS)
        elif text.startswith(_MQTT):
            self.mqtt = text.removeprefix(_MQTT).removeprefix("mqtt://")
        elif text == _READY:
            self._ready.set()
        elif text.startswith(_CRASH) and not self._crash:
            self._crash = text
        elif level in ("FTL", "ERR"):
            self._last.append(text)


async def _line(stream: asyncio.StreamReader) -> str:
    """The next line that is not empty, or an empty one at the end. A line too long for the buffer is skipped."""
    while True:
        try:
            line = await stream.readline()
        except ValueError:
            continue
        if not line:
            return ""
        if text := line.decode("utf-8", "replace").strip():
            return text
