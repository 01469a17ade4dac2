"""A recorder's file stays within its bounds, and what is gone is not forgotten."""

import pytest

from engine.fleet import retention
from engine.fleet.event import Recorded
from engine.fleet.query import EventQuery, Grain, StatsQuery
from engine.fleet.store import FleetRetention

FOREVER = FleetRetention(age=None, count=None, bytes=None)
HOUR = 3_600_000_000


async def tidy(fleet, **keep) -> int:
    """How many steps it takes."""
    steps = 1
    while await fleet.tidy(FleetRetention(**{"age": None, "count": None, "bytes": None, **keep})):
        steps += 1
    return steps


async def seqs(fleet) -> list[int]:
    return [numbered.event.seq for numbered in await fleet.events(EventQuery(limit=100_000))]


async def test_events_go_when_they_are_old_in_whatever_order_they_came(fleet, fact, clock):
    now = clock.now()
    ages = [50, 5, 70, 1, 90]
    await fleet.record([fact(seq, time=now - age * 1_000_000) for seq, age in enumerate(ages, 1)])

    await tidy(fleet, age=60.0)

    assert await seqs(fleet) == [1, 2, 4]
    assert [n.number for n in await fleet.events(EventQuery(since=now - 50_000_000, until=now - 5_000_000))] == [1]
    assert await fleet.count(EventQuery()) == 3
    await tidy(fleet, age=0.5)
    assert await seqs(fleet) == []
    assert await fleet.newest() == 5


async def test_the_oldest_recorded_go_where_there_are_too_many(fleet, fact, monkeypatch):
    monkeypatch.setattr(retention, "STEP", 10)
    await fleet.record([fact(seq) for seq in range(1, 101)])
    assert await tidy(fleet, count=75) == 3
    assert await seqs(fleet) == list(range(26, 101))


async def test_numbers_go_on_and_nothing_is_new_again_when_events_are_gone(fleet, fact):
    facts = [fact(seq) for seq in (1, 2, 5)]
    await fleet.record(facts)
    tracks = await fleet.tracks()
    await tidy(fleet, count=0)

    assert await fleet.record(facts) == Recorded(duplicates=3)
    assert await fleet.tracks() == tracks
    assert [(gap.first, gap.last) for gap in await fleet.gaps()] == [(3, 4)]
    assert await fleet.record([fact(6)]) == Recorded(new=1)
    assert [numbered.number for numbered in await fleet.events(EventQuery())] == [4]


async def test_a_file_that_is_too_large_hands_space_back(fleet, fact, tmp_path):
    for first in range(1, 8001, 1000):
        await fleet.record([fact(seq, data={"text": "x" * 500}) for seq in range(first, first + 1000)])
    file = tmp_path / "fleet.db"
    assert await tidy(fleet, bytes=2_000_000) > 1
    assert file.stat().st_size <= 2_000_000
    kept = await seqs(fleet)
    assert len(kept) > 1000
    assert kept == list(range(8001 - len(kept), 8001))


async def test_figures_of_minutes_stay_48_hours_and_those_of_hours_ten_times_as_long_as_events(fleet, fact, clock):
    now = clock.now()
    await fleet.record(
        [fact(n, "workflow.completed", time=now - n * HOUR, data={"duration_seconds": 1}) for n in range(1, 100)]
    )

    async def left(grain: Grain) -> int:
        windows = await fleet.stats(StatsQuery(grain=grain, since=0, until=now))
        assert all(window.longest for window in windows)
        assert len(windows) == len(await fleet.stats(StatsQuery(grain=grain, since=0, until=now, by_agent=False)))
        return len(windows)

    await tidy(fleet, age=86_400.0)
    assert (len(await seqs(fleet)), await left(Grain.MINUTE), await left(Grain.HOUR)) == (24, 48, 99)
    await tidy(fleet, age=7 * 3600.0)
    assert (len(await seqs(fleet)), await left(Grain.MINUTE), await left(Grain.HOUR)) == (7, 48, 70)


async def test_figures_of_minutes_go_before_events_where_there_is_no_room(fleet, fact, clock, monkeypatch):
    now = clock.now()
    await fleet.record([fact(n, time=now - n * HOUR) for n in range(1, 100)])
    assert await fleet.tidy(FleetRetention(age=None, bytes=1))
    assert len(await seqs(fleet)) == 99
    assert len(await fleet.stats(StatsQuery(grain=Grain.MINUTE, since=0, until=now))) == 48
    await tidy(fleet, bytes=1)
    assert await seqs(fleet) == []
    assert len(await fleet.stats(StatsQuery(grain=Grain.HOUR, since=0, until=now))) == 99


async def test_what_was_lost_long_ago_is_only_counted(fleet, fact, clock):
    await fleet.record([fact(1), fact(10), fact(20)])
    gap, other = await fleet.gaps()
    await fleet.give_up(gap, 2, 9, "gone")
    await tidy(fleet, age=60.0)
    assert len(await fleet.gaps()) == 2
    clock.advance(601)
    await tidy(fleet, age=60.0)
    assert await fleet.gaps() == [other]
    (track,) = await fleet.tracks()
    assert (track.missing, track.lost) == (9, 8)


async def test_without_limits_everything_stays(fleet, fact, clock):
    await fleet.record([fact(1, time=0)])
    clock.advance(10_000_000)
    assert not await fleet.tidy(FOREVER)
    assert await seqs(fleet) == [1]


@pytest.mark.parametrize("count", [0, 1, 4095, 4096, 4097, 5000])
async def test_segments_know_what_is_left_of_them(fleet, fact, count):
    await fleet.record([fact(seq) for seq in range(1, 5001)])
    await tidy(fleet, count=count)
    assert await fleet.count(EventQuery()) == count
    assert await fleet.count(EventQuery(since=0)) == count
    assert await fleet.count(EventQuery(kinds=("node.*",))) == count
