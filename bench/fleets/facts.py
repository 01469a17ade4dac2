"""Facts out of an outbox into a stream, and out of the stream into a recorder's file; and both without any of it."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nats
from nats.js.api import AckPolicy, ConsumerConfig

from engine.clock import SystemClock
from engine.events import Event, Identity, Kind, cloudevent
from engine.fleet.event import Gap
from engine.fleet.store import FleetStore
from engine.store import Store
from engine.store.outbox import Outbox
from fleets.server import server
from mesh.connection import Connection
from mesh.credentials import Credentials
from mesh.presence.attendance import Change
from mesh.presence.members import Member
from mesh.recorder import Recorder
from mesh.relay import Relay
from mesh.streams import Limits, ensure_events

AGENTS = 10
BATCH = 500
DATA = {"attempt": 1, "duration_seconds": 0.000123}
NOW = time.time_ns() // 1000


def relayed(directory: Path, facts: int) -> float:
    """Facts a second through the relay: read from the store, published in order, acknowledged, the cursor moved."""
    with server(directory) as url:
        return asyncio.run(_relay(directory, url, facts))


def published(directory: Path, facts: int) -> float:
    """The same bytes through the library's own pipelined publisher."""
    with server(directory) as url:
        return asyncio.run(_publish(url, facts))


def recorded(directory: Path, facts: int) -> float:
    """Facts a second out of a stream into the recorder's file, each commit on the disk."""
    with server(directory) as url:
        return asyncio.run(_record(directory, url, facts))


def consumed(directory: Path, facts: int) -> float:
    """The same messages fetched and acknowledged with the library, and thrown away."""
    with server(directory) as url:
        return asyncio.run(_consume(url, facts))


def _facts(count: int) -> list[Event]:
    return [
        Event(
            kind=Kind.NODE_COMPLETED, time=NOW + seq, workflow="chain", version=1, execution=f"01m80bf1h8{seq:016d}",
            node="reading", data=DATA, seq=seq,
        )
        for seq in range(1, count + 1)
    ]  # fmt: skip


async def _relay(directory: Path, url: str, facts: int) -> float:
    async with Store.open(directory / "ganglion.db") as store, asyncio.TaskGroup() as tasks:
        for first in range(0, facts, BATCH):
            await store.submit(lambda tx, first=first: [tx.fact(fact) for fact in _facts(min(BATCH, facts - first))])
        connection = Connection([url], credentials=Credentials())
        running = [tasks.create_task(connection.run())]
        link = await connection.link()
        await ensure_events(link.nc, Limits())
        relay = Relay(connection, Outbox(store), Identity("edge", "default", "e1"))
        begin = time.perf_counter()
        running.append(tasks.create_task(relay.run()))
        while relay.sent_seq < facts:  # noqa: ASYNC110 - an event of its own would be work for the relay
            await asyncio.sleep(0.005)
        took = time.perf_counter() - begin
        for task in running:
            task.cancel()
    return facts / took


async def _publish(url: str, facts: int) -> float:
    client = await nats.connect(url)
    stream = client.jetstream(publish_async_max_pending=4000)
    await stream.add_stream(name="GANGLION_EVENTS", subjects=["ganglion.event.>"])
    identity = Identity("edge", "default", "e1")
    bodies = [cloudevent(fact, identity) for fact in _facts(facts)]
    begin = time.perf_counter()
    for body in bodies:
        await stream.publish_async("ganglion.event.default.edge.chain.node.completed", body, wait_stall=30)
    await stream.publish_async_completed()
    took = time.perf_counter() - begin
    await client.close()
    return facts / took


async def _fill(url: str, facts: int) -> None:
    """The facts of some agents, in the stream."""
    connection = Connection([url], credentials=Credentials())
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(connection.run())
        link = await connection.link()
        await ensure_events(link.nc, Limits())
        for number in range(AGENTS):
            identity = Identity(f"agent{number}", "default", "e1")
            subject = f"ganglion.event.default.agent{number}.chain.node.completed"
            await link.nc.publish_batch(
                (subject, "", {"Nats-Msg-Id": identity.event_id(fact.seq)}, cloudevent(fact, identity))
                for fact in _facts(facts // AGENTS)
            )
        while (await link.js.stream_info("GANGLION_EVENTS")).state.messages < facts:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
        running.cancel()


class _Nobody:
    def __init__(self) -> None:
        self.listeners: list[Callable[[Change], None]] = []

    async def snapshot(self) -> list[Member]:
        return []


async def _ignore(gap: Gap) -> None:
    raise AssertionError(f"nothing is missing, and yet {gap}")


async def _record(directory: Path, url: str, facts: int) -> float:
    await _fill(url, facts)
    async with FleetStore.open(directory / "fleet.db") as store, asyncio.TaskGroup() as tasks:
        connection = Connection([url], credentials=Credentials())
        recorder = Recorder(
            connection, store, tenant="default", agent="recorder", clock=SystemClock(), roster=_Nobody(), report=_ignore
        )
        running: list[asyncio.Task[Any]] = [tasks.create_task(connection.run())]
        await connection.link()
        begin = time.perf_counter()
        running.append(tasks.create_task(recorder.run()))
        while recorder.reader.counters["recorded"] < facts:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.005)
        took = time.perf_counter() - begin
        for task in running:
            task.cancel()
    return facts / took


async def _consume(url: str, facts: int) -> float:
    await _fill(url, facts)
    client = await nats.connect(url)
    stream = client.jetstream()
    config = ConsumerConfig(durable_name="bare", ack_policy=AckPolicy.EXPLICIT, max_ack_pending=8192)
    reader = await stream.pull_subscribe("ganglion.event.>", "bare", stream="GANGLION_EVENTS", config=config)
    seen = 0
    begin = time.perf_counter()
    while seen < facts:
        messages = await reader.fetch(BATCH)
        for message in messages:
            await message.ack()
        seen += len(messages)
    await client.flush()
    took = time.perf_counter() - begin
    await client.close()
    return facts / took
