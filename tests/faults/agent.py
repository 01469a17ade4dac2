"""The agent under test: `ganglion up` as a real process on fixed ports, so that clients find it again."""

import asyncio
import json
import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from nats.js.api import AckPolicy, ConsumerConfig

from tests import warm
from tests.faults.client import LOST, Client
from tests.faults.patience import until
from tests.warm import GANGLION

ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0


class Refused(Exception):
    """The agent answered that it will not: (status, reason)."""


class Finished(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.out, self.err
        return json.loads(self.out)


class Agent:
    """One data directory, and the process that holds it now, if any."""

    def __init__(self, directory: Path, data_dir: Path | None = None, *, id: str = "tested") -> None:
        self.directory = directory
        self.id = id
        self.data_dir = data_dir or directory / "data"
        self.ready_file = directory / "ready.json"
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self.settings: dict[str, str] = {}
        """More environment for the processes to come."""
        self.process: warm.Warm | None = None
        self.starts = 0
        self.client = Client(self.url, self._login)

    async def spawn(self, *, crash_at: str = "") -> None:
        """Start the process, and do not wait for it."""
        self.ready_file.unlink(missing_ok=True)
        self.starts += 1
        with (self.directory / "agent.log").open("ab") as log:
            log.write(f"--- start {self.starts} {crash_at}\n".encode())
            log.flush()
            self.process = warm.Warm(
                [*GANGLION, "up", "--data-dir", self.data_dir, "--listen", f"127.0.0.1:{self.port}",
                 "--ready-file", self.ready_file, "--id", self.id],
                cwd=self.directory, env=self._environment() | {"GANGLION_CRASH_AT": crash_at},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    async def start(self, *, crash_at: str = "") -> bool:
        """Start the process; True once it is ready, False if it was killed before."""
        await self.spawn(crash_at=crash_at)
        return await self.is_ready()

    async def is_ready(self) -> bool:
        """Wait until the process that was spawned is ready, or killed."""
        async with asyncio.timeout(START_SECONDS):
            while not self.ready_file.exists():
                if not self.is_running:
                    assert self.code == -signal.SIGKILL, self.said()
                    return False
                await asyncio.sleep(0.01)  # another process: only looking tells
        return True

    @property
    def code(self) -> int | None:
        assert self.process is not None
        return self.process.poll()

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.code is None

    @property
    def killed_itself(self) -> bool:
        """At the crash point, or by our own kill -9."""
        return self.code == -signal.SIGKILL

    @property
    def server_pid(self) -> int:
        """The embedded server's process, by the lock that it holds."""
        server: dict[str, int] = json.loads((self.data_dir / "nats" / "lock").read_text())["server"]
        return server["pid"]

    async def end(self, how: signal.Signals) -> int:
        """Send a signal and wait; the exit code."""
        assert self.process is not None
        self.process.send_signal(how)
        return await self.ended()

    async def ended(self) -> int:
        """Wait for its end; the exit code."""
        assert self.process is not None
        return await asyncio.to_thread(self.process.wait)

    async def kill(self) -> None:
        assert await self.end(signal.SIGKILL) == -signal.SIGKILL, self.said()

    async def stop(self) -> int:
        return await self.end(signal.SIGTERM)

    async def command(self, *arguments: str) -> Finished:
        """A `ganglion` command as a person gives it."""
        line = [*GANGLION, *arguments, "--data-dir", self.data_dir]
        done = await asyncio.to_thread(warm.run, line, cwd=self.directory, env=self._environment())
        return Finished(done.returncode, done.stdout, done.stderr)

    async def ask(self, verb: str, **fields: object) -> dict[str, Any] | None:
        """A request to the control service by a plain client; None while nobody answers. Raises Refused."""
        try:
            client = await self.client.connected()
            subject = f"ganglion.service.default.{self.id}.{verb}"
            answer = await client.request(subject, json.dumps(fields).encode(), timeout=2)
        except LOST:
            return None
        if answer.headers and "Nats-Service-Error-Code" in answer.headers:
            raise Refused(int(answer.headers["Nats-Service-Error-Code"]), answer.data.decode())
        decoded: dict[str, Any] = json.loads(answer.data)
        return decoded

    async def waiting(self) -> int | None:
        """Messages in the streams that workflows are started from; None while nobody answers."""
        try:
            client = await self.client.connected()
            manager = client.jsm(timeout=2)
            infos = {info.config.name: info.state.messages for info in await manager.streams_info()}
        except LOST:
            return None
        return infos.get("GANGLION_INTAKE", 0) + infos.get("GANGLION_TRIGGERS", 0)

    async def consumers(self) -> list[Any]:
        """What the server knows of the agent's intake, for a message."""
        try:
            manager = (await self.client.connected()).jsm(timeout=2)
            return [await manager.consumers_info(stream) for stream in ("GANGLION_INTAKE", "GANGLION_TRIGGERS")]
        except LOST as error:
            return [error]

    async def published_facts(self) -> list[dict[str, Any]]:
        """Every event in the stream, as a reader gets them: in the stream's order, repeats included."""
        client = await self.client.connected()
        stream = client.jetstream(timeout=5)
        held = (await stream.stream_info("GANGLION_EVENTS")).state.messages
        consumer = await stream.pull_subscribe(
            "ganglion.event.>", stream="GANGLION_EVENTS", config=ConsumerConfig(ack_policy=AckPolicy.NONE)
        )
        facts: list[dict[str, Any]] = []
        while len(facts) < held:
            facts += [json.loads(message.data) for message in await consumer.fetch(min(1000, held - len(facts)))]
        await consumer.unsubscribe()
        return facts

    @property
    def log(self) -> str:
        """All that its processes have logged."""
        return (self.directory / "agent.log").read_text(errors="replace")

    def said(self) -> str:
        """The end of its log."""
        return "\n".join(self.log.splitlines()[-40:])

    async def has_said(self, text: str) -> None:
        """Wait until something with this text is in its log."""

        async def look() -> bool:
            return text in self.log

        await until(look)

    async def close(self) -> None:
        """Nothing of it is left."""
        if self.is_running:
            await self.end(signal.SIGKILL)
        await self.client.close()

    def _login(self) -> dict[str, str]:
        """The agent's own credentials: a device may neither ask the service nor read streams."""
        access = self.data_dir / "nats" / "access.json"
        who = json.loads(access.read_text())["credentials"]
        return {"user": who["user"], "password": who["password"]}

    def _environment(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GANGLION_")}
        for variable in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "CREDENTIALS_DIRECTORY"):
            clean.pop(variable, None)
        return clean | {"HOME": str(self.directory), "PYTHONPATH": str(ROOT), "TERM": "dumb"} | self.settings


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
