"""Facts come at least once, in any order, and not all of them."""

import asyncio

import msgspec
import pytest

from engine.fleet.event import Recorded, Track
from engine.fleet.query import EventQuery


async def seqs(fleet, **query) -> list[int]:
    return [numbered.event.seq for numbered in await fleet.events(EventQuery(**query))]


async def holes(fleet) -> list[tuple[int, int, str]]:
    return sorted((gap.first, gap.last, gap.lost) for gap in await fleet.gaps())


async def test_a_fact_is_given_back_as_it_came(fleet, fact):
    one = fact(1, "workflow.failed", data={"status": "failed"}, version=3, execution="01k", node="a[2]/b")

    assert await fleet.record([one]) == Recorded(new=1)

    (kept,) = await fleet.events(EventQuery())
    assert kept.number == 1
    assert kept.event == one


async def test_a_fact_that_comes_again_is_a_duplicate(fleet, fact):
    assert await fleet.record([fact(1), fact(2), fact(1)]) == Recorded(new=2, duplicates=1)
    assert await fleet.record([fact(2), fact(3), fact(1)]) == Recorded(new=1, duplicates=2)
    assert await seqs(fleet) == [1, 2, 3]


@pytest.mark.parametrize("field", ["time", "kind", "workflow", "version", "execution", "node", "data"])
async def test_another_fact_under_a_known_number_is_a_conflict_and_the_first_one_stays(fleet, fact, field):
    first = fact(1)
    other = msgspec.structs.replace(first, **{field: {"time": 5, "version": 5, "data": b"[5]"}.get(field, "other")})
    await fleet.record([first])

    assert await fleet.record([other, first]) == Recorded(conflicts=1, duplicates=1)
    assert await fleet.record([fact(2), msgspec.structs.replace(fact(2), node="x")]) == Recorded(new=1, conflicts=1)

    assert [numbered.event for numbered in await fleet.events(EventQuery())] == [first, fact(2)]
    (track,) = await fleet.tracks()
    assert track.conflicts == 2


async def test_agents_and_epochs_are_numbered_apart(fleet, fact):
    facts = [fact(1), fact(1, agent="a2"), fact(1, epoch="e2")]
    assert await fleet.record(facts) == Recorded(new=3)
    assert [(track.agent, track.epoch) for track in await fleet.tracks()] == [("a1", "e1"), ("a1", "e2"), ("a2", "e1")]


async def test_skipped_numbers_are_a_gap_that_closes_when_they_come(fleet, fact, clock):
    await fleet.record([fact(1), fact(5)])
    (gap,) = await fleet.gaps()
    assert (gap.agent, gap.epoch, gap.first, gap.last, gap.since, gap.tries, gap.due) == (
        "a1", "e1", 2, 4, clock.now(), 0, clock.now(),
    )  # fmt: skip

    await fleet.record([fact(3)])
    assert await holes(fleet) == [(2, 2, ""), (4, 4, "")]
    await fleet.record([fact(4), fact(2)])
    assert await holes(fleet) == []
    assert await seqs(fleet) == [1, 5, 3, 4, 2]  # in the order of recording


async def test_a_batch_out_of_order_leaves_no_gap(fleet, fact):
    await fleet.record([fact(3), fact(1), fact(2)])
    assert await holes(fleet) == []
    assert await seqs(fleet) == [3, 1, 2]


async def test_what_an_agent_did_before_it_was_met_is_a_gap(fleet, fact):
    await fleet.record([fact(100)])
    assert await holes(fleet) == [(1, 99, "")]


async def test_a_track_says_how_far_an_agent_is_known(fleet, fact, clock):
    await fleet.record([fact(5), fact(3), fact(9)])
    (gap, *_) = await fleet.gaps()
    await fleet.give_up(gap, 1, 1, "before it was recorded")
    clock.advance(60)
    await fleet.record([fact(9), fact(7)])
    assert await fleet.tracks() == [
        Track(
            agent="a1", epoch="e1", first_seq=3, last_seq=9, last_time=fact(9).time, received_at=clock.now(),
            events=4, missing=4, lost=1, conflicts=0,
        )
    ]  # fmt: skip


async def test_what_an_agent_has_dropped_is_lost_unless_it_came(fleet, fact):
    await fleet.record([fact(1), fact(4)])
    dropped = fact(10, "outbox.dropped", data={"epoch": "e1", "from": 1, "to": 8})
    await fleet.record([dropped])
    reason = "dropped by the agent"
    assert await holes(fleet) == [(2, 3, reason), (5, 8, reason), (9, 9, "")]

    assert await fleet.record([fact(6)]) == Recorded(new=1)  # it had been sent before
    assert await holes(fleet) == [(2, 3, reason), (5, 5, reason), (7, 8, reason), (9, 9, "")]


@pytest.mark.parametrize(
    "data",
    [
        {"epoch": "e1", "from": 3, "to": 2}, {"epoch": "e2", "from": 1, "to": 4}, {"from": 1}, {"from": "x", "to": []},
        {"epoch": "e1", "from": 2**70, "to": 2**71}, {"epoch": "e1", "from": 7, "to": 100}, [],
    ],
)  # fmt: skip
async def test_a_drop_that_makes_no_sense_loses_nothing(fleet, fact, data):
    await fleet.record([fact(1), fact(6), fact(7, "outbox.dropped", data=data)])
    assert await holes(fleet) == [(2, 5, "")]


async def test_a_gap_is_given_up_in_parts(fleet, fact):
    await fleet.record([fact(1), fact(10)])
    (gap,) = await fleet.gaps()
    await fleet.give_up(gap, 4, 6, "nobody has it")
    await fleet.give_up(gap, 4, 100, "not again")  # no further than the gap, and what is lost stays so
    assert await holes(fleet) == [(2, 3, ""), (4, 6, "nobody has it"), (7, 9, "not again")]


async def test_a_gap_that_was_asked_for_in_vain_is_due_later(fleet, fact, clock):
    await fleet.record([fact(1), fact(10), fact(12)])
    gap, other = await fleet.gaps(due=clock.now())
    await fleet.record([fact(5)])  # meanwhile
    later = clock.now() + 60_000_000
    await fleet.asked(gap, due=later)

    assert [(found.first, found.last) for found in await fleet.gaps(due=clock.now())] == [(other.first, other.last)]
    assert [(found.first, found.tries, found.due) for found in await fleet.gaps(due=later)] == [
        (2, 1, later), (6, 1, later), (11, 0, other.due),
    ]  # fmt: skip
    assert len(await fleet.gaps(limit=2)) == 2


async def test_listeners_are_told_each_new_event_once_it_is_durable(fleet, fact):
    told = []
    fleet.listeners.append(told.extend)
    first = asyncio.ensure_future(fleet.record([fact(1), fact(2)]))
    second = asyncio.ensure_future(fleet.record([fact(2), fact(3)]))
    await first
    await second
    await fleet.record([fact(3)])
    assert [(numbered.number, numbered.event.seq) for numbered in told] == [(1, 1), (2, 2), (3, 3)]
    assert await fleet.newest() == 3


async def test_nothing_recorded_is_nothing_told(fleet):
    assert await fleet.record([]) == Recorded()
    assert await fleet.newest() == 0
    assert await fleet.events(EventQuery()) == []
    assert await fleet.tracks() == []


async def test_one_who_follows_sees_each_event_once(fleet, fact):
    await fleet.record([fact(seq) for seq in range(1, 8)])
    page = await fleet.events(EventQuery(after=2, limit=3))
    assert [numbered.number for numbered in page] == [3, 4, 5]
    assert [numbered.number for numbered in await fleet.events(EventQuery(after=5, limit=3))] == [6, 7]
    assert await fleet.events(EventQuery(after=7)) == []
    assert [numbered.number for numbered in await fleet.events(EventQuery(limit=2))] == [6, 7]
    assert [numbered.number for numbered in await fleet.events(EventQuery(before=6, limit=2))] == [4, 5]


async def test_labels_are_those_last_heard_of(fleet, fact):
    await fleet.record([fact(1, agent="silent")])
    await fleet.remember({"a1": {"site": "berlin", "arch": "arm"}, "a2": {}})
    await fleet.remember({"a1": {"site": "paris"}})
    assert await fleet.labels() == {"a1": {"site": "paris"}, "a2": {}, "silent": {}}


async def test_a_caller_that_goes_away_takes_nothing_back(fleet, fact):
    told = []
    fleet.listeners.append(told.extend)
    caller = asyncio.ensure_future(fleet.record([fact(1)]))
    await asyncio.sleep(0)  # it has handed the batch over
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert await fleet.record([fact(1), fact(2)]) == Recorded(new=1, duplicates=1)
    assert [numbered.event.seq for numbered in told] == [1, 2]
