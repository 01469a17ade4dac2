"""A hub: a plain nats-server that other servers lead to, as an operator would run it. Real, on free ports."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from nats.aio.client import Client

from mesh.nats_client import AnySubjectClient
from mesh.server.binary import find_server
from mesh.server.child import _die_with

FLEET_USER, FLEET_PASSWORD = "fleet", "not-a-secret"
START_SECONDS = 10.0
_CLIENTS = re.compile(r"Listening for client connections on (\S+)")
_LEAFS = re.compile(r"Listening for leafnode connections on (\S+)")


class Hub:
    """One hub server; ports stay the same when it is killed and started again on the same directory."""

    def __init__(self, directory: Path, *, domain: str = "hub", extra: str = "") -> None:
        self.directory = directory
        self.domain = domain
        self.extra = extra
        """More lines for its configuration file."""
        self.clients = "127.0.0.1:-1"
        self.leafs = "127.0.0.1:-1"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """For clients and agents in the mode `external`."""
        return f"nats://{FLEET_USER}:{FLEET_PASSWORD}@{self.clients}"

    @property
    def leaf_url(self) -> str:
        """For `[mesh] hub`."""
        return f"nats-leaf://{FLEET_USER}:{FLEET_PASSWORD}@{self.leafs}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def config(self) -> str:
        """The text of its configuration file. It tells nobody its address: links go through the cables of the tests."""
        users = json.dumps([{"user": FLEET_USER, "password": FLEET_PASSWORD}])
        return "\n".join(
            [
                "server_name: hub",
                f"listen: {self.clients}",
                f"jetstream {{ domain: {self.domain}, store_dir: {json.dumps(str(self.directory / 'store'))} }}",
                f"accounts {{ FLEET {{ jetstream: enabled, users: {users} }}, SYS {{}} }}",
                "system_account: SYS",
                f"leafnodes {{ listen: {self.leafs}, no_advertise: true }}",
                self.extra,
            ]
        )

    async def start(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        path, log = self.directory / "hub.conf", self.directory / "hub.log"
        path.write_text(self.config())
        parent = os.getpid()
        with log.open("wb") as file:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - returns at once, and is ours to kill in plain code
                [str(find_server()), "-c", str(path)], stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                preexec_fn=(lambda: _die_with(parent)) if sys.platform == "linux" else None,
            )  # fmt: skip
        async with asyncio.timeout(START_SECONDS):
            while "Server is ready" not in (said := log.read_text()):
                assert self._process.poll() is None, said
                await asyncio.sleep(0.01)  # another process: nothing here could tell
        self.clients, self.leafs = _CLIENTS.findall(said)[0], _LEAFS.findall(said)[0]

    def kill(self) -> None:
        """As a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def restart(self) -> None:
        self.kill()
        await self.start()

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        """A client at the hub."""

        async def ignore(_: Exception) -> None:
            """What fails is raised by the request that it concerns."""

        client = AnySubjectClient()
        await client.connect(self.url, error_cb=ignore)
        try:
            yield client
        finally:
            await client.close()


@asynccontextmanager
async def running_hub(directory: Path, *, domain: str = "hub", extra: str = "") -> AsyncIterator[Hub]:
    """A hub until the block ends."""
    hub = Hub(directory, domain=domain, extra=extra)
    await hub.start()
    try:
        yield hub
    finally:
        hub.kill()
