"""Two ways to where the other agents are: straight, and through a leaf link."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from mesh.connection import Connection
from mesh.credentials import Credentials
from mesh.leaf import LeafLink
from mesh.presence.beat import Beat
from mesh.server import EmbeddedServer, Settings
from mesh.server import Hub as Remote
from tests.hub import Hub

Way = Callable[[], AbstractAsyncContextManager[Connection]]


@pytest.fixture
def straight(hub: Hub) -> Way:
    """A connection to the shared server itself, as an agent in the mode `external` has it."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Connection]:
        connection = Connection([hub.url], credentials=Credentials(), name="straight")
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(connection.run())
            try:
                yield connection
            finally:
                running.cancel()

    return opened


@pytest.fixture
def beyond(hub: Hub, settings: Callable[..., Settings], tmp_path: Path) -> Way:
    """A connection to the same server, through an embedded one and its leaf link."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Connection]:
        remote = Remote(url=hub.leaf_url, domain=hub.domain)
        async with (
            EmbeddedServer.open(settings(tmp_path / "edge", hub=remote)) as server,
            LeafLink.open(server, remote, seconds=0.2) as link,
            asyncio.TaskGroup() as tasks,
        ):
            connection = Connection([server.url], credentials=server.uplink, name="beyond", beyond=link)
            running = tasks.create_task(connection.run())
            try:
                yield connection
            finally:
                running.cancel()

    return opened


@pytest.fixture(params=["straight", "beyond"])
async def fleet(request: pytest.FixtureRequest, straight: Way, beyond: Way) -> AsyncIterator[Connection]:
    """Each test takes both ways."""
    async with (straight if request.param == "straight" else beyond)() as connection:
        yield connection


class HandClock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> int:
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture(name="beat")
def beat_of() -> Callable[..., Beat]:
    """What an agent says: `beat("pi-1", state=…)`."""

    def made(agent: str = "pi-1", **changes: Any) -> Beat:
        return Beat(**{"agent": agent, "tenant": "default", "version": "1.0", "every": 1.0, **changes})

    return made
