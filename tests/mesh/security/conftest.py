"""Guarded servers: certificates, nkeys, JWTs and passwords, made anew for each test."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.events import Event, Identity, Kind
from engine.store import Store
from engine.store.outbox import Outbox
from mesh.connection import Connection
from mesh.credentials import Credentials, Tls
from mesh.relay import Relay
from tests.guarded_hub import Certificates, Way, guarded_hub, ways
from tests.nats_jwt import Operator


@asynccontextmanager
async def _kept(url: str, credentials: Credentials, tls: Tls | None = None, **more: Any) -> AsyncIterator[Connection]:
    connection = Connection([url], credentials=credentials, tls=tls, **more)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(connection.run())
        try:
            yield connection
        finally:
            running.cancel()


@pytest.fixture(autouse=True)
def watchful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that are renewed are seen soon."""
    monkeypatch.setattr("mesh.connection.WATCH_SECONDS", 0.1)
    monkeypatch.setattr("mesh.server.embedded.WATCH_SECONDS", 0.1)


@pytest.fixture(name="kept")
def kept_connection() -> Callable[..., Any]:
    """A connection that is kept up: `async with kept(url, credentials, tls) as connection`."""
    return _kept


@pytest.fixture(name="guarded")
def guarded_server(tmp_path: Path) -> Callable[..., Any]:
    """A server with these lines of access: `async with guarded(auth, tls=…) as hub`."""

    def made(auth: str, **more: Any) -> Any:
        return guarded_hub(tmp_path / "hub", auth, **more)

    return made


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path / "tls")


@pytest.fixture(name="ways")
def all_ways(tmp_path: Path) -> dict[str, Way]:
    return ways(tmp_path / "keys")


@pytest.fixture
def operator() -> Operator:
    return Operator()


@pytest.fixture
def relaying(tmp_path: Path) -> Callable[..., Any]:
    """A relay on a connection: `async with relaying(connection, identity) as (facts, stored)`. `await facts(n)` makes
    n facts, `await stored(n)` are the numbers that the stream holds of each once there are n, without repetitions."""

    @asynccontextmanager
    async def made(connection: Connection, identity: Identity) -> AsyncIterator[Any]:
        async with (
            Store.open(tmp_path / f"{identity.agent}.db", synchronous="off") as store, asyncio.TaskGroup() as tasks,
        ):  # fmt: skip
            relay = Relay(connection, Outbox(store), identity, own_server=False)
            running = tasks.create_task(relay.run())

            async def facts(count: int) -> None:
                def unit(tx: Any) -> None:
                    for _ in range(count):
                        tx.fact(Event(kind=Kind.WORKFLOW_STARTED, time=1, workflow="w", execution="x"))

                await store.submit(unit)

            async def stored(count: int) -> list[int]:
                async with asyncio.timeout(20):
                    await relay._facts.wait_until(count)
                link = await connection.link()
                sub = await link.js.subscribe("ganglion.event.>", ordered_consumer=True)
                held = (await link.js.stream_info("GANGLION_EVENTS")).state.messages
                bodies = [(await sub.next_msg(5)).data for _ in range(held)]
                return list(dict.fromkeys(int(msgspec.json.decode(body)["sequence"]) for body in bodies))

            try:
                yield facts, stored
            finally:
                running.cancel()

    return made
