"""Facts that the stream has lost are asked for, and given up only when it is certain that nobody has them."""

import asyncio

import pytest

from engine.control import Refused, Verb
from engine.control.messages import EventList, Events
from mesh.presence.members import Standing
from mesh.recorder import asker, recorder
from mesh.recorder.asker import LOST_SECONDS, REORDER_SECONDS
from mesh.service import ControlService
from mesh.streams import Limits, ensure_events

pytestmark = pytest.mark.nats


async def publish(link, wire, edge, *numbers: int, agent: str = "pi-1") -> None:
    for seq in numbers:
        await link.js.publish(*wire(agent, seq, epoch=edge.epoch, data={}))


async def open_gaps(fleet) -> list[tuple[int, int]]:
    return [(gap.first, gap.last) for gap in await fleet.store.gaps() if not gap.lost]


@pytest.fixture
async def edge(edge_of):
    async with edge_of() as edge:
        yield edge


@pytest.fixture(autouse=True)
async def stream(link, monkeypatch):
    """And nobody asks but the tests."""
    monkeypatch.setattr(asker, "LOOK_SECONDS", 3600)
    monkeypatch.setattr(recorder, "LOOK_SECONDS", 3600)
    await ensure_events(link.nc, Limits())


async def test_a_gap_is_left_alone_for_a_moment_and_then_asked_for(
    link, connection, fleet, recording, wire, edge, clock
):
    await edge.facts(20)
    async with recording(connection) as watcher:
        await publish(link, wire, edge, *range(1, 6), *range(11, 21))
        await fleet.until("pi-1", 15)
        await watcher.asker.ask(link)
        assert await open_gaps(fleet) == [(6, 10)]

        clock.advance(REORDER_SECONDS)
        await watcher.asker.ask(link)

    assert sorted(await fleet.numbers("pi-1")) == list(range(1, 21))
    assert await fleet.store.gaps() == []
    assert fleet.reported == []


async def test_a_large_gap_is_asked_for_page_by_page(link, connection, fleet, recording, wire, edge, clock):
    await edge.facts(2600)
    async with recording(connection) as watcher:
        await publish(link, wire, edge, 1, 2600)
        await fleet.until("pi-1", 2)
        clock.advance(REORDER_SECONDS)
        await watcher.asker.ask(link)

        assert sorted(await fleet.numbers("pi-1")) == list(range(1, 2601))


async def test_large_facts_are_asked_for_in_pages_that_fit(link, connection, fleet, recording, wire, edge, clock):
    await edge.facts(40, text="x" * 60_000)
    async with recording(connection) as watcher:
        await publish(link, wire, edge, 1, 40)
        await fleet.until("pi-1", 2)
        clock.advance(REORDER_SECONDS)
        await watcher.asker.ask(link)

        assert sorted(await fleet.numbers("pi-1")) == list(range(1, 41))


async def test_what_the_agent_keeps_no_more_is_given_up_and_reported_once(
    link, connection, fleet, recording, wire, edge, clock, log
):
    await edge.facts(20)
    await edge.forget(1, 8)
    async with recording(connection) as watcher:
        await publish(link, wire, edge, *range(1, 6), *range(11, 21))
        await fleet.until("pi-1", 15)
        clock.advance(REORDER_SECONDS)
        await watcher.asker.ask(link)
        assert await open_gaps(fleet) == [(6, 8)]
        assert fleet.reported == []  # the stream may still bring it

        clock.advance(LOST_SECONDS)
        await watcher.asker.ask(link)
        clock.advance(3600)
        await watcher.asker.ask(link)

    assert [(gap.agent, gap.epoch, gap.first, gap.last) for gap in fleet.reported] == [("pi-1", edge.epoch, 6, 8)]
    assert "keeps them no more" in fleet.reported[0].lost
    assert f"facts 6 to 8 of the agent pi-1 (epoch {edge.epoch}) are lost" in log.text
    [gap] = await fleet.store.gaps()
    assert gap.lost == fleet.reported[0].lost


async def test_a_fact_that_comes_after_it_was_given_up_is_recorded(
    link, connection, fleet, recording, wire, edge, clock
):
    await edge.facts(10)
    await edge.forget(1, 8)
    async with recording(connection) as watcher:
        await publish(link, wire, edge, 1, 2, 3, 5, 6, 7, 8, 9, 10)
        await fleet.until("pi-1", 9)
        clock.advance(LOST_SECONDS)
        await watcher.asker.ask(link)
        assert len(fleet.reported) == 1
        await publish(link, wire, edge, 4)
        await fleet.until("pi-1", 10)

    assert await fleet.store.gaps() == []


async def test_what_happened_before_it_was_recorded_is_no_loss(
    link, connection, fleet, recording, wire, edge, clock, log
):
    await edge.facts(20)
    await edge.forget(1, 15)
    async with recording(connection) as watcher:
        await publish(link, wire, edge, *range(18, 21))
        await fleet.until("pi-1", 3)
        clock.advance(LOST_SECONDS)
        await watcher.asker.ask(link)

    assert sorted(await fleet.numbers("pi-1")) == list(range(16, 21))
    assert fleet.reported == []
    assert "facts 1 to 15 of the agent pi-1 happened before it was recorded" in log.text


async def test_the_facts_of_a_store_that_was_replaced_are_given_up(
    link, connection, fleet, recording, wire, edge, clock
):
    await edge.facts(3)
    async with recording(connection) as watcher:
        for seq in (1, 2, 5):
            await link.js.publish(*wire("pi-1", seq, epoch="old", data={}))
        await fleet.until("pi-1", 3)
        clock.advance(LOST_SECONDS)
        await watcher.asker.ask(link)

    assert [(gap.epoch, gap.first, gap.last) for gap in fleet.reported] == [("old", 3, 4)]
    assert edge.epoch in fleet.reported[0].lost


async def test_an_agent_that_is_away_is_asked_again_with_growing_pauses(
    link, connection, fleet, recording, wire, edge_of, clock
):
    async with edge_of() as edge:
        epoch = edge.epoch
        await edge.facts(10)
    async with recording(connection) as watcher:
        for seq in (1, 2, 5, 6, 10):
            await link.js.publish(*wire("pi-1", seq, epoch=epoch, data={}))
        await fleet.until("pi-1", 5)
        pauses = []
        clock.advance(REORDER_SECONDS)
        for _ in range(10):
            await watcher.asker.ask(link)
            gaps = await fleet.store.gaps()
            assert [(gap.first, gap.last) for gap in gaps] == [(3, 4), (7, 9)]
            pauses.append((gaps[0].due - clock.now()) / 1_000_000)
            assert gaps[0].due == gaps[1].due
            clock.advance(pauses[-1])
        assert pauses == [5, 10, 20, 40, 80, 160, 320, 600, 600, 600]

        async with edge_of() as edge:
            assert edge.epoch == epoch
            await watcher.asker.ask(link)

        assert sorted(await fleet.numbers("pi-1")) == list(range(1, 11))


async def test_an_agent_that_is_back_is_asked_at_once(link, connection, fleet, recording, wire, edge_of, clock):
    async with edge_of() as edge:
        await edge.facts(10)
    async with recording(connection) as watcher:
        await publish(link, wire, edge, 1, 10)
        await fleet.until("pi-1", 2)
        fleet.says("pi-1", edge.epoch, 10, state=Standing.LOST)
        await watcher.look()
        for _ in range(8):
            clock.advance(600)
            await watcher.asker.ask(link)
        clock.advance(1)

        async with edge_of() as edge:
            await watcher.asker.ask(link)
            assert await open_gaps(fleet) == [(2, 9)]
            fleet.says("pi-1", edge.epoch, 10)
            await watcher.look()
            await watcher.asker.ask(link)

        assert await open_gaps(fleet) == []


async def test_nothing_is_asked_for_while_the_stream_is_being_caught_up_with(
    link, connection, fleet, recording, wire, edge, clock
):
    await edge.facts(10)
    async with recording(connection) as watcher:
        await publish(link, wire, edge, 1, 10)
        await fleet.until("pi-1", 2)
        clock.advance(REORDER_SECONDS)
        watcher.reader.pending = 1_000_000
        await watcher.asker.ask(link)
        assert await open_gaps(fleet) == [(2, 9)]


class Liar:
    """An agent that answers with whatever it likes."""

    def __init__(self) -> None:
        self.answer: EventList | Refused = EventList(events=[])
        self.asked: list[Events] = []

    async def events(self, request: Events) -> EventList:
        self.asked.append(request)
        if isinstance(self.answer, Refused):
            raise self.answer
        return self.answer


@pytest.fixture
async def liar(connection):
    liar = Liar()
    verb = Verb(name="events", description="Lies.", request=Events, answer=EventList, handle=liar.events)
    service = ControlService(connection, [verb], tenant="default", agent="pi-1", version="1.0.0", metadata={})
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(service.run())
        await service.ready.wait()
        yield liar
        running.cancel()


@pytest.mark.parametrize("case", ["refuses", "of an older version", "another agent's facts", "no facts", "beyond"])
async def test_an_answer_that_says_nothing_certain_gives_nothing_up(
    case, link, connection, fleet, recording, wire, clock, liar
):
    other = wire("pi-2", 3)[1]
    liar.answer = {
        "refuses": Refused(503, "busy"),
        "of an older version": EventList(events=[]),
        "another agent's facts": EventList(events=[other], epoch="e1", through=9),
        "no facts": EventList(events=[b'{"a":1}'], epoch="e1", through=9),  # type: ignore[list-item]
        "beyond": EventList(events=[], epoch="e1", through=1),
    }[case]
    async with recording(connection) as watcher:
        for seq in (1, 10):
            await link.js.publish(*wire("pi-1", seq))
        await fleet.until("pi-1", 2)
        clock.advance(LOST_SECONDS)
        await watcher.asker.ask(link)

        assert len(liar.asked) == 1
        assert await open_gaps(fleet) == [(2, 9)]
        assert await fleet.numbers("pi-2") == []
        assert [gap.tries for gap in await fleet.store.gaps()] == [1]


async def test_facts_behind_the_newest_are_asked_for_when_an_agent_says_that_it_has_them(
    link, connection, fleet, recording, wire, edge, clock
):
    """The stream has lost its newest facts, and the agent is quiet: no later number tells."""
    await edge.facts(12)
    async with recording(connection) as watcher:
        await publish(link, wire, edge, *range(1, 11))
        await fleet.until("pi-1", 10)
        fleet.says("pi-1", edge.epoch, 12)
        await watcher.look()
        clock.advance(29)
        await watcher.asker.ask(link)
        assert await fleet.numbers("pi-1") == list(range(1, 11))

        clock.advance(2)
        fleet.says("pi-1", edge.epoch, 12)
        await watcher.look()
        await watcher.asker.ask(link)

    assert await fleet.numbers("pi-1") == list(range(1, 13))
