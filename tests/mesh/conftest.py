"""A real nats-server on free ports for each test: it takes 15 ms to start."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from mesh.connection import Connection, Link
from mesh.credentials import Credentials
from mesh.nats_client import AnySubjectClient
from mesh.server import EmbeddedServer, Settings
from tests.hub import Hub, running_hub

Connecting = Callable[[EmbeddedServer], AbstractAsyncContextManager[Connection]]


def _settings(data_dir: Path, **changes: Any) -> Settings:
    return Settings(**{"name": "edge", "data_dir": data_dir, "listen": "127.0.0.1:0", "sync_interval": "1s", **changes})


@asynccontextmanager
async def _connected(server: EmbeddedServer) -> AsyncIterator[Connection]:
    connection = Connection([server.url], credentials=server.credentials, name="test")
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(connection.run())
        try:
            yield connection
        finally:
            running.cancel()


@asynccontextmanager
async def _client(server: EmbeddedServer, credentials: Credentials | None = None) -> AsyncIterator[Client]:
    async def ignore(_: Exception) -> None:
        """Refusals are looked at by the tests themselves."""

    client = AnySubjectClient()
    await client.connect(
        server.url,
        error_cb=ignore,
        user=credentials.user if credentials else None,
        password=credentials.password if credentials else None,
    )
    try:
        yield client
    finally:
        await client.close()


@pytest.fixture(name="settings")
def settings_for() -> Callable[..., Settings]:
    """Settings of a server on free ports: `settings(data_dir, mqtt=…)`."""
    return _settings


@pytest.fixture
def connected() -> Connecting:
    """The agent's supervised connection: `async with connected(server) as connection`."""
    return _connected


@pytest.fixture(name="client")
def client_of() -> Callable[..., AbstractAsyncContextManager[Client]]:
    """An independent client, anonymous by default: `async with client(server) as device`."""
    return _client


class _Log(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.grew = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.text += f"{self.format(record)}\n"
        self.grew.set()

    async def wait_for(self, text: str) -> None:
        """Until something with this text has been logged."""
        async with asyncio.timeout(10):
            while text not in self.text:
                self.grew.clear()
                await self.grew.wait()


@pytest.fixture
def log() -> Iterator[_Log]:
    """What the mesh logs: `await log.wait_for("…")`."""
    handler = _Log()
    logger = logging.getLogger("ganglion")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.setLevel(logging.NOTSET)
    logger.removeHandler(handler)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedServer]:
    async with EmbeddedServer.open(_settings(tmp_path)) as server:
        yield server


@pytest.fixture
async def connection(server: EmbeddedServer) -> AsyncIterator[Connection]:
    async with _connected(server) as connection:
        yield connection


@pytest.fixture
async def link(connection: Connection) -> Link:
    return await connection.link()


@pytest.fixture
async def device(server: EmbeddedServer) -> AsyncIterator[Client]:
    """An anonymous client on this machine, such as a sensor's program."""
    async with _client(server) as device:
        yield device


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    """A server that others lead to: `hub.url` for clients, `hub.leaf_url` for leaf links."""
    async with running_hub(tmp_path / "hub") as hub:
        yield hub
