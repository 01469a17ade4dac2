"""Counts and durations by minute and hour, agent and workflow, of the time when it happened."""

import msgspec
import pytest

from engine.fleet.query import Grain, StatsQuery, Window
from engine.fleet.sketch import LONGEST, bucket_of, middle, quantiles

HOUR = 3_600_000_000
MINUTE = 60_000_000
DAY = 1_794_960_000_000_000
"""An hour begins here."""


def ended(fact, seq, seconds, *, at=0, status="completed", **fields):
    kind = "workflow.completed" if status == "partial" else f"workflow.{status}"
    return fact(seq, kind, data={"status": status, "duration_seconds": seconds}, time=DAY + at, **fields)


def day(**query) -> StatsQuery:
    return StatsQuery(**{"since": DAY, "until": DAY + 24 * HOUR, **query})


async def test_what_happened_is_counted_by_its_hour_agent_and_workflow(fleet, fact):
    await fleet.record(
        [
            fact(1, "workflow.started", time=DAY),
            fact(2, "node.failed", time=DAY + 1),
            fact(3, "node.retry", time=DAY + 2),
            ended(fact, 4, 2.0, at=3),
            ended(fact, 5, 4.0, at=4, status="failed"),
            ended(fact, 6, 6.0, at=HOUR, status="partial"),
            ended(fact, 7, 8.0, at=HOUR, status="cancelled"),
            fact(1, "agent.started", agent="a2", workflow="_", time=DAY + HOUR - 1),
        ]
    )
    first, agent, second = await fleet.stats(day())
    assert (first.start, first.agent, first.workflow) == (DAY, "a1", "w")
    assert (first.events, first.started, first.completed, first.partial, first.failed) == (5, 1, 1, 0, 1)
    assert (first.node_failures, first.retries, first.failure_rate) == (1, 1, 0.5)
    assert (first.mean, first.longest) == (3.0, 4.0)
    assert first.p50 == pytest.approx(2.0, rel=0.02)
    assert agent == Window(start=DAY, agent="a2", workflow="_", events=1)
    assert (second.start, second.partial, second.cancelled, second.failure_rate) == (DAY + HOUR, 1, 1, 0.0)


async def test_what_comes_late_is_counted_where_it_happened(fleet, fact, clock):
    await fleet.record([ended(fact, 2, 1.0, at=5 * HOUR)])
    clock.advance(3 * 86_400)
    await fleet.record([ended(fact, 1, 1.0, at=HOUR), ended(fact, 2, 1.0, at=5 * HOUR)])
    assert [(window.start, window.completed) for window in await fleet.stats(day())] == [
        (DAY + HOUR, 1), (DAY + 5 * HOUR, 1),
    ]  # fmt: skip


async def test_windows_are_merged_as_asked(fleet, fact):
    await fleet.remember({"a1": {"site": "berlin"}, "a2": {"site": "paris"}, "a3": {"site": "paris"}})
    for agent in ("a1", "a2", "a3", "a4"):
        await fleet.record(
            [
                ended(fact, 1, 1.0, at=MINUTE, agent=agent, workflow="x"),
                ended(fact, 2, 3.0, at=2 * HOUR, agent=agent, workflow="y"),
            ]
        )

    async def told(**query):
        windows = await fleet.stats(day(**query))
        return [((w.start - DAY) // MINUTE, w.agent, w.workflow, w.label, w.completed) for w in windows]

    assert await told(by_agent=False) == [(0, "", "x", "", 4), (120, "", "y", "", 4)]
    assert await told(by_agent=False, by_workflow=False, by_window=False) == [(0, "", "", "", 8)]
    assert await told(by_agent=False, by_workflow=False, by_window=False, grain=Grain.MINUTE) == [(1, "", "", "", 8)]
    assert await told(by_agent=False, workflows=("y",), by_label="site") == [
        (120, "", "y", "", 1), (120, "", "y", "berlin", 1), (120, "", "y", "paris", 2),
    ]  # fmt: skip
    assert await told(labels=(("site", "paris"),), agents=("a1", "a2"), by_window=False, by_workflow=False) == [
        (0, "a2", "", "", 2)
    ]
    assert await told(agents=("nobody",)) == await told(workflows=("none",)) == []
    (merged,) = await fleet.stats(day(by_agent=False, by_workflow=False, by_window=False))
    assert (merged.mean, merged.longest) == (2.0, 3.0)
    assert merged.p99 == pytest.approx(3.0, rel=0.02)


async def test_windows_that_begin_within_the_time_are_told(fleet, fact):
    await fleet.record([ended(fact, seq, 1.0, at=seq * MINUTE) for seq in (1, 2, 3)])
    query = day(grain=Grain.MINUTE, since=DAY + MINUTE + 1, until=DAY + 2 * MINUTE + 1)
    assert [window.start for window in await fleet.stats(query)] == [DAY + 2 * MINUTE]


@pytest.mark.parametrize("seconds", [None, "long", -1, True, [1], 1e300])
async def test_an_end_without_a_duration_that_makes_sense_is_counted_alone(fleet, fact, seconds):
    await fleet.record([ended(fact, 1, seconds)])
    (window,) = await fleet.stats(day())
    assert (window.completed, window.mean, window.p50, window.longest) == (1, None, None, None)


@pytest.mark.parametrize("data", [b"null", b"[1]", b"{", b'{"status": 7}', b'{"status": "new"}'])
async def test_an_end_whose_data_tells_no_status_is_told_by_its_kind(fleet, fact, data):
    await fleet.record([msgspec.structs.replace(fact(1, "workflow.failed", time=DAY), data=data)])
    (window,) = await fleet.stats(day())
    assert (window.failed, window.failure_rate) == (1, 1.0)


def test_a_bucket_is_near_everything_that_it_holds():
    for micros in [*range(1, 3000), *(round(1.0007**n) for n in range(11_000, 47_000)), LONGEST]:
        assert abs(middle(bucket_of(micros)) - micros) <= 0.0149 * micros


def test_a_quantile_is_that_of_all_durations():
    durations = sorted(round(1.01**n) for n in range(200, 2200))
    counts: dict[int, int] = {}
    for micros in durations:
        counts[bucket_of(micros)] = counts.get(bucket_of(micros), 0) + 1
    shares = (0.0, 0.5, 0.5, 0.95, 0.99, 1.0)
    for share, told in zip(shares, quantiles(counts, *shares), strict=True):
        true = durations[int(share * (len(durations) - 1))]
        assert abs(told - true) <= 0.0149 * true
