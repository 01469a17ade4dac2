"""Several agents on one server: who gets a message, and that nobody holds up the others."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from nats.aio.client import Client
from nats.js.api import ConsumerConfig, RetentionPolicy

from engine.definition.model import At, Deliver
from engine.triggers.message import Fate
from engine.triggers.routes import External, Plain
from mesh.connection import Connection, Link
from mesh.errors import StreamConflict
from mesh.intake import Pump
from mesh.server import EmbeddedServer

pytestmark = pytest.mark.nats

Pumping = Callable[..., AbstractAsyncContextManager[Pump]]
ONE = External("guard", "DOORS", ("doors.*",), At.OWN, Deliver.ONE)
ALL = External("guard", "DOORS", ("doors.*",), At.OWN, Deliver.ALL)


@pytest.fixture
async def other(server: EmbeddedServer, connected: Any) -> AsyncIterator[Connection]:
    """The connection of a second agent."""
    async with connected(server) as other:
        yield other


@pytest.fixture
def another_inbox(inbox: Any) -> Any:
    return type(inbox)()


@pytest.fixture
async def two(
    connection: Connection, other: Connection, inbox: Any, another_inbox: Any, pumping: Pumping
) -> AsyncIterator[tuple[Pump, Pump]]:
    """The pumps of two agents, edge and west."""
    await connection.link()
    await other.link()
    async with (
        pumping(connection, inbox, own_server=False) as edge,
        pumping(other, another_inbox, own_server=False, agent="west") as west,
    ):
        yield edge, west


@pytest.fixture
async def doors(link: Link) -> None:
    await link.js.add_stream(name="DOORS", subjects=["doors.>"])


async def publish(client: Client, subject: str, count: int) -> None:
    js = client.jetstream()
    for acknowledged in [await js.publish_async(subject, b"%d" % number) for number in range(count)]:
        await acknowledged


async def consumers(link: Link, stream: str) -> list[str]:
    return sorted([info.name for info in await link.js.consumers_info(stream)])


async def all_answered(link: Link, stream: str, *, left: int) -> None:
    """Wait until a stream holds so many messages, and none is in anybody's hand."""
    async with asyncio.timeout(15):
        while True:
            known = await link.js.consumers_info(stream)
            state = (await link.js.stream_info(stream)).state
            if state.messages == left and not any(info.num_ack_pending for info in known):
                return


def bodies(*inboxes: Any) -> list[int]:
    return sorted([int(message.body) for inbox in inboxes for message in inbox.messages])


async def until(*inboxes: Any, count: int) -> None:
    """Until so many messages came to them all together."""
    async with asyncio.timeout(15):
        while sum(len(inbox.messages) for inbox in inboxes) < count:
            waiting = {asyncio.ensure_future(inbox.taken.wait()) for inbox in inboxes}
            for inbox in inboxes:
                inbox.taken.clear()
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for one in waiting:
                one.cancel()


async def test_one_of_the_agents_gets_each_message(
    two: tuple[Pump, Pump], inbox: Any, another_inbox: Any, doors: None, link: Link, device: Client
) -> None:
    for pump in two:
        await pump.set_subjects(externals=[ONE])
    await publish(device, "doors.1", 300)
    await until(inbox, another_inbox, count=300)
    await all_answered(link, "DOORS", left=300)
    assert bodies(inbox, another_inbox) == list(range(300))
    assert len(await consumers(link, "DOORS")) == 1
    assert {message.deliver for message in inbox.messages + another_inbox.messages} == {Deliver.ONE}


async def test_each_of_the_agents_gets_each_message(
    two: tuple[Pump, Pump], inbox: Any, another_inbox: Any, doors: None, link: Link, device: Client
) -> None:
    for pump in two:
        await pump.set_subjects(externals=[ALL])
    await publish(device, "doors.1", 300)
    await inbox.wait_for(300)
    await another_inbox.wait_for(300)
    await all_answered(link, "DOORS", left=300)
    assert bodies(inbox) == bodies(another_inbox) == list(range(300))
    names = ["ganglion_default_guard_all_edge", "ganglion_default_guard_all_west"]
    assert await consumers(link, "DOORS") == names


@pytest.mark.usefixtures("short_ack_wait")
async def test_an_agents_own_consumer_goes_with_undeploy_and_stays_at_a_restart(
    connection: Connection, inbox: Any, pumping: Pumping, doors: None, link: Link, device: Client
) -> None:
    async with pumping(connection, inbox, own_server=False) as pump:
        await pump.set_subjects(externals=[ALL])
    await publish(device, "doors.1", 3)
    async with pumping(connection, inbox, own_server=False) as pump:
        await pump.set_subjects(externals=[ALL])
        await inbox.wait_for(3)
        await pump.set_subjects(externals=[ONE])
        async with asyncio.timeout(10):
            while len(names := await consumers(link, "DOORS")) > 1:
                pass
        assert names[0].startswith("ganglion_default_guard_one_")


@pytest.mark.usefixtures("short_ack_wait")
async def test_an_agents_own_consumer_follows_its_workflow_without_losing_its_place(
    connection: Connection, inbox: Any, pumping: Pumping, doors: None, link: Link, device: Client
) -> None:
    async with pumping(connection, inbox, own_server=False) as pump:
        await pump.set_subjects(externals=[ALL])
        inbox.slots = 0
        await publish(device, "doors.1", 3)
        changed = External("guard", "DOORS", ("doors.1", "doors.2.*"), At.OWN, Deliver.ALL)
        await pump.set_subjects(externals=[changed])
        await publish(device, "doors.2.x", 1)
        inbox.slots = 10
        inbox.freed.set()
        await inbox.wait_for(4)
        assert await consumers(link, "DOORS") == ["ganglion_default_guard_all_edge"]


async def test_a_refused_deploy_leaves_the_agents_own_consumers_as_they_were(
    connection: Connection, inbox: Any, pumping: Pumping, doors: None, link: Link, device: Client
) -> None:
    async with pumping(connection, inbox, own_server=False) as pump:
        await pump.set_subjects(externals=[ALL])
        changed = External("guard", "DOORS", ("doors.2",), At.OWN, Deliver.ALL)
        new = External("other", "DOORS", ("doors.2",), At.OWN, Deliver.ALL)
        missing = External("other", "WINDOWS", ("windows.*",))
        with pytest.raises(StreamConflict, match="the stream WINDOWS, which is not there"):
            await pump.set_subjects(externals=[changed, new, missing])
        async with asyncio.timeout(10):
            while await consumers(link, "DOORS") != ["ganglion_default_guard_all_edge"]:
                pass
        await publish(device, "doors.1", 1)
        await inbox.wait_for(1)


async def test_two_tenants_take_from_one_stream_apart(
    connection: Connection, inbox: Any, another_inbox: Any, pumping: Pumping, doors: None, link: Link, device: Client
) -> None:
    async with (
        pumping(connection, inbox, own_server=False) as one,
        pumping(connection, another_inbox, own_server=False, tenant="shop") as two,
    ):
        for pump in (one, two):
            await pump.set_subjects(externals=[ONE, ALL], workflows=["guard"])
        await publish(device, "doors.1", 5)
        await inbox.wait_for(10)
        await another_inbox.wait_for(10)
        assert len(await consumers(link, "DOORS")) == 4
        async with asyncio.timeout(10):
            while len(await consumers(link, "GANGLION_TRIGGERS")) < 4:
                pass


@pytest.mark.usefixtures("short_ack_wait")
async def test_each_message_to_all_is_refused_where_the_stream_is_a_work_queue(
    connection: Connection, inbox: Any, pumping: Pumping, link: Link, device: Client
) -> None:
    await link.js.add_stream(name="DOORS", subjects=["doors.>"], retention=RetentionPolicy.WORK_QUEUE)
    await publish(device, "doors.1", 1)
    async with pumping(connection, inbox, own_server=False) as pump:
        with pytest.raises(StreamConflict, match="DOORS, which is a work queue and gives each to one reader: write"):
            await pump.set_subjects(externals=[ALL])
        await pump.set_subjects(externals=[ONE])
        await inbox.wait_for(1)
        with pytest.raises(StreamConflict, match="the workflow other can't take from the stream DOORS: filtered consu"):
            await pump.set_subjects(externals=[ONE, External("other", "DOORS", ("doors.1",))])
        await all_answered(link, "DOORS", left=0)


@pytest.mark.usefixtures("short_ack_wait")
async def test_what_is_for_any_agent_goes_to_one_that_has_the_workflow(
    two: tuple[Pump, Pump], inbox: Any, another_inbox: Any, link: Link, device: Client
) -> None:
    edge, west = two
    await edge.set_subjects(workflows=["both", "here"])
    await west.set_subjects(workflows=["both", "there"])
    for workflow in ("both", "here", "there", "nowhere"):
        await publish(device, f"ganglion.trigger.default.any.{workflow}", 20)
    await publish(device, "ganglion.trigger.default.edge.there", 1)
    await until(inbox, another_inbox, count=61)
    await all_answered(link, "GANGLION_TRIGGERS", left=20)
    got = [[message.subject.removeprefix("ganglion.trigger.default.") for message in one.messages]
           for one in (inbox, another_inbox)]  # fmt: skip
    assert {*got[0]} - {"any.both"} == {"any.here", "edge.there"}
    assert {*got[1]} - {"any.both"} == {"any.there"}
    assert sum(one.count("any.both") for one in got) == 20
    await west.set_subjects(workflows=["nowhere"])
    await another_inbox.wait_for_body(b"19")
    await all_answered(link, "GANGLION_TRIGGERS", left=0)


@pytest.mark.usefixtures("short_ack_wait")
async def test_undeploy_on_one_agent_leaves_the_others_what_is_for_any(
    two: tuple[Pump, Pump], inbox: Any, another_inbox: Any, link: Link, device: Client
) -> None:
    edge, west = two
    for pump in two:
        await pump.set_subjects(workflows=["w"])
    await edge.set_subjects()
    await publish(device, "ganglion.trigger.default.any.w", 20)
    await another_inbox.wait_for(20)
    await west.set_subjects()
    await publish(device, "ganglion.trigger.default.any.w", 5)
    assert "default_any_w" in await consumers(link, "GANGLION_TRIGGERS")
    await edge.set_subjects(workflows=["w"])
    await inbox.wait_for(5)
    await all_answered(link, "GANGLION_TRIGGERS", left=0)


async def test_an_agent_without_slots_does_not_hold_up_the_others(
    two: tuple[Pump, Pump], inbox: Any, another_inbox: Any, doors: None, link: Link, device: Client
) -> None:
    """Its requests were open when its slots went: what comes by them goes on to others at once."""
    for pump in two:
        await pump.set_subjects(externals=[ONE], workflows=["w"])
    inbox.slots = 0
    async with asyncio.timeout(10):  # the server would give it again after 30 s
        await publish(device, "doors.1", 500)
        await publish(device, "ganglion.trigger.default.any.w", 500)
        await another_inbox.wait_for(1000)
    assert inbox.messages == []
    assert 0 < two[0].counters["given back"] <= 200
    await all_answered(link, "DOORS", left=500)
    await all_answered(link, "GANGLION_TRIGGERS", left=0)


async def test_an_agent_that_does_not_commit_holds_no_more_than_its_slots(
    two: tuple[Pump, Pump], inbox: Any, another_inbox: Any, doors: None, link: Link, device: Client
) -> None:
    """Several lanes fetch at once, and none has told the engine yet: they count on the same slots."""
    commit = asyncio.Event()
    accept = inbox.accept

    async def slow(messages: Any) -> Any:
        await commit.wait()
        return await accept(messages)

    inbox.accept = slow
    inbox.slots = 10
    workflows = ["a", "b", "c", "d"]
    for pump in two:
        await pump.set_subjects(workflows=workflows)
    for workflow in workflows:
        await publish(device, f"ganglion.trigger.default.any.{workflow}", 100)
    await another_inbox.wait_for(390)
    async with asyncio.timeout(10):  # the other one's last acknowledgements are under way
        while sum(info.num_ack_pending or 0 for info in await link.js.consumers_info("GANGLION_TRIGGERS")) > 10:
            pass
    commit.set()
    await until(inbox, another_inbox, count=400)
    assert len(inbox.messages) <= 10
    await all_answered(link, "GANGLION_TRIGGERS", left=0)


async def test_what_comes_while_an_agent_commits_counts_on_its_slots_too(
    two: tuple[Pump, Pump], inbox: Any, another_inbox: Any, link: Link, device: Client
) -> None:
    """One message of each lane is being committed; the server still sends what these lanes had asked for."""
    edge, west = two
    commit, began = asyncio.Event(), asyncio.Semaphore(0)
    accept = inbox.accept

    async def slow(messages: Any) -> Any:
        began.release()
        await commit.wait()
        return await accept(messages)

    inbox.accept = slow
    inbox.slots = 10
    workflows = ["a", "b", "c", "d"]
    await edge.set_subjects(workflows=workflows)
    async with asyncio.timeout(10):
        for workflow in workflows:
            await publish(device, f"ganglion.trigger.default.any.{workflow}", 1)
            await began.acquire()
    await west.set_subjects(workflows=workflows)
    for workflow in workflows:
        await publish(device, f"ganglion.trigger.default.any.{workflow}", 100)
    await another_inbox.wait_for(394)
    assert edge.counters["given back"] > 0
    commit.set()
    await until(inbox, another_inbox, count=404)
    assert len(inbox.messages) <= 10
    await all_answered(link, "GANGLION_TRIGGERS", left=0)


async def test_an_agent_with_a_full_disk_leaves_messages_to_the_others(
    two: tuple[Pump, Pump], inbox: Any, another_inbox: Any, doors: None, link: Link, device: Client
) -> None:
    for pump in two:
        await pump.set_subjects(externals=[ONE])
    inbox.full = 1_000_000
    async with asyncio.timeout(10):
        await publish(device, "doors.1", 200)
        await another_inbox.wait_for(200)
    await all_answered(link, "DOORS", left=200)
    inbox.full = 0
    assert inbox.messages == []


async def test_an_agent_that_is_gone_without_a_word_swallows_for_the_ack_wait_at_most(
    connection: Connection, other: Connection, inbox: Any, another_inbox: Any, pumping: Pumping, doors: None,
    link: Link, device: Client, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A power cut: the server does not know, and sends on what was asked for. By the time it sends again, it has
    forgotten that request."""
    monkeypatch.setattr("mesh.intake.consumer.ACK_WAIT_SECONDS", 1.5)
    monkeypatch.setattr("mesh.intake.lane.SHARED_EXPIRES_SECONDS", 1.0)
    monkeypatch.setattr("mesh.intake.pull._HEARTBEAT_NS", 400_000_000)
    await other.link()
    async with (
        pumping(connection, inbox, own_server=False) as edge,
        pumping(other, another_inbox, own_server=False, agent="west") as west,
    ):
        for pump in (edge, west):
            await pump.set_subjects(externals=[ONE])
        async with asyncio.timeout(10):
            while sum(info.num_waiting or 0 for info in await link.js.consumers_info("DOORS")) < 2:
                pass
        reading = (await other.link()).nc._transport._io_reader._transport
        reading.pause_reading()
        await publish(device, "doors.1", 64)
        began = asyncio.get_running_loop().time()
        await inbox.wait_for(64)
        took = asyncio.get_running_loop().time() - began
        assert 1.0 < took < 2 * 1.5, "once, not again and again"
        assert another_inbox.messages == []
        await all_answered(link, "DOORS", left=64)
        reading.resume_reading()


async def test_an_acknowledgement_that_was_lost_with_the_link_is_made_up_for(
    server: EmbeddedServer, connection: Connection, inbox: Any, another_inbox: Any, pumping: Pumping, doors: None,
    link: Link, device: Client, connected: Any, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Committed here, and not acknowledged: without a word from us another agent would run it too."""
    monkeypatch.setattr("mesh.intake.consumer.ACK_WAIT_SECONDS", 2.0)
    accept = inbox.accept
    async with connected(server) as mine, pumping(mine, inbox, own_server=False) as pump:
        await mine.link()

        async def then_lose_the_link(messages: Any) -> Any:
            receipts = await accept(messages)
            await mine.link_nowait().nc.close()
            return receipts

        await pump.set_subjects(externals=[ONE])
        inbox.accept = then_lose_the_link
        await publish(device, "doors.1", 10)
        await inbox.wait_for(10)
        inbox.accept = accept
        async with pumping(connection, another_inbox, own_server=False, agent="west") as west:
            await west.set_subjects(externals=[ONE])
            await all_answered(link, "DOORS", left=10)
            await publish(device, "doors.2", 1)
            await until(inbox, another_inbox, count=11)
            assert len(inbox.messages) + len(another_inbox.messages) == 11


@pytest.mark.usefixtures("short_ack_wait")
async def test_a_lane_that_ends_acknowledges_what_it_has_committed(
    two: tuple[Pump, Pump], inbox: Any, another_inbox: Any, doors: None, link: Link, device: Client
) -> None:
    """An undeploy while the last batch is being committed: it ran here, so it must not run elsewhere."""
    edge, west = two
    began, commit = asyncio.Event(), asyncio.Event()
    accept = inbox.accept

    async def slow(messages: Any) -> Any:
        began.set()
        await commit.wait()
        return await accept(messages)

    inbox.accept = slow
    await edge.set_subjects(externals=[ONE])
    await publish(device, "doors.1", 1)
    await began.wait()
    undeploying = asyncio.create_task(edge.set_subjects())
    commit.set()
    await undeploying
    await west.set_subjects(externals=[ONE])
    await all_answered(link, "DOORS", left=1)
    assert (len(inbox.messages), len(another_inbox.messages)) == (1, 0)


async def test_plain_subscriptions_are_shared_unless_all_are_to_hear(
    two: tuple[Pump, Pump], inbox: Any, another_inbox: Any, device: Client
) -> None:
    wanted = [Plain("ask.*", "w", Deliver.ONE), Plain("tell.*", "w", Deliver.ALL)]
    for pump in two:
        await pump.set_subjects(plain=wanted)
    for number in range(40):
        await device.publish("ask.me", b"%d" % number)
    await device.publish("tell.us", b"99")
    await until(inbox, another_inbox, count=42)
    assert bodies(inbox, another_inbox) == [*range(40), 99, 99]
    assert inbox.messages[0].workflow == "w"


async def test_a_message_that_is_held_here_may_go_to_another(
    two: tuple[Pump, Pump], inbox: Any, another_inbox: Any, doors: None, link: Link, device: Client
) -> None:
    for pump in two:
        await pump.set_subjects(externals=[ONE])
    inbox.fate = Fate.HELD
    await publish(device, "doors.1", 20)
    await another_inbox.wait_for(20)
    await all_answered(link, "DOORS", left=20)


async def test_at_the_start_what_cant_be_taken_in_is_logged_and_the_rest_is(
    connection: Connection, inbox: Any, pumping: Pumping, doors: None, link: Link, device: Client, log: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    missing = External("other", "WINDOWS", ("windows.*",), At.HUB)
    async with pumping(connection, inbox, own_server=False) as pump:
        monkeypatch.setattr("mesh.intake.pump.READY_SECONDS", 0.3)
        await pump.set_subjects(intake=["a"], externals=[missing, ONE], strict=False)
        monkeypatch.setattr("mesh.intake.pump.READY_SECONDS", 60.0)
        assert "takes from the stream WINDOWS" in log.text
        assert "a: on a shared server a trigger takes from an existing stream" in log.text
        await publish(device, "doors.1", 1)
        await inbox.wait_for(1)
        async with asyncio.timeout(3):  # a deploy of something else does not wait for what is missing
            await pump.set_subjects(intake=["a"], externals=[missing, ONE, ALL])
        await link.js.add_stream(name="WINDOWS", subjects=["windows.*"])
        await link.js.add_consumer("WINDOWS", ConsumerConfig(durable_name="someone-else"))
        async with asyncio.timeout(10):
            while len(await consumers(link, "WINDOWS")) < 2:
                pass
