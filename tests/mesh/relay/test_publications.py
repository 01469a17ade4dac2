import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from nats.aio.client import Client

from mesh.connection import Connection, Link
from mesh.relay import Relay
from mesh.server import EmbeddedServer

pytestmark = pytest.mark.nats
Relaying = Callable[..., AbstractAsyncContextManager[Relay]]


async def in_stream(link: Link, name: str) -> list[tuple[bytes, dict[str, str]]]:
    info = await link.js.stream_info(name)
    messages = [await link.js.get_msg(name, seq) for seq in range(info.state.first_seq, info.state.last_seq + 1)]
    return [(message.data or b"", message.headers or {}) for message in messages]


async def test_what_no_stream_captures_reaches_its_subscribers(
    connection: Connection, writing: Any, relaying: Relaying, device: Client
) -> None:
    heard = await device.subscribe("log.*")
    await device.flush()
    async with relaying(connection, writing):
        await writing.publications(("log.f1", b"1"), ("log.f2", b"2"), ("log.f1", b"3"), headers={"Ganglion-Hops": "1"})
        messages = [await heard.next_msg(5) for _ in range(3)]
        await writing.until_sent()
    assert [(message.subject, message.data, message.reply) for message in messages] == [
        ("log.f1", b"1", ""), ("log.f2", b"2", ""), ("log.f1", b"3", ""),
    ]  # fmt: skip
    assert messages[0].headers == {"Ganglion-Hops": "1", "Nats-Msg-Id": "x/tell/1"}


async def test_what_a_stream_captures_is_stored_once_in_order(
    connection: Connection, link: Link, writing: Any, relaying: Relaying
) -> None:
    await link.js.add_stream(name="LOG", subjects=["log.>"])
    async with relaying(connection, writing):
        await writing.publications(*(("log.f1", b"%d" % number) for number in range(1000)))
        await writing.until_sent()
    assert [int(body) for body, _ in await in_stream(link, "LOG")] == list(range(1000))


async def test_publications_wait_for_nats_and_survive_its_kills(
    server: EmbeddedServer, connection: Connection, writing: Any, relaying: Relaying
) -> None:
    link = await connection.link()
    await link.js.add_stream(name="LOG", subjects=["log.>"], duplicate_window=60)
    async with relaying(connection, writing):
        for number in range(3):
            await writing.publications(*(("log.f1", b"%d" % (100 * number + step)) for step in range(100)))
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)
            await link.lost.wait()
            link = await connection.link()
        await writing.until_sent()
        seen = dict.fromkeys(int(body) for body, _ in await in_stream(link, "LOG"))
    assert list(seen) == list(range(300))


async def test_what_can_never_be_sent_is_a_dead_letter_and_holds_up_nothing(
    connection: Connection, link: Link, writing: Any, relaying: Relaying, device: Client
) -> None:
    await link.js.add_stream(name="SMALL", subjects=["small"], max_msg_size=100)
    heard = await device.subscribe("ok")
    await device.flush()
    async with relaying(connection, writing):
        await writing.publications(
            ("", b""), ("a b", b""), ("a.*", b""), ("ganglion.event.default.edge.x", b"forged"), ("$JS.API.INFO", b""),
            ("big", b"x" * 5_000_000), ("small", b"x" * 200), ("ok", b"1"),
        )  # fmt: skip
        await writing.publications(("a", b""), headers={"X": "a\r\nb"})
        assert (await heard.next_msg(5)).data == b"1"
        await writing.until_sent()
    reasons = dict(await writing.dead_letters())
    assert reasons.keys() == {"", "a b", "a.*", "ganglion.event.default.edge.x", "$JS.API.INFO", "big", "small", "a"}
    assert "5000035 bytes are more than the 4194304" in reasons["big"]
    assert "no message of this size" in reasons["small"]
    assert "line end" in reasons["a"]


async def test_a_full_stream_holds_up_its_own_subject_only_and_keeps_its_order(
    connection: Connection, link: Link, writing: Any, relaying: Relaying, device: Client, monkeypatch: Any, log: Any
) -> None:
    monkeypatch.setattr("mesh.relay.publications.AGAIN_SECONDS", 0.02)
    await link.js.add_stream(name="FULL", subjects=["full"], max_msgs=1, discard="new")
    heard = await device.subscribe("ok")
    await device.flush()
    bodies: list[bytes] = []
    async with relaying(connection, writing):
        await writing.publications(*(("full", b"%d" % number) for number in range(5)), ("ok", b"1"))
        assert (await heard.next_msg(5)).data == b"1"
        await log.wait_for("a message to full waits: maximum messages exceeded")
        async with asyncio.timeout(10):
            while len(bodies) < 5:
                if stored := await in_stream(link, "FULL"):
                    bodies.append(stored[0][0])
                    await link.js.delete_msg("FULL", (await link.js.stream_info("FULL")).state.first_seq)
        await writing.until_sent()
    assert bodies == [b"0", b"1", b"2", b"3", b"4"]


async def test_a_stream_that_comes_or_goes_is_noticed(
    connection: Connection, link: Link, writing: Any, relaying: Relaying, monkeypatch: Any
) -> None:
    monkeypatch.setattr("mesh.relay.pipeline.ANSWER_SECONDS", 0.1)
    monkeypatch.setattr("mesh.relay.publications.AGAIN_SECONDS", 0.02)
    async with relaying(connection, writing):
        await writing.publications(("log", b"nobody"))
        await writing.until_sent()
        await link.js.add_stream(name="LOG", subjects=["log", "log2"])
        await writing.publications(("log", b"1"), ("log2", b"2"))
        await writing.until_sent()
        assert [body for body, _ in await in_stream(link, "LOG")] == [b"1", b"2"]
        await link.js.delete_stream("LOG")
        await writing.publications(("log2", b"3"))
        await writing.until_sent()
