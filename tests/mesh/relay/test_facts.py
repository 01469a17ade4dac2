import asyncio
import os
import shutil
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mesh.connection import Connection, Link
from mesh.relay import Relay
from mesh.server import EmbeddedServer, Settings

pytestmark = pytest.mark.nats
Relaying = Callable[..., AbstractAsyncContextManager[Relay]]


async def stored(link: Link) -> list[tuple[str, int]]:
    """What the stream holds: (Nats-Msg-Id, sequence of the CloudEvent)."""
    sub = await link.js.subscribe("ganglion.event.>", ordered_consumer=True)
    found = []
    info = await link.js.stream_info("GANGLION_EVENTS")
    for _ in range(info.state.messages):
        msg = await sub.next_msg(5)
        found.append((msg.headers["Nats-Msg-Id"], int(msgspec.json.decode(msg.data)["sequence"])))
    await sub.unsubscribe()
    return found


def once_in_order(messages: list[tuple[str, int]], count: int) -> None:
    """A reader that dedupes by id sees each fact once, in order, without a gap."""
    seen = dict(messages)
    assert list(seen.values()) == list(range(1, count + 1))


async def until(relay: Relay, seq: int) -> None:
    async with asyncio.timeout(20):
        await relay._facts.wait_until(seq)


async def test_facts_arrive_in_order_as_cloudevents(
    connection: Connection, writing: Any, relaying: Relaying, device: Any
) -> None:
    heard = await device.subscribe("ganglion.event.>")
    await device.flush()
    async with relaying(connection, writing) as relay:
        await writing.facts(3)
        await until(relay, 3)
    messages = [await heard.next_msg(1) for _ in range(3)]
    event = msgspec.json.decode(messages[0].data)
    assert messages[0].subject == "ganglion.event.default.edge.cold-chain.workflow.started"
    assert messages[0].headers["Nats-Msg-Id"] == event["id"] == "edge/e1/1"
    assert [msgspec.json.decode(message.data)["sequence"] for message in messages] == ["1", "2", "3"]


async def test_without_nats_facts_wait_and_then_arrive_gap_free(
    tmp_path: Path, settings: Callable[..., Settings], connected: Any, writing: Any, relaying: Relaying
) -> None:
    async with EmbeddedServer.open(settings(tmp_path)) as server:
        listen = server.url.removeprefix("nats://")
    async with connected(server) as connection, relaying(connection, writing) as relay:
        for _ in range(10):
            await writing.facts(500)
        assert relay.sent_seq == 0
        assert not await relay.drain(1)
        async with EmbeddedServer.open(settings(tmp_path, listen=listen)):
            await until(relay, 5000)
            messages = await stored(await connection.link())
    assert messages == [(f"edge/e1/{seq}", seq) for seq in range(1, 5001)]


async def test_the_cursor_is_kept(connection: Connection, writing: Any, relaying: Relaying) -> None:
    async with relaying(connection, writing) as relay:
        await writing.facts(10)
        await until(relay, 10)
        async with asyncio.timeout(5):
            while (await writing.outbox.cursor("local")).seq < 10:
                pass
    async with relaying(connection, writing) as relay:
        await writing.facts(1)
        await until(relay, 11)
    assert len(await stored(await connection.link())) == 11


async def test_a_forgotten_cursor_sends_nothing_twice(connection: Connection, writing: Any, relaying: Relaying) -> None:
    async with relaying(connection, writing) as relay:
        await writing.facts(10)
        await until(relay, 10)
    await writing.store.submit(lambda tx: tx.execute("DELETE FROM cursors"))
    async with relaying(connection, writing) as relay:
        await writing.facts(1)
        await until(relay, 11)
    assert len(await stored(await connection.link())) == 11


async def test_order_holds_while_the_server_is_killed_again_and_again(
    server: EmbeddedServer, connection: Connection, writing: Any, relaying: Relaying
) -> None:
    async with relaying(connection, writing) as relay:
        for _ in range(4):
            link = await connection.link()
            for _ in range(5):
                await writing.facts(200)
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)
            await link.lost.wait()
        await writing.facts(1)
        await until(relay, 4001)
        once_in_order(await stored(await connection.link()), 4001)


async def test_a_stream_that_went_backwards_gets_the_rest_again(
    tmp_path: Path, settings: Callable[..., Settings], connected: Any, writing: Any, relaying: Relaying, log: Any
) -> None:
    store, copy = tmp_path / "nats" / "jetstream", tmp_path / "copy"

    async def send(upto: int) -> list[tuple[str, int]]:
        async with (
            EmbeddedServer.open(settings(tmp_path)) as server,
            connected(server) as connection,
            relaying(connection, writing) as relay,
        ):
            await writing.facts(5)
            await until(relay, upto)
            return await stored(await connection.link())

    await send(5)
    shutil.copytree(store, copy)
    assert len(await send(10)) == 10
    shutil.rmtree(store)
    copy.rename(store)
    assert [seq for _, seq in await send(15)] == list(range(1, 16))
    await log.wait_for("holds facts up to 5, though 10 were acknowledged")
    shutil.rmtree(store)
    assert [seq for _, seq in await send(20)] == list(range(1, 21))
    await log.wait_for("holds facts up to 0, though 15 were acknowledged")


async def test_a_stream_made_anew_while_connected_gets_everything_again(
    connection: Connection, writing: Any, relaying: Relaying
) -> None:
    async with relaying(connection, writing) as relay:
        await writing.facts(5)
        await until(relay, 5)
        link = await connection.link()
        await link.js.delete_stream("GANGLION_EVENTS")
        await writing.facts(1)
        await until(relay, 6)
        assert [seq for _, seq in await stored(link)] == [1, 2, 3, 4, 5, 6]


async def test_a_refused_fact_is_followed_by_none_and_sent_again(
    connection: Connection, writing: Any, relaying: Relaying, log: Any
) -> None:
    link = await connection.link()
    async with relaying(connection, writing) as relay:
        await writing.facts(1)
        await until(relay, 1)
        config = (await link.js.stream_info("GANGLION_EVENTS")).config
        await link.js.update_stream(config.evolve(max_msg_size=10))
        await writing.facts(100)
        await log.wait_for("did not take fact 2 (message size exceeds maximum allowed)")
        await link.js.update_stream(config.evolve(max_msg_size=-1))
        await until(relay, 101)
    assert [seq for _, seq in await stored(link)] == list(range(1, 102))


async def test_one_answer_confirms_a_batch(connection: Connection, writing: Any, relaying: Relaying) -> None:
    link = await connection.link()
    async with relaying(connection, writing) as relay:
        await writing.facts(1)
        await until(relay, 1)
        before = link.nc.stats["in_msgs"]
        await writing.facts(500)
        await until(relay, 501)
        assert link.nc.stats["in_msgs"] - before < 50
    assert [seq for _, seq in await stored(link)] == list(range(1, 502))


async def test_a_drain_ends_when_all_is_sent(connection: Connection, writing: Any, relaying: Relaying) -> None:
    async with relaying(connection, writing) as relay:
        await connection.link()
        await writing.facts(1000)
        await writing.publications(("a", b"1"))
        assert await relay.drain(10)
        assert relay.sent_seq == 1001
        assert not await writing.outbox.publications()
