import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from nats.aio.client import Client

from engine.triggers.message import Fate
from engine.triggers.routes import External
from mesh.connection import Connection, Link
from mesh.errors import StreamConflict
from mesh.intake import Pump
from mesh.jetstream import stream_info
from mesh.server import EmbeddedServer

pytestmark = pytest.mark.nats

Pumping = Callable[..., AbstractAsyncContextManager[Pump]]


async def publish(client: Client, subject: str, *bodies: bytes) -> None:
    """As devices do that want to know: each acknowledged."""
    js = client.jetstream()
    for acknowledged in [await js.publish_async(subject, body) for body in bodies]:
        await acknowledged


async def left_in(link: Link, stream: str, messages: int) -> None:
    """Wait until a stream holds so many messages, and none is waiting for its acknowledgement."""
    async with asyncio.timeout(10):
        while True:
            state = (await link.js.stream_info(stream)).state
            consumers = await link.js.consumers_info(stream)
            if state.messages == messages and not any(consumer.num_ack_pending for consumer in consumers):
                return


async def test_what_is_published_is_taken_in_and_leaves_the_stream(
    pump: Pump, inbox: Any, link: Link, device: Client
) -> None:
    await pump.set_subjects(intake=["sensors.*.temperature"])
    await publish(device, "sensors.f1.temperature", b"1", b"2", b"3")
    messages = await inbox.wait_for(3)
    assert [message.body for message in messages] == [b"1", b"2", b"3"]
    info = await stream_info(link.nc, "GANGLION_INTAKE")
    assert info is not None
    first = messages[0]
    assert (first.subject, first.stream, first.sequence, first.stream_created, first.workflow) == (
        "sensors.f1.temperature", "GANGLION_INTAKE", 1, info.created, "",
    )  # fmt: skip
    assert first.received_at > 1_700_000_000_000_000
    await left_in(link, "GANGLION_INTAKE", 0)


async def test_headers_and_the_triggers_subject_come_along(pump: Pump, inbox: Any, device: Client) -> None:
    ack = await _trigger(device, {"Nats-Msg-Id": "7", "Ganglion-Hops": "2"})
    [message] = await inbox.wait_for(1)
    assert (message.subject, message.stream) == ("ganglion.trigger.default.any.cold-chain", "GANGLION_TRIGGERS")
    assert message.headers == {"Nats-Msg-Id": "7", "Ganglion-Hops": "2"}
    assert ack.seq == message.sequence


async def _trigger(device: Client, headers: dict[str, str]) -> Any:
    js = device.jetstream()
    while True:
        try:
            return await js.publish("ganglion.trigger.default.any.cold-chain", b"{}", headers=headers)
        except Exception as error:
            if "NoStream" not in type(error).__name__:
                raise


async def test_messages_of_before_the_start_are_taken_in(
    connection: Connection, inbox: Any, pumping: Pumping, device: Client
) -> None:
    await connection.link()
    pump = Pump(connection, inbox, inbox, agent="edge")
    await pump.set_subjects(intake=["a"])
    await publish(device, "a", *(b"%d" % number for number in range(1000)))
    async with pumping(connection, inbox) as pump:
        await pump.set_subjects(intake=["a"])
        messages = await inbox.wait_for(1000)
    assert [int(message.body) for message in messages] == list(range(1000))


async def test_no_more_is_fetched_than_there_are_slots(pump: Pump, inbox: Any, link: Link, device: Client) -> None:
    inbox.slots = 0
    await pump.set_subjects(intake=["a"])
    await publish(device, "a", *(b"%d" % number for number in range(20)))
    assert inbox.messages == []
    assert all(consumer.num_ack_pending == 0 for consumer in await link.js.consumers_info("GANGLION_INTAKE"))
    inbox.slots = 5
    inbox.freed.set()
    await inbox.wait_for(20)
    assert inbox.largest <= 5


async def test_what_had_come_when_the_slots_went_is_taken_in_at_once(
    pump: Pump, inbox: Any, link: Link, device: Client
) -> None:
    """Nobody else could take it, and all that was asked for has come."""
    commit, began = asyncio.Event(), asyncio.Event()
    accept = inbox.accept

    async def slow(messages: Any) -> Any:
        began.set()
        await commit.wait()
        return await accept(messages)

    inbox.accept = slow
    inbox.slots = 10
    await pump.set_subjects(intake=["a"])
    await publish(device, "a", b"0")
    await began.wait()
    await publish(device, "a", *(b"%d" % number for number in range(1, 10)))
    async with asyncio.timeout(10):
        while (await link.js.consumers_info("GANGLION_INTAKE"))[0].num_ack_pending != 10:
            pass
    inbox.slots = 0
    commit.set()
    async with asyncio.timeout(10):  # the server would give them again after 30 s
        assert [message.body for message in await inbox.wait_for(10)] == [b"%d" % number for number in range(10)]


async def test_one_confirmed_acknowledgement_confirms_its_batch(
    connection: Connection, pumping: Pumping, inbox: Any, link: Link, device: Client
) -> None:
    async with pumping(connection, inbox) as pump:
        await pump.set_subjects(intake=["a"])
        await publish(device, "a", *(b"%d" % number for number in range(500)))
        await inbox.wait_for(500)
        async with asyncio.timeout(10):
            while pump.counters["acknowledged"] < 500:
                await link.nc.flush()
        assert (await link.js.stream_info("GANGLION_INTAKE")).state.messages == 0


async def test_a_dead_message_is_terminated_and_an_unwanted_one_acknowledged(
    pump: Pump, inbox: Any, link: Link, device: Client
) -> None:
    await pump.set_subjects(intake=["a"])
    for fate in (Fate.DEAD, Fate.UNMATCHED, Fate.DUPLICATE):
        inbox.fate = fate
        await publish(device, "a", b"x", b"y")
        await inbox.wait_for(2)
        await left_in(link, "GANGLION_INTAKE", 0)
        inbox.messages.clear()


async def test_nothing_is_acknowledged_while_the_disk_is_full(
    pump: Pump, inbox: Any, link: Link, device: Client, monkeypatch: pytest.MonkeyPatch, log: Any
) -> None:
    monkeypatch.setattr("mesh.intake.sink.ROOM_SECONDS", 0.01)
    inbox.full = 1_000_000
    await pump.set_subjects(intake=["a"])
    await publish(device, "a", b"1", b"2")
    await log.wait_for("the disk is full")
    assert (await link.js.stream_info("GANGLION_INTAKE")).state.messages == 2
    inbox.full = 0
    await inbox.wait_for(2)
    await log.wait_for("there is room on the disk again")
    await left_in(link, "GANGLION_INTAKE", 0)


async def test_the_intake_follows_a_killed_server(
    server: EmbeddedServer, pump: Pump, inbox: Any, connection: Connection, client: Any
) -> None:
    await pump.set_subjects(intake=["a"])
    for number in range(3):
        link = await connection.link()
        async with client(server) as device:
            await publish(device, "a", b"%d" % number)
        await inbox.wait_for_body(b"%d" % number)  # what was not acknowledged before the kill comes again
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        await link.lost.wait()


async def test_a_consumer_that_was_deleted_is_made_again(pump: Pump, inbox: Any, link: Link, device: Client) -> None:
    await pump.set_subjects(intake=["a"])
    await publish(device, "a", b"1")
    await inbox.wait_for(1)
    await left_in(link, "GANGLION_INTAKE", 0)
    await link.js.delete_consumer("GANGLION_INTAKE", "agent")
    await publish(device, "a", b"2")
    assert [message.body for message in await inbox.wait_for(2)] == [b"1", b"2"]


async def test_what_a_killed_agent_had_fetched_comes_again_at_once(
    connection: Connection, inbox: Any, pumping: Pumping, link: Link, device: Client
) -> None:
    async with pumping(connection, inbox) as pump:
        await pump.set_subjects(intake=["a"])
        await _trigger(device, {"Nats-Msg-Id": "1"})
        await inbox.wait_for(1)
    await link.nc.flush()  # the server knows that nobody fetches any more
    await publish(device, "a", b"1", b"2")
    await _trigger(device, {"Nats-Msg-Id": "2"})
    for stream in ("GANGLION_INTAKE", "GANGLION_TRIGGERS"):  # in the agent's place, and never acknowledged
        await (await link.js.pull_subscribe_bind("agent", stream=stream)).fetch(2 if "INTAKE" in stream else 1)
    async with asyncio.timeout(10), pumping(connection, inbox) as pump:  # the server would wait for 30 s
        await pump.set_subjects(intake=["a"])
        assert len(await inbox.wait_for(4)) == 4


async def test_a_silent_server_is_bound_again(
    connection: Connection, inbox: Any, pumping: Pumping, link: Link, device: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh.intake.pull.HEARTBEAT_SECONDS", 0.05)  # ours; the server's stay at 5 s: all seem missed
    async with pumping(connection, inbox) as pump:
        await pump.set_subjects(intake=["a"])
        for number in range(5):
            await publish(device, "a", b"%d" % number)
            await inbox.wait_for(number + 1)


async def test_undeployed_subjects_are_no_longer_captured(pump: Pump, inbox: Any, link: Link, device: Client) -> None:
    await pump.set_subjects(intake=["a", "b"])
    await pump.set_subjects(intake=["b"])
    await publish(device, "b", b"1")
    with pytest.raises(Exception, match="no response from stream"):
        await device.jetstream().publish("a", b"2")
    await inbox.wait_for(1)
    await left_in(link, "GANGLION_INTAKE", 0)
    await pump.set_subjects()
    with pytest.raises(Exception, match="no response from stream"):
        await device.jetstream().publish("b", b"2")
    await pump.set_subjects(intake=["c"])
    await publish(device, "c", b"3")
    assert [message.body for message in await inbox.wait_for(2)] == [b"1", b"3"]


async def test_a_conflict_changes_nothing(pump: Pump, inbox: Any, link: Link, device: Client) -> None:
    await link.js.add_stream(name="DOORS", subjects=["doors.>"])
    await pump.set_subjects(intake=["a"])
    with pytest.raises(StreamConflict, match="kept by the stream DOORS"):
        await pump.set_subjects(intake=["a", "doors.*"])
    await publish(device, "a", b"1")
    await inbox.wait_for(1)


async def test_an_existing_stream_is_taken_from_its_newest_on_and_keeps_its_messages(
    pump: Pump, inbox: Any, link: Link, device: Client
) -> None:
    await link.js.add_stream(name="DOORS", subjects=["doors.>"])
    await publish(device, "doors.1", b"before")
    await pump.set_subjects(externals=[External("guard", "DOORS", ("doors.1", "doors.2"))])
    await publish(device, "doors.1", b"1")
    await publish(device, "doors.3", b"not wanted")
    await publish(device, "doors.2", b"2")
    messages = await inbox.wait_for(2)
    assert [(message.body, message.stream, message.workflow) for message in messages] == [
        (b"1", "DOORS", "guard"), (b"2", "DOORS", "guard"),
    ]  # fmt: skip
    await left_in(link, "DOORS", 4)


@pytest.mark.usefixtures("short_ack_wait")
async def test_a_durable_of_an_existing_stream_outlives_undeploy(
    pump: Pump, inbox: Any, link: Link, device: Client
) -> None:
    wanted = External("guard", "DOORS", ("doors.*",))
    await link.js.add_stream(name="DOORS", subjects=["doors.>"])
    await pump.set_subjects(externals=[wanted])
    await pump.set_subjects()
    await publish(device, "doors.1", b"while away")
    await pump.set_subjects(externals=[wanted])
    assert [message.body for message in await inbox.wait_for(1)] == [b"while away"]


async def test_a_stream_that_is_not_there_is_refused(pump: Pump, link: Link) -> None:
    with pytest.raises(StreamConflict, match="guard takes from the stream DOORS, which is not there"):
        await pump.set_subjects(externals=[External("guard", "DOORS", ("doors.*",))])


async def test_a_plain_subscription_takes_in_and_goes_with_undeploy(pump: Pump, inbox: Any, device: Client) -> None:
    await pump.set_subjects(core=["ask.*"])
    await device.publish("ask.me", b"1", headers={"A": "b"})
    [message] = await inbox.wait_for(1)
    assert (message.subject, message.body, message.headers, message.stream) == ("ask.me", b"1", {"A": "b"}, "")
    await pump.set_subjects(core=["other"])
    await device.publish("ask.me", b"2")
    await device.publish("other", b"3")
    assert [message.body for message in await inbox.wait_for(2)] == [b"1", b"3"]


async def test_on_a_shared_server_a_subject_of_its_own_is_refused(connection: Connection, inbox: Any) -> None:
    pump = Pump(connection, inbox, inbox, agent="north", own_server=False)
    with pytest.raises(StreamConflict, match="on a shared server a trigger takes from an existing stream"):
        await pump.set_subjects(intake=["a"])


async def test_on_a_shared_server_each_agent_takes_its_own_triggers(
    connection: Connection, inbox: Any, pumping: Pumping, link: Link, device: Client
) -> None:
    async with pumping(connection, inbox, own_server=False) as pump:
        await pump.set_subjects(workflows=["cold-chain"])
        await _trigger(device, {})
        await publish(device, "ganglion.trigger.default.other.x", b"for another")
        await publish(device, "ganglion.trigger.default.edge.x", b"for this one")
        messages = await inbox.wait_for(2)
        await left_in(link, "GANGLION_TRIGGERS", 1)
    assert {message.subject for message in messages} == {
        "ganglion.trigger.default.any.cold-chain", "ganglion.trigger.default.edge.x",
    }  # fmt: skip


async def test_a_subject_that_is_not_text_does_not_stop_the_intake(
    server: EmbeddedServer, pump: Pump, inbox: Any, link: Link, device: Client
) -> None:
    await pump.set_subjects(intake=["a.*"], core=["b.*"])
    host, _, port = server.url.removeprefix("nats://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b'CONNECT {"verbose":false}\r\nPUB a.\xff 1\r\nx\r\nPUB b.\xff 1\r\nx\r\nPING\r\n')
    async with asyncio.timeout(5):
        while await reader.readline() != b"PONG\r\n":
            pass
    writer.close()
    await writer.wait_closed()
    await publish(device, "a.b", b"after")
    messages = await inbox.wait_for(3)
    await left_in(link, "GANGLION_INTAKE", 0)
    assert {message.subject for message in messages} == {"a.\udcff", "b.\udcff", "a.b"}
    assert link.nc.is_connected
