"""From readings to a limit: what holds for every load, and what a person would see."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.resources.gauge import Load
from engine.resources.scheduling import Marks, Policy, Scheduling
from engine.resources.throttle import Average, Backlash, Throttle, interpolate

percents = st.floats(0, 100, allow_nan=False)


@st.composite
def marks(draw: st.DrawFn) -> Marks:
    low = draw(st.floats(0, 99))
    return Marks(low, draw(st.floats(low, 100, exclude_min=True)))


@st.composite
def schedulings(draw: st.DrawFn) -> Scheduling:
    cpu, memory = draw(marks()), draw(marks())
    return Scheduling(
        policy=draw(st.sampled_from(Policy)),
        least=draw(st.integers(1, 50)),
        cpu=cpu,
        memory=memory,
        hysteresis=draw(st.floats(0, min(cpu.low, memory.low))),
        smoothing=draw(st.sampled_from([0.0, 5.0])),
    )


def cpu_throttle(**changes: object) -> Throttle:
    """Marks 60 and 90, band 10, readings as they are, 1 to 31 executions."""
    settings = {"policy": Policy.CPU, "least": 1, "cpu": Marks(60, 90), "hysteresis": 10.0, "smoothing": 0.0, **changes}
    return Throttle(Scheduling(**settings), most=31)


@pytest.mark.parametrize(
    ("load", "limit"),
    [(0, 31), (60, 31), (60.1, 30), (61, 30), (75, 16), (89, 2), (89.9, 1), (90, 1), (100, 1)],
)
def test_between_the_marks_the_limit_falls_in_a_straight_line(load: float, limit: int) -> None:
    assert interpolate(load, Marks(60, 90), least=1, most=31) == limit


@given(percents, percents, marks(), st.integers(1, 1000), st.integers(0, 1000))
def test_more_load_never_allows_more(one: float, other: float, between: Marks, least: int, more: int) -> None:
    calm, busy = sorted((one, other))
    limits = [interpolate(load, between, least=least, most=least + more) for load in (calm, busy)]
    assert least <= limits[1] <= limits[0] <= least + more


@given(st.lists(percents, max_size=60), st.floats(0, 100))
def test_backlash_stays_within_its_band_above_the_load(loads: list[float], band: float) -> None:
    backlash = Backlash(band)
    for load in loads:
        before = backlash.value
        value = backlash.follow(load)
        assert load <= value <= load + band
        assert value == before or value in (load, load + band), "it moves only when it must"


@given(schedulings(), st.lists(st.tuples(percents, percents), max_size=40), st.integers(1, 200))
def test_the_limit_stays_between_the_least_and_the_most(
    scheduling: Scheduling, readings: list[tuple[float, float]], most: int
) -> None:
    throttle = Throttle(scheduling, most=most)
    for cpu, memory in readings:
        limit = throttle.take(Load(cpu, memory), 2.0)
        assert min(scheduling.least, most) <= limit <= most
        assert limit == throttle.limit


@given(st.floats(0, 90), st.lists(st.floats(0, 10), min_size=1, max_size=60))
def test_a_load_that_swings_within_the_band_never_flaps(base: float, swings: list[float]) -> None:
    throttle = cpu_throttle()
    throttle.take(Load(base + 10, 0), 2.0)  # the top of the swing
    limits = {throttle.take(Load(base + swing, 0), 2.0) for swing in swings}
    assert limits == {throttle.limit}


@given(st.lists(percents, min_size=2, max_size=60))
def test_each_turn_of_the_limit_upwards_takes_a_fall_wider_than_the_band(loads: list[float]) -> None:
    throttle = cpu_throttle()
    highest, last = 0.0, throttle.take(Load(loads[0], 0), 2.0)
    highest = loads[0]
    for load in loads[1:]:
        limit = throttle.take(Load(load, 0), 2.0)
        highest = max(highest, load)
        if limit > last:
            assert load < highest - 10
            highest = load + 10
        last = limit


def test_pressure_counts_at_once_and_relief_beyond_the_band() -> None:
    throttle = cpu_throttle()
    assert [throttle.take(Load(load, 0), 2.0) for load in (20, 90, 85, 80, 79, 65, 50)] == [31, 1, 1, 1, 2, 16, 31]


def test_a_peak_of_one_reading_is_smoothed_and_a_lasting_load_is_not() -> None:
    throttle = cpu_throttle(smoothing=5.0)
    throttle.take(Load(0, 0), 0)
    assert throttle.take(Load(100, 0), 2.0) == 31
    for _ in range(20):
        throttle.take(Load(100, 0), 2.0)
    assert throttle.limit == 1


def test_the_average_is_the_same_however_often_it_is_read() -> None:
    often, seldom = Average(5.0), Average(5.0)
    often.take(0, 0), seldom.take(0, 0)
    for _ in range(10):
        often.take(100, 1.0)
    assert math.isclose(often.value or 0, seldom.take(100, 10.0))


@pytest.mark.parametrize(
    ("policy", "limit"), [(Policy.FIXED, 31), (Policy.CPU, 16), (Policy.MEMORY, 1), (Policy.BALANCED, 1)]
)
def test_a_policy_says_which_load_counts_and_balanced_takes_the_worse(policy: Policy, limit: int) -> None:
    throttle = cpu_throttle(policy=policy, memory=Marks(60, 90))
    assert throttle.take(Load(cpu=75, memory=95), 2.0) == limit


def test_a_least_above_the_most_is_the_most() -> None:
    assert cpu_throttle(least=100).take(Load(100, 100), 2.0) == 31


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cpu": (90, 60)}, "expected 0 <= low < high <= 100, got 90 and 60"),
        ({"least": 0}, "expected a least of 1 or more, got 0"),
        ({"interval": 0.5}, "expected an interval of 1s or more, got 0.5s"),
        ({"smoothing": -1}, "expected a smoothing of 0s or more, got -1s"),
        ({"hysteresis": 61}, "expected a hysteresis from 0 to the lowest mark, 60, got 61"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Scheduling(**{name: Marks(*value) if name == "cpu" else value for name, value in settings.items()})
