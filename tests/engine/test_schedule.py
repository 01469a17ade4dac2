from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.clock import format_time, parse_time
from engine.schedule import Schedule, check_schedule, check_timezone, timezones

BERLIN = ZoneInfo("Europe/Berlin")
HOUR = 3_600_000_000


def times(schedule: str, zone: str, start: str, count: int) -> list[str]:
    """The next wall times, with their offset."""
    asked, instant, found = Schedule(schedule, zone), parse_time(start), []
    for _ in range(count):
        instant = asked.after(instant) or 0
        found.append(datetime.fromtimestamp(instant // 1_000_000, ZoneInfo(zone)).strftime("%d. %H:%M %z"))
    return found


def test_a_schedule_is_read_in_its_zone() -> None:
    start = parse_time("2026-11-21T10:07:31.5Z")
    assert Schedule("*/15 * * * *").after(start) == parse_time("2026-11-21T10:15:00Z")
    assert Schedule("0 12 * * *", "Europe/Berlin").after(start) == parse_time("2026-11-21T11:00:00Z")
    assert Schedule("@daily", "Asia/Kathmandu").after(start) == parse_time("2026-11-21T18:15:00Z")


def test_the_time_itself_is_not_after_itself() -> None:
    quarter = parse_time("2026-11-21T10:15:00Z")
    assert Schedule("*/15 * * * *").after(quarter - 1) == quarter
    assert Schedule("*/15 * * * *").after(quarter) == quarter + HOUR // 4


def test_times_of_a_skipped_hour_run_once_at_its_end() -> None:
    assert times("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2) == ["29. 03:00 +0200", "30. 02:30 +0200"]
    assert times("*/20 1-3 * * *", "Europe/Berlin", "2026-03-29T00:30:00Z", 4) == [
        "29. 01:40 +0100", "29. 03:00 +0200", "29. 03:20 +0200", "29. 03:40 +0200",
    ]  # fmt: skip
    assert times("15,40 2 * * *", "Australia/Lord_Howe", "2026-10-03T10:00:00Z", 2) == [
        "04. 02:30 +1100", "04. 02:40 +1100",
    ]  # fmt: skip


def test_each_wall_time_of_a_doubled_hour_runs_once() -> None:
    assert times("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", 2) == ["25. 02:30 +0200", "26. 02:30 +0100"]
    assert times("*/30 * * * *", "Europe/Berlin", "2026-10-24T23:31:00Z", 3) == [
        "25. 02:00 +0200", "25. 02:30 +0200", "25. 03:00 +0100",
    ]  # fmt: skip
    # asked within the second showing of the hour
    assert times("*/30 * * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", 1) == ["25. 03:00 +0100"]


def test_croniter_itself_runs_the_doubled_hour_twice() -> None:
    night = croniter("30 2 * * *", datetime(2026, 10, 24, 12, tzinfo=BERLIN))
    found = [night.get_next(datetime).astimezone(UTC).hour for _ in range(2)]
    assert found == [0, 1]
    assert croniter("0 0 * * *", 0.0).get_next() == 86_400.0
    assert croniter("0 0 * * *", datetime(1970, 1, 1), ret_type=datetime).get_next() == datetime(1970, 1, 2)


@example("*/20 * * * *", "America/New_York", "2026-11-01", 0, 5 * HOUR)
@given(
    st.sampled_from(["30 2 * * *", "*/20 * * * *", "15,40 1-3 * * *", "0 */2 * * *"]),
    st.sampled_from(["Europe/Berlin", "Europe/Dublin", "Australia/Lord_Howe", "America/New_York", "UTC"]),
    st.sampled_from(["2026-03-08", "2026-03-29", "2026-04-05", "2026-10-04", "2026-10-25", "2026-11-01"]),
    st.integers(-30 * HOUR, 30 * HOUR),
    st.integers(0, 6 * HOUR),
)
@settings(max_examples=60, deadline=None)
def test_looking_back_finds_what_looking_ahead_found(
    schedule: str, zone: str, day: str, shift: int, length: int
) -> None:
    asked = Schedule(schedule, zone)
    first = parse_time(f"{day}T01:00:00Z") + shift
    ahead, instant = [], asked.after(first - 1) or 0
    while instant <= first + length:
        ahead.append(instant)
        instant = asked.after(instant) or 0
    assert asked.newest(first, first + length, 1000) == ahead
    assert asked.newest(first, first + length, 3) == ahead[-3:]
    assert sorted(set(ahead)) == ahead


def test_rare_days_are_found_and_impossible_ones_refused() -> None:
    assert Schedule("0 0 29 2 *").after(parse_time("2096-03-01")) == parse_time("2104-02-29")
    with pytest.raises(ValueError, match="failed to find"):
        check_schedule("0 0 30 2 *")


@pytest.mark.parametrize(
    "schedule", ["", "x", "* * * *", "* * * * * *", "61 * * * *", "R * * * *", "H * * * *", "@reboot", "* * * * *\n"]
)
def test_what_is_no_schedule_is_refused(schedule: str) -> None:
    with pytest.raises(ValueError, match=r"schedule|five fields"):
        check_schedule(schedule)


@given(st.text("0123456789*/,-#LW?@ \n", max_size=30) | st.text(max_size=20))
def test_any_text_is_a_schedule_or_refused(schedule: str) -> None:
    try:
        check_schedule(schedule)
    except ValueError:
        return
    due = Schedule(schedule).after(parse_time("2026-11-21"))
    assert due is not None, schedule
    assert format_time(due).endswith(":00.000000Z")


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "../etc/passwd", "Europe", "\x00"])
def test_what_is_no_zone_is_refused(zone: str) -> None:
    with pytest.raises(ValueError, match="time zone"):
        check_timezone(zone)


def test_zones_are_known() -> None:
    assert {"UTC", "Europe/Berlin"} <= timezones()
