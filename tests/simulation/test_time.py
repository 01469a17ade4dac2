"""Days, jumps and wrong clocks, seen by a whole engine: nothing is run twice, nothing is skipped, nothing storms."""

import asyncio
import random
from collections import Counter

import pytest

from engine.clock import format_time, parse_time
from tests.simulation.station import Station

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
QUARTERS = """
name: tick
triggers: [{cron: {schedule: "*/15 * * * *", misfire: MISFIRE}}]
nodes: {go: {type: note, data: "{{ trigger.time }}"}}
"""
NIGHTLY = """
name: night
triggers: [{cron: {schedule: "30 2 * * *", timezone: Europe/Berlin}}]
nodes: {go: {type: note, data: "{{ trigger.time }}"}}
"""
SLEEPER = """
name: nap
nodes:
  pause: {type: sleep, duration: LONG}
  go: {type: note, needs: pause}
"""
PASSED = ("10:15", "10:30", "10:45", "11:00")
LATE = 61 * 1_000_000
"""How late a timer may be noticed, in microseconds, after the clock was set."""


def quarters(misfire: str = "once") -> str:
    return QUARTERS.replace("MISFIRE", misfire)


def napping(station: Station, seconds: float, *, nap: bool = True) -> None:
    async def start(engine) -> None:
        await engine.intake.start_by_hand("nap")

    station.live(seconds, start if nap else None)


def times(station: Station) -> list[str]:
    return [str(data) for _, data in station.ran]


# --- sleeping ---------------------------------------------------------------------------------------------------------


def test_a_week_of_sleep_takes_a_week_through_stops_kills_and_time_switched_off(tmp_path):
    station = Station(tmp_path, "2026-03-02T10:00:00", SLEEPER.replace("LONG", "7d"))
    napping(station, HOUR)
    station.rest(2 * DAY)
    station.live(DAY, kill=True)
    station.live(2 * DAY)
    assert station.ran == []
    station.live(3 * DAY)

    [(woke, _)] = station.ran
    assert parse_time("2026-03-09T10:00:00") <= woke <= parse_time("2026-03-09T10:00:00") + LATE


def test_a_sleep_that_ended_while_the_agent_was_off_ends_at_the_start(tmp_path):
    station = Station(tmp_path, "2026-03-02T10:00:00", SLEEPER.replace("LONG", "2h"))
    napping(station, HOUR)
    station.rest(DAY)
    station.live(MINUTE)

    [(woke, _)] = station.ran
    assert woke <= parse_time("2026-03-03T11:00:00") + LATE


@pytest.mark.parametrize(("jump", "lasted"), [(-HOUR, 4 * HOUR), (HOUR, 2 * HOUR), (0, 3 * HOUR)])
def test_a_sleep_follows_the_clock_on_the_wall(tmp_path, jump, lasted):
    station = Station(tmp_path, "2026-03-02T10:00:00", SLEEPER.replace("LONG", "3h"))

    async def nap(engine) -> None:
        await engine.intake.start_by_hand("nap")
        await asyncio.sleep(30 * MINUTE)
        station.clock.jump(jump)
        await asyncio.sleep(lasted - 30 * MINUTE - 1)
        assert station.ran == []

    station.live(lasted + 2 * MINUTE, nap)

    [(woke, _)] = station.ran
    assert woke <= parse_time("2026-03-02T13:00:00") + LATE


# --- schedules --------------------------------------------------------------------------------------------------------


def test_a_day_of_quarters_runs_each_once_whatever_is_killed_when(tmp_path):
    station = Station(tmp_path, "2026-03-02T00:07:00", quarters("all"))
    dice = random.Random(3)
    while station.clock.seconds < DAY:
        station.live(dice.choice((0.5, 40.0, 7 * MINUTE, 3 * HOUR)), kill=dice.random() < 0.7)
        station.rest(dice.choice((0.0, 3.0, 20 * MINUTE)))
    station.live(15 * MINUTE)

    ran = times(station)
    assert ran == sorted(ran)
    assert max(Counter(ran).values()) == 1
    first, last = parse_time(ran[0]), parse_time(ran[-1])
    assert [format_time(time) for time in range(first, last + 1, 15 * 60 * 1_000_000)] == ran
    assert len(ran) > 90


@pytest.mark.parametrize("start", ["2026-03-28T00:00:00", "2026-10-24T00:00:00"])
def test_a_nightly_run_comes_once_each_night_also_when_the_clocks_change(tmp_path, start):
    station = Station(tmp_path, start, NIGHTLY)
    for _ in range(3):
        station.live(DAY / 2, kill=True)
        station.live(DAY / 2)

    nights = [time[:10] for time in times(station)]
    assert len(nights) == 3
    assert len(set(nights)) == 3


@pytest.mark.parametrize(("misfire", "made_up"), [("once", 1), ("skip", 0), ("all", 4)])
def test_a_clock_put_forward_by_an_hour_makes_up_as_the_trigger_says(tmp_path, misfire, made_up):
    station = Station(tmp_path, "2026-03-02T10:01:00", quarters(misfire))

    async def jump(_) -> None:
        await asyncio.sleep(5 * MINUTE)
        station.clock.jump(HOUR)  # 11:06; 10:15, 10:30, 10:45 and 11:00 have passed

    station.live(30 * MINUTE, jump)

    ran = times(station)
    assert [time[11:16] for time in ran] == [*PASSED[4 - made_up :], "11:15", "11:30"]


def test_a_clock_put_back_by_an_hour_repeats_nothing(tmp_path):
    station = Station(tmp_path, "2026-03-02T10:01:00", quarters())

    async def jump(_) -> None:
        await asyncio.sleep(65 * MINUTE)
        station.clock.jump(-HOUR)

    station.live(65 * MINUTE + 90 * MINUTE, jump)

    shown = [time[11:16] for time in times(station)]
    assert shown == ["10:15", "10:30", "10:45", "11:00", "11:15", "11:30"]


def test_a_clock_that_jumps_to_and_fro_runs_no_time_twice(tmp_path):
    station = Station(tmp_path, "2026-03-02T10:01:00", quarters("all"))
    dice = random.Random(5)

    async def shake(_) -> None:
        while True:
            await asyncio.sleep(dice.uniform(1, 40 * MINUTE))
            station.clock.jump(dice.choice((-HOUR, HOUR)))

    for _ in range(8):
        station.live(3 * HOUR, shake, kill=dice.random() < 0.5)

    ran = times(station)
    assert len(ran) > 50
    assert max(Counter(ran).values()) == 1


def test_a_machine_that_boots_in_1970_and_learns_the_time_makes_up_for_nothing(tmp_path):
    station = Station(tmp_path, "1970-01-01T00:00:20", quarters("all"))

    async def learn(_) -> None:
        await asyncio.sleep(5 * MINUTE)
        station.clock.jump((parse_time("2026-03-02T10:01:00") - station.clock.now()) / 1_000_000)

    station.live(25 * MINUTE, learn)

    assert [time[:16] for time in times(station)] == ["2026-03-02T10:15"]


def test_a_machine_without_a_clock_starts_in_1970_each_time(tmp_path):
    """No battery: the store knows times of 2026 when the clock says 1970."""
    station = Station(tmp_path, "2026-03-02T10:01:00", quarters())
    station.live(20 * MINUTE, kill=True)
    station.clock.jump((parse_time("1970-01-01T00:00:30") - station.clock.now()) / 1_000_000)

    async def learn(_) -> None:
        await asyncio.sleep(2 * MINUTE)
        station.clock.jump((parse_time("2026-03-02T10:40:00") - station.clock.now()) / 1_000_000)

    station.live(12 * MINUTE, learn)

    ran = [time[:16] for time in times(station)]
    assert max(Counter(ran).values()) == 1
    assert ran[0] == "2026-03-02T10:15"
    assert "2026-03-02T10:45" in ran
    assert len(ran) <= 3
