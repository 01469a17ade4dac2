import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nats.errors
import pytest

from mesh.address import shown
from mesh.client import ServiceClient
from mesh.connection import Connection, Link
from mesh.credentials import Credentials
from mesh.errors import InvalidAccess
from mesh.server import EmbeddedServer, Settings

pytestmark = pytest.mark.nats


def kill(server: EmbeddedServer) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)


async def test_a_lost_link_is_told_and_followed_by_a_new_one(server: EmbeddedServer, connection: Connection) -> None:
    for number in range(1, 4):
        link = await connection.link()
        assert (link.number, connection.is_connected) == (number, True)
        kill(server)
        await link.lost.wait()
        assert not connection.is_connected


async def test_it_connects_when_the_server_comes_later(
    tmp_path: Path, settings: Callable[..., Settings], log: Any
) -> None:
    async with EmbeddedServer.open(settings(tmp_path)) as before:
        listen, credentials = before.url.removeprefix("nats://"), before.credentials
    connection = Connection([f"nats://agent:secret@{listen}"], credentials=credentials)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(connection.run())
        await log.wait_for("can't be reached")
        assert connection.link_nowait() is None
        async with EmbeddedServer.open(settings(tmp_path, listen=listen)):
            link = await connection.link()
            assert link.nc.is_connected
            running.cancel()
    assert "secret" not in log.text


async def test_work_starts_again_on_each_link(server: EmbeddedServer, connection: Connection) -> None:
    seen: list[int] = []

    async def work(link: Link) -> None:
        seen.append(link.number)
        if link.number == 3:
            return
        kill(server)
        await asyncio.Event().wait()

    await connection.serve(work, name="work")
    assert seen == [1, 2, 3]


async def test_work_is_tried_again_when_the_server_does_not_answer(connection: Connection, log: Any) -> None:
    tries = 0

    async def work(link: Link) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise nats.errors.TimeoutError

    await connection.serve(work, name="asking")
    assert tries == 3
    assert "asking: nats: timeout; trying on" in log.text


async def test_a_bug_in_the_work_is_raised(connection: Connection) -> None:
    async def work(_: Link) -> None:
        raise KeyError("bug")

    with pytest.raises(KeyError):
        await connection.serve(work, name="work")


async def test_wrong_credentials_are_tried_on_and_not_shown(server: EmbeddedServer, log: Any) -> None:
    connection = Connection([server.url], credentials=Credentials(user="agent", password="not-the-one"))
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(connection.run())
        await log.wait_for("Authorization")
        running.cancel()
    assert "not-the-one" not in log.text


async def test_a_client_that_breaks_while_it_closes_is_replaced_too(
    server: EmbeddedServer, connection: Connection
) -> None:
    link = await connection.link()
    await link.nc.subscribe("x", cb=_nothing)

    async def publish() -> None:
        while True:
            await link.nc.publish("x", b"x" * 1000)

    publishing = asyncio.create_task(publish())
    kill(server)
    await link.lost.wait()
    assert (await connection.link()).number == 2
    publishing.cancel()
    await asyncio.wait({publishing})
    assert publishing.cancelled() or isinstance(publishing.exception(), nats.errors.Error | OSError)


async def _nothing(_: object) -> None: ...


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("nats://user:secret@host:4222", "nats://host:4222"),
        ("token@host", "nats://host"),
        ("tls://[::1]:4222", "tls://[::1]:4222"),
    ],
)
def test_urls_are_shown_without_secrets(url: str, safe: str) -> None:
    assert shown(url) == safe


def test_credentials_that_cannot_work_are_refused() -> None:
    with pytest.raises(InvalidAccess, match="has no password"):
        Credentials(user="agent").check()
    with pytest.raises(InvalidAccess, match="is not a file"):
        Credentials(creds="/nowhere/x.creds").check()


async def test_of_several_servers_one_that_is_there_is_taken(server: EmbeddedServer) -> None:
    nobody = "nats://127.0.0.1:1"
    connection = Connection([nobody, server.url, nobody], credentials=server.credentials)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(connection.run())
        async with asyncio.timeout(10):
            assert (await connection.link()).nc.is_connected
        running.cancel()
    async with ServiceClient.open(
        url=f"{nobody}, {server.url}", credentials=server.credentials, agent="edge"
    ) as client:
        assert client.line.nc.is_connected
