"""Where the demonstration plays: an agent's process, commands and clients, in a directory that goes away afterwards."""

import asyncio
import os
import shutil
import signal
import socket
import sys
import sysconfig
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

import msgspec
import psutil

from agent.demo.clients import client_command
from agent.update.program import executable
from engine.values import Json

START_SECONDS = 20.0
"""How long an agent may take until it is ready."""
PATIENCE_SECONDS = 20.0
"""How long an act may wait for what it announced."""


class DemoFailed(Exception):
    """A claim of the demonstration did not hold, or a part of it did not start."""


class Client:
    """A client's process that prints one JSON object a line, and ends with its standard input."""

    def __init__(self, process: asyncio.subprocess.Process, script: str) -> None:
        self._process = process
        self._script = script

    async def next(self) -> dict[str, Json]:
        """What it prints next."""
        output = self._process.stdout
        line = await output.readline() if output else b""
        if not line:
            raise DemoFailed(f"the client {self._script} ended")
        message: dict[str, Json] = msgspec.json.decode(line)
        return message

    async def end(self) -> list[dict[str, Json]]:
        """Let it end; what it has printed since `next`."""
        out, _ = await self._process.communicate(b"")  # without bytes its standard input would stay open
        return [msgspec.json.decode(line) for line in out.splitlines()]


class Stage:
    """One agent with fixed ports, so that clients find it again after it was killed."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.nats_port, self.mqtt_port = _free_port(), _free_port()
        self.url = f"nats://127.0.0.1:{self.nats_port}"
        self._environ = environment(directory, os.environ, sys.executable)
        self._agent: asyncio.subprocess.Process | None = None

    async def start(self) -> dict[str, Json]:
        """Start the agent; returns its ready file."""
        ready = self.directory / "ready.json"
        ready.unlink(missing_ok=True)
        with (self.directory / "agent.log").open("ab") as log:
            self._agent = await asyncio.create_subprocess_exec(
                *_ganglion(), "up", "--data-dir", str(self.directory / "data"), "--ready-file", str(ready),
                "--listen", f"127.0.0.1:{self.nats_port}", "--mqtt", f"127.0.0.1:{self.mqtt_port}",
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, env=self._environ,
            )  # fmt: skip
        async with asyncio.timeout(START_SECONDS):
            while not ready.exists():
                if self._agent.returncode is not None:
                    raise DemoFailed(f"the agent ended with code {self._agent.returncode}:\n{self.log_tail()}")
                await asyncio.sleep(0.02)
        described: dict[str, Json] = msgspec.json.decode(ready.read_bytes())
        return described

    async def kill(self) -> None:
        """kill -9, as a power cut would."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """Ask the agent to end; returns its exit code."""
        return await self._end(signal.SIGTERM)

    async def command(self, *arguments: str) -> str:
        """Run a `ganglion` command as a person would; returns what it printed."""
        process = await asyncio.create_subprocess_exec(
            *_ganglion(), *arguments, "--data-dir", str(self.directory / "data"),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env=self._environ,
        )  # fmt: skip
        out, error = await process.communicate()
        if process.returncode:
            raise DemoFailed(f"ganglion {' '.join(arguments)} ended with code {process.returncode}: {error.decode()}")
        return out.decode()

    async def client(self, script: str, *arguments: str, messages: Iterable[Json]) -> int:
        """Run a client script on messages; returns how many it says were acknowledged."""
        process = await asyncio.create_subprocess_exec(
            *client_command(script), *arguments,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env=self._environ,
        )  # fmt: skip
        out, error = await process.communicate(b"\n".join(msgspec.json.encode(message) for message in messages))
        if process.returncode:
            raise DemoFailed(f"the client {script} ended with code {process.returncode}: {error.decode()}")
        return int(out)

    @asynccontextmanager
    async def running(self, script: str, *arguments: str) -> AsyncIterator[Client]:
        """A client script that says when it is ready, and ends after the block at the latest."""
        process = await asyncio.create_subprocess_exec(
            *client_command(script), *arguments,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**22, env=self._environ,
        )  # fmt: skip
        try:
            client = Client(process, script)
            await client.next()
            yield client
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    def watch(self, *subjects: str) -> AbstractAsyncContextManager[Client]:
        """An independent client that sees what is published on these subjects: {subject, data} each."""
        return self.running("watch.py", self.url, *subjects)

    def connections_elsewhere(self) -> set[str]:
        """Addresses on other machines that the agent, or its NATS server, is connected with at this moment."""
        if self._agent is None:
            return set()
        found: set[str] = set()
        process = psutil.Process(self._agent.pid)
        for each in (process, *process.children(recursive=True)):
            peers = {connection.raddr.ip for connection in each.net_connections("inet") if connection.raddr}
            found |= {peer for peer in peers if not ip_address(peer).is_loopback}
        return found

    def log_tail(self) -> str:
        """The end of the agent's log, for a message."""
        lines = (self.directory / "agent.log").read_text(errors="replace").splitlines()
        return "\n".join(lines[-15:])

    async def _end(self, how: signal.Signals) -> int:
        if self._agent is None:
            return 0
        if self._agent.returncode is None:
            self._agent.send_signal(how)
        code = await self._agent.wait()
        self._agent = None
        return code


def _ganglion() -> list[str]:
    """The command that is running now."""
    if getattr(sys, "frozen", False):
        return [str(executable())]
    beside = Path(sysconfig.get_path("scripts")) / "ganglion"
    found = str(beside) if beside.exists() else shutil.which("ganglion")
    return [found or sys.argv[0]]


def environment(directory: Path, environ: Mapping[str, str], program: str) -> dict[str, str]:
    """The given one, without settings of another agent. An executable that can be kept nowhere, and so runs as
    `program` from what was unpacked for this run only, is kept in `directory`: else each command would unpack it."""
    kept = {
        name: value
        for name, value in environ.items()
        if not name.startswith("GANGLION_") or name == "GANGLION_CACHE_DIR"
    }
    if Path(program).parent.name.startswith("ganglion-"):  # see packaging/launcher/temporary.c
        kept["GANGLION_CACHE_DIR"] = str(directory / "executable")
    return kept


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
