"""From the stream into the file: nothing lost, nothing twice, whatever happens to the stream."""

import asyncio
import random
import shutil

import pytest

from engine.fleet.query import EventQuery
from engine.fleet.store import FleetStore
from engine.store import StoreFull
from mesh.jetstream import Success, ask, drop_consumer
from mesh.recorder import reader
from mesh.server import EmbeddedServer
from mesh.streams import EVENTS, Limits, ensure_events

pytestmark = pytest.mark.nats


async def publish(link, *facts: tuple[str, bytes]) -> None:
    for subject, body in facts:
        await link.js.publish(subject, body)


async def test_facts_of_all_agents_are_recorded_once(link, connection, fleet, recording, wire):
    await ensure_events(link.nc, Limits())
    await publish(link, *[wire(agent, seq) for seq in range(1, 51) for agent in ("pi-1", "pi-2")])
    async with recording(connection) as recorder:
        await fleet.until("pi-1", 50)
        await publish(link, wire("pi-1", 51), wire("pi-1", 51))

        assert await fleet.until("pi-1", 51) == list(range(1, 52))
        assert await fleet.until("pi-2", 50) == list(range(1, 51))
    assert recorder.reader.counters["recorded"] == 101


async def test_a_recorder_that_comes_back_reads_on_where_it_was(link, connection, fleet, recording, wire):
    await ensure_events(link.nc, Limits())
    async with recording(connection):
        await publish(link, wire("pi-1", 1), wire("pi-1", 2))
        await fleet.until("pi-1", 2)
    await publish(link, wire("pi-1", 3))
    async with recording(connection) as again:
        assert await fleet.until("pi-1", 3) == [1, 2, 3]
    assert again.reader.counters["duplicates"] <= 2


async def test_other_tenants_are_not_recorded(link, connection, fleet, recording, wire):
    await ensure_events(link.nc, Limits())
    async with recording(connection):
        await publish(link, wire("pi-1", 1, tenant="other"), wire("pi-2", 1))
        await fleet.until("pi-2", 1)

    assert await fleet.numbers("pi-1") == []


async def test_reordered_and_repeated_facts_leave_no_gap(link, connection, fleet, recording, wire):
    await ensure_events(link.nc, Limits())
    order = [*range(1, 301), *range(100, 200)]
    random.Random(4).shuffle(order)
    async with recording(connection):
        await publish(link, *[wire("pi-1", seq) for seq in order])
        found = await fleet.until("pi-1", 300)

    assert sorted(found) == list(range(1, 301))
    assert await fleet.store.gaps() == []


async def test_what_is_not_a_fact_is_counted_and_told_once_per_agent(link, connection, fleet, recording, wire, log):
    await ensure_events(link.nc, Limits())
    async with recording(connection) as recorder:
        await publish(link, ("ganglion.event.default.pi-9.x.y", b"{"), ("ganglion.event.default.pi-9.x.y", b"hello"))
        await publish(link, ("ganglion.event.default.pi-8", b"{}"))
        subject, body = wire("pi-1", 1)
        await publish(link, (subject.replace("pi-1", "pi-2"), body))
        await publish(link, (subject, body))
        await fleet.until("pi-1", 1)

    assert recorder.reader.counters["malformed"] == 4
    assert log.text.count("something that is not a fact came from the agent 'pi-9'") == 1
    assert "does not belong here" in log.text
    assert await fleet.numbers("pi-2") == []


async def test_two_agents_under_one_identity_are_told(link, connection, fleet, recording, wire, log):
    await ensure_events(link.nc, Limits())
    async with recording(connection) as recorder:
        await publish(link, wire("pi-1", 1), wire("pi-1", 1, data={"b": 2}), wire("pi-1", 2))
        await fleet.until("pi-1", 2)
        await log.wait_for("two agents share one identity")

    assert recorder.reader.counters["conflicts"] == 1
    [one, _] = await fleet.store.events(EventQuery())
    assert one.event.data == b'{"a":1}'


async def test_a_stream_made_anew_is_read_from_its_beginning(link, connection, fleet, recording, wire):
    await ensure_events(link.nc, Limits())
    async with recording(connection):
        await publish(link, *[wire("pi-1", seq) for seq in range(1, 11)])
        await fleet.until("pi-1", 10)
        await ask(link.nc, f"STREAM.DELETE.{EVENTS}", Success)
        await ensure_events(link.nc, Limits())
        await publish(link, *[wire("pi-1", seq) for seq in range(5, 16)])

        assert await fleet.until("pi-1", 15) == list(range(1, 16))


async def test_a_durable_that_vanished_is_made_again(link, connection, fleet, recording, wire):
    await ensure_events(link.nc, Limits())
    async with recording(connection) as recorder:
        await publish(link, wire("pi-1", 1))
        await fleet.until("pi-1", 1)
        await drop_consumer(link.nc, EVENTS, recorder.reader.consumer)
        await publish(link, wire("pi-1", 2))

        assert await fleet.until("pi-1", 2) == [1, 2]


async def test_a_file_that_is_new_gets_all_that_the_stream_has(
    link, connection, fleet, recording, wire, tmp_path, clock
):
    await ensure_events(link.nc, Limits())
    await publish(link, *[wire("pi-1", seq) for seq in range(1, 11)])
    async with recording(connection):
        await fleet.until("pi-1", 10)
    async with FleetStore.open(tmp_path / "another.db", clock=clock) as store:
        other = type(fleet)(store)
        async with recording(connection, fleet=other):
            assert await other.until("pi-1", 10) == list(range(1, 11))


async def test_a_stream_rolled_back_to_an_older_copy_is_read_without_loss(
    tmp_path, settings, connected, fleet, recording, wire
):
    place = tmp_path / "srv"
    async with EmbeddedServer.open(settings(place)) as server, connected(server) as connection:
        link = await connection.link()
        await ensure_events(link.nc, Limits())
        async with recording(connection):
            await publish(link, *[wire("pi-1", seq) for seq in range(1, 11)])
            await fleet.until("pi-1", 10)
    [store] = [path for path in place.rglob("jetstream") if path.is_dir()][:1]
    shutil.copytree(store, tmp_path / "copy")
    async with EmbeddedServer.open(settings(place)) as server, connected(server) as connection:
        link = await connection.link()
        async with recording(connection):
            await publish(link, *[wire("pi-1", seq) for seq in range(11, 21)])
            await fleet.until("pi-1", 20)
    shutil.rmtree(store)
    shutil.copytree(tmp_path / "copy", store)
    async with EmbeddedServer.open(settings(place)) as server, connected(server) as connection:
        link = await connection.link()
        assert (await ensure_events(link.nc, Limits())).state.last_seq == 10
        # The agent notices, and publishes again what the stream has lost, and then more.
        await publish(link, *[wire("pi-1", seq) for seq in range(11, 26)])
        async with recording(connection):
            assert await fleet.until("pi-1", 25) == list(range(1, 26))


async def test_what_a_killed_recorder_had_in_hand_comes_again_at_once(link, connection, fleet, recording, wire):
    """Its durable holds them back for the ack wait, which is longer than this test."""
    await ensure_events(link.nc, Limits())
    await publish(link, *[wire("pi-1", seq) for seq in range(1, 31)])
    async with recording(connection) as recorder:
        await fleet.until("pi-1", 30)
    await publish(link, *[wire("pi-1", seq) for seq in range(31, 41)])
    inbox = link.nc.new_inbox()
    taken = await link.nc.subscribe(inbox)
    await link.nc.publish(f"{link.nc.api}.CONSUMER.MSG.NEXT.{EVENTS}.{recorder.reader.consumer}", b"5", reply=inbox)
    for _ in range(5):
        await taken.next_msg(5)  # as if fetched, and never acknowledged

    async with recording(connection):
        assert await fleet.until("pi-1", 40) == list(range(1, 41))


async def test_a_full_disk_is_waited_out_with_nothing_acknowledged(
    link, connection, fleet, recording, wire, log, monkeypatch
):
    await ensure_events(link.nc, Limits())
    monkeypatch.setattr(reader, "ROOM_SECONDS", 0.01)
    record, room = FleetStore.record, asyncio.Event()

    async def full(store, events):
        if not room.is_set():
            raise StoreFull
        return await record(store, events)

    monkeypatch.setattr(FleetStore, "record", full)
    async with recording(connection) as recorder:
        await publish(link, wire("pi-1", 1))
        await log.wait_for("the fleet's facts wait in their stream")
        await publish(link, wire("pi-1", 2))
        info = await reader._consumer(link.nc, recorder.reader.consumer)
        assert info is not None
        assert info.ack_floor.stream_seq == 0
        assert await fleet.numbers("pi-1") == []
        room.set()

        assert await fleet.until("pi-1", 2) == [1, 2]


async def test_a_batch_is_bounded_in_bytes(link, connection, fleet, recording, wire, monkeypatch):
    monkeypatch.setattr(reader, "MAX_BYTES", 5 * 2**20)
    await ensure_events(link.nc, Limits())
    await publish(link, *[wire("pi-1", seq, data={"text": "x" * 60_000}) for seq in range(1, 201)])
    sizes = []
    fleet.store.listeners.append(lambda new: sizes.append(len(new)))
    async with recording(connection):
        found = await fleet.until("pi-1", 200)

    assert sorted(found) == list(range(1, 201))
    assert len(await fleet.store.events(EventQuery(limit=1000))) == 200
