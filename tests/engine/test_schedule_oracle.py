"""The schedule against croniter as an oracle of wall times, and by brute force where the clocks change."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from croniter import croniter
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine.schedule import Schedule, check_schedule

MINUTE, HOUR, DAY = 60_000_000, 3_600_000_000, 86_400_000_000
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns")
CHANGES = ("2026-03-08", "2026-03-29", "2026-04-05", "2026-10-04", "2026-10-25", "2026-11-01")


def field(low: int, high: int) -> st.SearchStrategy[str]:
    """What people write in one field: a star, a step, values, ranges."""
    number = st.integers(low, high)
    span = st.tuples(number, number).map(sorted).map(lambda pair: f"{pair[0]}-{pair[1]}")
    return st.one_of(
        st.just("*"),
        st.sampled_from([2, 3, 5, 7, 15, 20]).map(lambda step: f"*/{step}"),
        number.map(str),
        span,
        st.lists(number.map(str) | span, min_size=1, max_size=3).map(",".join),
    )


schedules = st.tuples(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6)).map(" ".join)
moments = st.datetimes(datetime(2024, 1, 1), datetime(2030, 12, 31)).map(
    lambda moment: int(moment.replace(tzinfo=UTC).timestamp() * 1_000_000)
)


def utc(instant: int) -> datetime:
    return datetime(1970, 1, 1) + timedelta(microseconds=instant)


@given(schedules, moments)
@settings(deadline=None, max_examples=150)
def test_in_utc_it_is_what_croniter_says(schedule: str, start: int) -> None:
    check_schedule(schedule)
    asked, oracle = Schedule(schedule), croniter(schedule, utc(start), max_years_between_matches=9)
    instant = start
    for _ in range(5):
        following = asked.after(instant)
        assert following is not None
        assert utc(following) == oracle.get_next(datetime)
        instant = following


@given(schedules, moments)
@settings(deadline=None, max_examples=100)
def test_looking_back_is_what_croniter_says(schedule: str, end: int) -> None:
    asked, oracle = Schedule(schedule), croniter(schedule, utc(end) + timedelta(microseconds=1))
    expected = [oracle.get_prev(datetime) for _ in range(4)]
    found = asked.newest(0, end, 4)
    assert [utc(instant) for instant in reversed(found)] == expected


@given(schedules, st.sampled_from(ZONES), st.sampled_from(CHANGES), st.integers(-36, 36))
@settings(deadline=None, max_examples=60)
def test_each_wall_time_runs_once_around_a_change_of_the_clocks(schedule: str, zone: str, day: str, shift: int) -> None:
    """Brute force: walk through every minute of two days on the wall, and see when each shows for the first time."""
    start = int(datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp()) * 1_000_000 + shift * HOUR
    place = ZoneInfo(zone)
    expected: dict[int, None] = {}
    shown: dict[datetime, int] = {}
    previous = datetime.fromtimestamp((start - 3 * HOUR) / 1e6, place).replace(tzinfo=None) - timedelta(minutes=1)
    for instant in range(start - 3 * HOUR, start + DAY + HOUR, MINUTE):
        wall = datetime.fromtimestamp(instant / 1e6, place).replace(tzinfo=None)
        passed = previous + timedelta(minutes=1)
        while passed < wall:  # skipped: they run when the clock jumps over them
            shown.setdefault(passed, instant)
            passed += timedelta(minutes=1)
        shown.setdefault(wall, instant)
        previous = max(previous, wall)
    walls = croniter(schedule, min(shown) - timedelta(minutes=1), ret_type=datetime, max_years_between_matches=9)
    while (wall := walls.get_next()) <= max(shown):
        if start < shown[wall] <= start + DAY:
            expected[shown[wall]] = None
    asked = Schedule(schedule, zone)
    found: list[int] = []
    instant = asked.after(start)
    while instant is not None and instant <= start + DAY:
        found.append(instant)
        instant = asked.after(instant)
    assert found == sorted(expected)


@given(schedules, st.sampled_from(ZONES), moments, st.integers(0, 3 * HOUR))
@settings(deadline=None, max_examples=100)
def test_time_only_goes_forward(schedule: str, zone: str, start: int, later: int) -> None:
    asked = Schedule(schedule, zone)
    first, second = asked.after(start), asked.after(start + later)
    assume(first is not None and second is not None)
    assert start < (first or 0) <= (second or 0)
    assert (first or 0) > start + later or (second or 0) > (first or 0) or first == second
    assert asked.after((first or 0) - 1) == first
