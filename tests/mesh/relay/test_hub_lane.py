"""Facts on their way to the hub: a second stream with a cursor of its own, behind a link that comes and goes."""

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.js.errors import NotFoundError

from engine.store.housekeeping import Housekeeper, Retention
from mesh.connection import Connection
from mesh.leaf import LeafLink
from mesh.relay import Relay
from mesh.server import EmbeddedServer, Settings
from mesh.server import Hub as Remote
from tests.faults.patience import until
from tests.hub import Hub

pytestmark = pytest.mark.nats
SECONDS = 20.0


@asynccontextmanager
async def edge(
    hub: Hub, settings: Callable[..., Settings], data_dir: Path
) -> AsyncIterator[tuple[Connection, Connection]]:
    """The agent's two connections: to its own server, and to the hub."""
    remote = Remote(url=hub.leaf_url)
    async with (
        EmbeddedServer.open(settings(data_dir, hub=remote)) as server,
        LeafLink.open(server, remote, seconds=0.05) as leaf,
        asyncio.TaskGroup() as tasks,
    ):
        own = Connection([server.url], credentials=server.credentials)
        far = Connection([server.url], credentials=server.uplink, beyond=leaf)
        running = [tasks.create_task(connection.run()) for connection in (own, far)]
        try:
            yield own, far
        finally:
            for task in running:
                task.cancel()


async def until_sent(relay: Relay, seq: int) -> None:
    async def sent() -> bool:
        return relay.sent_seq >= seq

    await until(sent)


def _kept(db: sqlite3.Connection) -> int:
    (count,) = db.execute("SELECT COUNT(*) FROM facts").fetchone()
    return int(count)


async def stored(client: Client) -> list[str]:
    """Ids of the facts in the hub's stream, in its order; none while there is no stream."""
    stream = client.jetstream()
    try:
        count = (await stream.stream_info("GANGLION_EVENTS")).state.messages
    except NotFoundError:
        return []
    reader = await stream.subscribe("ganglion.event.>", ordered_consumer=True)
    return [(await reader.next_msg(5)).headers["Nats-Msg-Id"] for _ in range(count)]


def ids(first: int, last: int) -> list[str]:
    return [f"edge/e1/{seq}" for seq in range(first, last + 1)]


async def test_every_fact_is_in_both_streams_in_order(hub, settings, tmp_path, writing, relaying) -> None:
    async with edge(hub, settings, tmp_path / "edge") as (own, far), relaying(own, writing, hub=far) as relay:
        await writing.facts(1000)
        await until_sent(relay, 1000)
        async with hub.client() as client:
            assert await stored(client) == ids(1, 1000)
        here = await (await own.link()).js.stream_info("GANGLION_EVENTS")
        assert here.state.messages == 1000


async def test_what_only_the_own_stream_has_is_kept_for_the_hub(hub, settings, tmp_path, writing, relaying) -> None:
    house = Housekeeper(writing.store, Retention(outbox_keep=0, outbox_age=None))
    hub.kill()
    async with edge(hub, settings, tmp_path / "edge") as (own, far):
        async with relaying(own, writing, hub=far) as relay:
            await writing.facts(10)
            async with asyncio.timeout(SECONDS):
                await relay.drain(SECONDS)
            await house.tidy()
            assert await writing.store.read(_kept) == 10
            await hub.start()
            await until_sent(relay, 10)
            async with hub.client() as client:
                assert await stored(client) == ids(1, 10)
        # A hub that is there no more holds nothing back.
        async with relaying(own, writing) as relay:
            await writing.facts(1)
            await relay.drain(SECONDS)
            await house.tidy()
            rows = await writing.store.read(lambda db: db.execute("SELECT name FROM cursors").fetchall())
            assert rows == [("local",)]


async def test_a_hub_that_came_back_with_an_older_copy_gets_the_rest_again(
    hub, settings, tmp_path, writing, relaying
) -> None:
    async with edge(hub, settings, tmp_path / "edge") as (own, far), relaying(own, writing, hub=far) as relay:
        await writing.facts(20)
        await until_sent(relay, 20)
        hub.kill()
        shutil.copytree(hub.directory / "store", tmp_path / "copy")
        await hub.start()
        await writing.facts(20)
        await until_sent(relay, 40)
        hub.kill()
        shutil.rmtree(hub.directory / "store")
        shutil.copytree(tmp_path / "copy", hub.directory / "store")
        await hub.start()
        async with hub.client() as client:

            async def all_there() -> bool:
                return set(await stored(client)) == set(ids(1, 40))

            await until(all_there)


async def test_a_stream_that_was_made_anew_gets_all_that_is_kept_again(
    hub, settings, tmp_path, writing, relaying
) -> None:
    async with edge(hub, settings, tmp_path / "edge") as (own, far), relaying(own, writing, hub=far) as relay:
        await writing.facts(20)
        await until_sent(relay, 20)
        async with hub.client() as client:
            stream = client.jetstream()
            info = await stream.stream_info("GANGLION_EVENTS")
            await stream.delete_stream("GANGLION_EVENTS")
            await stream.add_stream(info.config)
            await writing.facts(5)

            async def all_there() -> bool:
                return set(await stored(client)) == set(ids(1, 25))

            await until(all_there)


async def test_a_stream_that_was_deleted_while_nothing_happens_is_noticed(
    hub, settings, tmp_path, writing, relaying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh.relay.facts.LOOK_SECONDS", 0.1)
    async with edge(hub, settings, tmp_path / "edge") as (own, far), relaying(own, writing, hub=far) as relay:
        await writing.facts(20)
        await until_sent(relay, 20)
        async with hub.client() as client:
            await client.jetstream().delete_stream("GANGLION_EVENTS")

            async def all_there() -> bool:
                return await stored(client) == ids(1, 20)

            await until(all_there)
