"""The way to the hub with real servers: an embedded one, its leaf link, and a plain nats-server behind it."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nats.errors
import pytest

from mesh.connection import Connection
from mesh.jetstream import stream_info
from mesh.leaf import LeafLink
from mesh.server import EmbeddedServer, Settings
from mesh.server import Hub as Remote
from mesh.streams import EVENTS, Limits, ensure_events
from tests.hub import Hub

pytestmark = pytest.mark.nats
SOON = 0.05
"""Seconds between two probes."""


@asynccontextmanager
async def leaf_of(
    hub: Hub, settings: Callable[..., Settings], data_dir: Path, name: str = "edge", **changes: Any
) -> AsyncIterator[tuple[EmbeddedServer, Connection, LeafLink]]:
    """An embedded server with a leaf link to the hub, and the connection beyond it."""
    remote = Remote(url=hub.leaf_url, domain=hub.domain, **changes)
    async with (
        EmbeddedServer.open(settings(data_dir, name=name, hub=remote)) as server,
        LeafLink.open(server, remote, seconds=SOON) as link,
        asyncio.TaskGroup() as tasks,
    ):
        beyond = Connection([server.url], credentials=server.uplink, name="beyond", beyond=link)
        running = tasks.create_task(beyond.run())
        try:
            yield server, beyond, link
        finally:
            running.cancel()


async def until_another(connection: Connection, number: int) -> None:
    async with asyncio.timeout(15):
        while (await connection.link()).number <= number:
            await connection.link_nowait().lost.wait()  # type: ignore[union-attr]


async def test_what_is_published_beyond_the_link_is_stored_at_the_hub_alone(
    hub: Hub, settings: Callable[..., Settings], tmp_path: Path, connected: Callable[..., Any]
) -> None:
    async with leaf_of(hub, settings, tmp_path / "edge") as (server, beyond, _), connected(server) as own:
        there, here = await beyond.link(), await own.link()
        await ensure_events(here.nc, Limits())
        await ensure_events(there.nc, Limits())
        answer = await there.nc.request("ganglion.event.default.edge.x", b"1")
        assert json.loads(answer.data)["domain"] == "hub"
        answer = await here.nc.request("ganglion.event.default.edge.x", b"1")
        assert json.loads(answer.data)["domain"] == "edge"
        at_hub, at_edge = await stream_info(there.nc, EVENTS), await stream_info(here.nc, EVENTS)
        assert at_hub is not None
        assert at_edge is not None
        assert (at_hub.state.messages, at_edge.state.messages) == (1, 1)


async def test_local_traffic_stays_local_but_for_what_is_shared(
    hub: Hub, settings: Callable[..., Settings], tmp_path: Path, client: Callable[..., Any]
) -> None:
    async with (
        leaf_of(hub, settings, tmp_path / "edge", share=("orders.>",)) as (server, beyond, _),
        hub.client() as far,
        client(server) as device,
    ):
        await beyond.link()
        heard = await far.subscribe(">")
        await far.flush()
        await asyncio.sleep(SOON)  # the interest travels over the link
        await device.publish("sensors.a", b"local")
        await device.publish("orders.a", b"shared")
        async with asyncio.timeout(5):
            while (message := await heard.next_msg(5)).subject.startswith("$"):
                pass
        assert (message.subject, message.data) == ("orders.a", b"shared")


async def test_a_device_can_reach_neither_domain_of_jetstream(
    hub: Hub, settings: Callable[..., Settings], tmp_path: Path, client: Callable[..., Any]
) -> None:
    async with (
        leaf_of(hub, settings, tmp_path / "edge") as (server, beyond, _),
        client(server) as device,
    ):
        await beyond.link()
        for api in ("$JS.hub.API", "$JS.edge.API", "$JS.API"):
            with pytest.raises((nats.errors.TimeoutError, nats.errors.NoRespondersError)):
                await device.request(f"{api}.INFO", b"", timeout=0.2)


async def test_without_a_hub_there_is_no_link_and_with_it_there_is(
    hub: Hub, settings: Callable[..., Settings], tmp_path: Path
) -> None:
    async with leaf_of(hub, settings, tmp_path / "edge") as (_, beyond, _link):
        first = await beyond.link()
        hub.kill()
        async with asyncio.timeout(10):
            await first.lost.wait()
        assert beyond.link_nowait() is None
        await hub.start()
        await until_another(beyond, first.number)


async def test_a_hub_that_was_restarted_is_a_new_link(
    hub: Hub, settings: Callable[..., Settings], tmp_path: Path
) -> None:
    """It may have come back with an older copy of its store: who works there compares again."""
    async with leaf_of(hub, settings, tmp_path / "edge") as (_, beyond, _link):
        first = await beyond.link()
        await hub.restart()
        await until_another(beyond, first.number)
        assert first.lost.is_set()


async def test_a_silent_link_is_cut_and_made_anew(
    hub: Hub, settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh.leaf.leaf_link.ANSWER_SECONDS", 0.2)
    async with leaf_of(hub, settings, tmp_path / "edge") as (_, beyond, link):
        first = await beyond.link()
        os.kill(hub.pid, signal.SIGSTOP)  # the sockets stay open, and nobody answers
        try:
            async with asyncio.timeout(10):
                await first.lost.wait()
        finally:
            os.kill(hub.pid, signal.SIGCONT)
        assert link.cuts >= 1
        await until_another(beyond, first.number)
