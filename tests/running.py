"""Running agents, each a process of its own, and clients of them that know nothing of ours."""

import json
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from nats.aio.client import Client

from mesh.credentials import read_access
from mesh.nats_client import AnySubjectClient
from tests import warm
from tests.warm import GANGLION

ROOT = Path(__file__).parents[1]
MAIN = GANGLION[1]
START_SECONDS = 20.0
CONFIG = """\
[agent]
id = "edge"
labels = {site = "berlin"}
[mesh]
listen = "127.0.0.1:0"
mqtt = "127.0.0.1:0"
[fleet]
record = true
heartbeat = "1s"
"""


class Running:
    """An agent's process."""

    def __init__(self, folder: Path, config: str = CONFIG) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.config = folder / "ganglion.toml"
        self.config.write_text(config)
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("GANGLION_")}
        self.environ |= {"HOME": str(folder), "PYTHONPATH": str(ROOT), "TERM": "dumb"}
        self.before = ""
        """Code that runs in the agent's process before it: a fault that it is to live with."""
        self.ready: dict[str, Any] = {}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Until it is ready."""
        ready, log = self.folder / "ready.json", self.folder / "agent.log"
        ready.unlink(missing_ok=True)
        with log.open("ab") as file:
            self.process = warm.Warm(
                ["-c", f"{self.before}\n{MAIN}", "up", "--config", self.config, "--data-dir", self.data_dir,
                 "--ready-file", ready],
                cwd=self.folder, env=self.environ, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
            )  # fmt: skip
        give_up = time.monotonic() + START_SECONDS
        while not ready.exists():
            assert self.process.poll() is None, log.read_text()
            assert time.monotonic() < give_up, log.read_text()
            time.sleep(0.01)  # another process: nothing here could tell
        self.ready = json.loads(ready.read_text())

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait; the exit code."""
        if self.process is None or self.process.poll() is not None:
            return 0
        self.process.send_signal(how)
        return self.process.wait(30)

    @property
    def url(self) -> str:
        return str(self.ready["nats"])

    def __call__(self, *arguments: object, code: int = 0) -> str:
        """A command to this agent: what it says, on standard error if it is to fail with this code."""
        done = self.command(*arguments)
        assert done.returncode == code, done.stderr + done.stdout
        return done.stdout if code == 0 else done.stderr

    def command(self, *arguments: object) -> "subprocess.CompletedProcess[str]":
        """A command to this agent, and all that became of it."""
        return warm.run(self.line(*arguments), cwd=self.folder, env=self.environ)

    def follow(self, *arguments: object) -> "subprocess.Popen[str]":
        """A command that goes on by itself."""
        return warm.Warm(
            self.line(*arguments),
            cwd=self.folder, env=self.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def line(self, *arguments: object) -> list[str]:
        """The arguments of the command as it is run."""
        at = ["--config", str(self.config), "--data-dir", str(self.data_dir)]
        return [*GANGLION, *map(str, arguments), *at]

    def deploy(self, text: str) -> None:
        path = self.folder / "workflow.yaml"
        path.write_text(text)
        self("deploy", path)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        """As the agent's own user, who may ask for everything."""
        known = read_access(self.data_dir)
        assert known is not None
        async with plain_client(self.url, user=known.credentials.user, password=known.credentials.password) as client:
            yield client


@asynccontextmanager
async def plain_client(url: str, **options: Any) -> AsyncIterator[Client]:
    """The plain library."""

    async def ignore(_: Exception) -> None:
        """What fails is raised by the request that it concerns."""

    client = AnySubjectClient()
    await client.connect(url, error_cb=ignore, **options)
    try:
        yield client
    finally:
        await client.close()


@contextmanager
def running_agent(folder: Path, config: str = CONFIG) -> Iterator[Running]:
    """An agent until the block ends."""
    running = Running(folder, config)
    try:
        running.start()
        yield running
    finally:
        running.end(signal.SIGKILL)
