"""The sliding count, against one that counts everything again each time."""

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.triggers.fleet.sliding import Sliding, Stretch

W = 10


class Naive:
    """Knows all events, and asks of each moment how many are in its window."""

    def __init__(self, least: int, again: int | None) -> None:
        self.least, self.again = least, again
        self.times: list[int] = []
        self.fired: dict[int, int] = {}
        """Moment of a window that started something -> which event it was."""

    def count(self, moment: int) -> int:
        return sum(moment - W < time <= moment for time in self.times)

    def stretches(self, low: int, high: int) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        for moment in range(low, high):
            if self.count(moment) >= self.least:
                if found and found[-1][1] == moment:
                    found[-1] = (found[-1][0], moment + 1)
                else:
                    found.append((moment, moment + 1))
        return found


events = st.lists(st.integers(0, 80), min_size=1, max_size=60)


@settings(max_examples=100, deadline=None)
@given(events, st.integers(1, 6))
def test_the_stretches_are_those_of_a_naive_count(times: list[int], least: int) -> None:
    sliding, naive = Sliding(least=least, within=W), Naive(least, None)
    for number, time in enumerate(times):
        sliding.add(time, number, since=0)
        naive.times.append(time)
    assert [(one.start, one.until) for one in sliding.stretches] == naive.stretches(0, 100)


@settings(max_examples=100, deadline=None)
@given(events, st.integers(1, 6))
def test_in_order_each_stretch_starts_one(times: list[int], least: int) -> None:
    sliding, naive = Sliding(least=least, within=W), Naive(least, None)
    started = []
    for number, time in enumerate(sorted(times)):
        crossing = sliding.add(time, number, since=0)
        naive.times.append(time)
        if crossing is not None:
            started.append(crossing.end)
            assert crossing.count == naive.count(time) == least
    assert started == [start for start, _ in naive.stretches(0, 100)]


@settings(max_examples=100, deadline=None)
@given(events, st.integers(1, 6), st.integers(0, 80))
def test_in_any_order_no_stretch_is_forgotten_and_none_starts_twice(times: list[int], least: int, since: int) -> None:
    sliding, naive = Sliding(least=least, within=W), Naive(least, None)
    started: list[tuple[int, list[tuple[int, int]]]] = []
    for number, time in enumerate(times):
        naive.times.append(time)
        before = naive.stretches(0, 100)
        crossing = sliding.add(time, number, since=since)
        if crossing is not None:
            assert crossing.end >= since
            (own,) = [one for one in before if one[0] <= crossing.end < one[1]]
            # None of the windows in it, as it is now, has started anything.
            assert not any(own[0] <= end < own[1] for end, _ in started)
            started.append((crossing.end, before))
    for start, until in naive.stretches(0, 100):
        in_time = [time for time in times if start <= time < until and time >= since]
        touched = any(start <= end < until for end, _ in started)
        beside = any(one.fired is not None and start <= one.start < until for one in sliding.stretches)
        assert bool(in_time) == (touched or beside)


@settings(max_examples=100, deadline=None)
@given(events, st.integers(1, 4), st.integers(1, 60))
def test_a_restart_in_between_changes_nothing(times: list[int], least: int, at: int) -> None:
    whole, first = Sliding(least=least, within=W), Sliding(least=least, within=W)
    told = [whole.add(time, number, since=0) for number, time in enumerate(times)]
    again = [first.add(time, number, since=0) for number, time in enumerate(times[:at])]
    second = Sliding(least=least, within=W, stretches=[Stretch(*vars_of(one)) for one in first.stretches])
    for number, time in enumerate(times[:at]):
        second.remember(time, number)
    again += [second.add(time, number + at, since=0) for number, time in enumerate(times[at:])]
    assert again == told
    assert second.stretches == whole.stretches


def vars_of(stretch: Stretch) -> tuple[int, int, int | None]:
    return stretch.start, stretch.until, stretch.fired


@settings(max_examples=100, deadline=None)
@given(events, st.integers(1, 4))
def test_what_is_forgotten_is_not_missed_by_what_comes(times: list[int], least: int) -> None:
    """Events come in order, up to two windows late."""
    times = [max(0, time + at * 3) for at, time in enumerate(t % (2 * W) for t in times)]
    whole, tidy = Sliding(least=least, within=W), Sliding(least=least, within=W)
    newest = 0
    for number, time in enumerate(times):
        newest = max(newest, time)
        since = newest - 2 * W
        tidy.forget(since)
        if time <= since - W:
            continue
        assert tidy.add(time, number, since=since) == whole.add(time, number, since=since)


def test_while_it_stays_true_it_starts_again_after_a_time() -> None:
    sliding = Sliding(least=2, within=W)
    ends = [one.end for at in range(0, 100, 5) if (one := sliding.add(at, at, since=0, again=30))]
    assert ends == [5, 35, 65, 95]


def test_of_a_storm_little_is_kept_and_the_count_is_told() -> None:
    sliding = Sliding(least=3, within=1_000_000)
    started = [one for number in range(50_000) if (one := sliding.add(number, number, since=0, again=40_000))]
    assert [(one.end, one.numbers[-1]) for one in started] == [(2, 2), (40_002, 40_002)]
    assert started[1].count == 40_003
    assert len(started[1].numbers) == 10
    assert sum(len(cell.marks) for cell in sliding._cells.values()) <= 12
