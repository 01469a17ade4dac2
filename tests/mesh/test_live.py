import asyncio
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client

from engine.clock import SystemClock
from engine.events import Bus, Event, Identity, Kind
from mesh.connection import Connection
from mesh.live import LivePublisher

pytestmark = pytest.mark.nats
IDENTITY = Identity("edge", "default", "e1")


def started(node: str) -> Event:
    return Event(kind=Kind.NODE_STARTED, time=1, workflow="cold-chain", execution="x", node=node)


async def test_live_events_reach_a_listener_and_facts_do_not(connection: Connection, device: Client) -> None:
    bus = Bus()
    heard = await device.subscribe("ganglion.live.>")
    await device.flush()
    live = LivePublisher(bus, connection, IDENTITY, SystemClock())
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(live.run())
        await until(lambda: bus.live_wanted, connection)
        bus.emit([started("a"), Event(kind=Kind.NODE_COMPLETED, time=1), started("b")])
        messages = [await heard.next_msg(5) for _ in range(2)]
        running.cancel()
    assert messages[0].subject == "ganglion.live.default.edge.cold-chain.node.started"
    assert [msgspec.json.decode(message.data)["node"] for message in messages] == ["a", "b"]


async def test_without_a_listener_none_are_made_and_one_that_comes_is_noticed(
    connection: Connection, device: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh.live.PROBE_SECONDS", 0.05)
    bus = Bus()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(LivePublisher(bus, connection, IDENTITY, SystemClock()).run())
        await until(lambda: bus.live_wanted, connection)
        bus.emit([started("unheard")])
        await until(lambda: not bus.live_wanted, connection)
        heard = await device.subscribe("ganglion.live.>")
        await device.flush()
        await until(lambda: bus.live_wanted, connection)
        bus.emit([started("heard")])
        assert msgspec.json.decode((await heard.next_msg(5)).data)["node"] == "heard"
        running.cancel()


async def test_more_than_fits_is_dropped_and_counted(connection: Connection, device: Client) -> None:
    bus = Bus()
    await device.subscribe("ganglion.live.>", cb=_nothing)
    await device.flush()
    live = LivePublisher(bus, connection, IDENTITY, SystemClock())
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(live.run())
        await until(lambda: bus.live_wanted, connection)
        bus.emit(started(str(number)) for number in range(1500))
        await until(lambda: live.dropped == 500, connection)
        running.cancel()


async def test_more_than_may_be_published_is_not_made_until_there_is_room_again(
    connection: Connection, device: Client
) -> None:
    bus = Bus()
    heard = await device.subscribe("ganglion.live.>")
    await device.flush()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(LivePublisher(bus, connection, IDENTITY, SystemClock()).run())
        await until(lambda: bus.live_wanted, connection)
        bus.emit(started(str(number)) for number in range(1500))
        await until(lambda: not bus.live_wanted, connection)
        for _ in range(1000):
            await heard.next_msg(5)
        await until(lambda: bus.live_wanted, connection)
        bus.emit([started("again")])
        assert msgspec.json.decode((await heard.next_msg(5)).data)["node"] == "again"
        running.cancel()


async def _nothing(_: Any) -> None: ...


async def until(condition: Any, connection: Connection) -> None:
    async with asyncio.timeout(5):
        link = await connection.link()
        while not condition():
            await link.nc.flush()
