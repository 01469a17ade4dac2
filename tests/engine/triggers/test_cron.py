import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest

from engine.clock import format_time, parse_time
from engine.definition.model import CronTrigger, Misfire, Workflow
from engine.store import Store, definitions, schedules
from engine.triggers.cron import Cron
from engine.triggers.routes import Routes

START = "2026-11-21T10:07:00Z"
HOUR = 3600


class TimeIsUp(Exception):
    """Ends a test's run of the service."""


@pytest.fixture
def make_cron(store: Store, admitted, clock) -> Callable[[], Cron]:
    async def sleep(seconds: float) -> None:
        assert 0 < seconds <= 15
        if clock.micros >= clock.until:
            raise TimeIsUp
        clock.pass_by(min(seconds, (clock.until - clock.micros) / 1_000_000))

    clock.micros = parse_time(START)
    return lambda: Cron(store, admitted, sleep=sleep)


async def run(cron: Cron, clock, seconds: float) -> None:
    clock.until = clock.micros + int(seconds * 1_000_000)
    with suppress(TimeIsUp):
        await cron.run()


async def routes(store: Store, *triggers: CronTrigger, name: str = "w", version: int = 1) -> Routes:
    await store.submit(
        lambda tx: definitions.deploy(tx, workflow=name, hash=str(version), source=b"", params=b"", now=0)
    )
    return Routes([(name, version, Workflow(name=name, triggers=triggers))], agent="here")


def quarterly(misfire: Misfire = Misfire.ONCE) -> CronTrigger:
    return CronTrigger(schedule="*/15 * * * *", misfire=misfire, data={"a": 1})


def ran(admitted) -> list[str]:
    return [row.trigger_value["time"][11:16] for row in admitted.rows]


async def test_a_schedule_starts_an_execution_at_each_of_its_times(make_cron, store: Store, admitted, clock) -> None:
    cron = make_cron()
    await cron.follow(await routes(store, quarterly(), version=1))
    await run(cron, clock, HOUR)
    assert ran(admitted) == ["10:15", "10:30", "10:45", "11:00"]
    row = admitted.rows[0]
    assert (row.workflow, row.version, row.root, row.created_at) == ("w", 1, row.id, parse_time("2026-11-21T10:15:00Z"))
    assert row.trigger_value == {
        "kind": "cron", "id": "w/0/2026-11-21T10:15:00.000000Z", "time": "2026-11-21T10:15:00.000000Z", "missed": 0,
        "data": {"a": 1},
    }  # fmt: skip
    assert cron.counters == {"fired": 4, "missed": 0}


async def test_nothing_runs_twice_or_is_lost_over_a_restart(make_cron, store: Store, admitted, clock) -> None:
    for _ in range(5):
        cron = make_cron()
        await cron.follow(await routes(store, quarterly()))
        await run(cron, clock, HOUR / 4)
    assert ran(admitted) == ["10:15", "10:30", "10:45", "11:00", "11:15"]


async def test_the_row_moves_in_the_commit_of_the_execution(make_cron, store: Store, admitted, clock) -> None:
    cron = make_cron()
    await cron.follow(await routes(store, quarterly(), quarterly(Misfire.ALL)))
    before = store.writer.commits
    await run(cron, clock, 600)
    assert store.writer.commits == before + 1
    assert len(admitted.rows) == 2
    rows = await store.submit(schedules.listing)
    assert {due for _, due in rows.values()} == {parse_time("2026-11-21T10:30:00Z")}


@pytest.mark.parametrize(
    ("misfire", "expected"),
    [
        (Misfire.ONCE, [("12:00", 7)]),
        (Misfire.SKIP, []),
        (Misfire.ALL, [(time, 0) for time in ("10:15", "10:30", "10:45", "11:00", "11:15", "11:30", "11:45", "12:00")]),
    ],
)
async def test_times_that_passed_while_the_agent_was_down_follow_the_policy(
    make_cron, store: Store, admitted, clock, misfire: Misfire, expected: list[tuple[str, int]]
) -> None:
    active = await routes(store, quarterly(misfire))
    await make_cron().follow(active)
    clock.pass_by(2 * HOUR)
    cron = make_cron()
    await cron.follow(active)
    await run(cron, clock, 60)
    assert list(zip(ran(admitted), [row.trigger_value["missed"] for row in admitted.rows], strict=True)) == expected
    assert cron.counters["missed"] == 8 - len(expected)
    await run(cron, clock, 10 * 60)
    assert ran(admitted)[len(expected) :] == ["12:15"]


async def test_one_late_time_is_skipped_but_one_just_passed_is_not(make_cron, store: Store, admitted, clock) -> None:
    active = await routes(store, quarterly(Misfire.SKIP))
    await make_cron().follow(active)
    clock.pass_by(8 * 60 + 20)  # 10:15:20: a quick restart
    cron = make_cron()
    await cron.follow(active)
    await run(cron, clock, 1)
    assert ran(admitted) == ["10:15"]
    clock.pass_by(15 * 60 + 20)  # 10:30:41
    await run(cron, clock, 1)
    assert ran(admitted) == ["10:15"]


async def test_a_long_outage_makes_a_bounded_number_of_runs_and_says_so(
    make_cron, store: Store, admitted, clock, caplog: pytest.LogCaptureFixture
) -> None:
    active = await routes(store, quarterly(Misfire.ALL))
    await make_cron().follow(active)
    clock.pass_by(20 * 24 * HOUR)
    cron = make_cron()
    await cron.follow(active)
    await run(cron, clock, 1)
    assert len(admitted.rows) == 1000
    assert admitted.rows[-1].trigger_value["time"].startswith("2026-12-11T10:00")
    assert cron.counters == {"fired": 1000, "missed": 920}
    assert "1920 times of */15 * * * * UTC passed; 1000 of them run now" in caplog.text


async def test_a_changed_schedule_starts_anew_and_a_removed_one_goes(make_cron, store: Store, admitted, clock) -> None:
    cron = make_cron()
    await cron.follow(await routes(store, quarterly(), CronTrigger(schedule="@hourly")))
    changed = CronTrigger(schedule="*/10 * * * *", timezone="Europe/Berlin")
    await cron.follow(await routes(store, changed, version=2))
    await run(cron, clock, HOUR / 2)
    assert ran(admitted) == ["10:10", "10:20", "10:30"]
    assert {row.version for row in admitted.rows} == {2}
    assert set(await store.submit(schedules.listing)) == {("w", 0)}


async def test_an_unchanged_schedule_keeps_its_time_over_a_deploy(make_cron, store: Store, admitted, clock) -> None:
    cron = make_cron()
    await cron.follow(await routes(store, quarterly()))
    clock.pass_by(9 * 60)  # 10:16, and nobody looked
    await cron.follow(await routes(store, quarterly(), version=2))
    await run(cron, clock, 1)
    assert [(row.version, row.trigger_value["time"][11:16]) for row in admitted.rows] == [(2, "10:15")]


async def test_an_undeployed_workflow_does_not_run_even_if_nobody_told(
    make_cron, store: Store, admitted, clock
) -> None:
    cron = make_cron()
    await cron.follow(await routes(store, quarterly()))
    await store.submit(lambda tx: definitions.undeploy(tx, "w", 0))
    await run(cron, clock, HOUR)
    assert admitted.rows == []
    await cron.follow(Routes(agent="here"))
    await run(cron, clock, HOUR)
    assert admitted.rows == []


async def test_the_row_of_a_definition_that_cannot_be_loaded_stays(make_cron, store: Store, admitted, clock) -> None:
    active = await routes(store, quarterly())
    await make_cron().follow(active)
    await make_cron().follow(Routes(agent="here"))
    clock.pass_by(HOUR)
    cron = make_cron()
    await cron.follow(active)
    await run(cron, clock, 1)
    assert ran(admitted) == ["11:00"]


async def test_a_clock_that_goes_back_repeats_nothing(make_cron, store: Store, admitted, clock) -> None:
    cron = make_cron()
    active = await routes(store, quarterly(), CronTrigger(schedule="15 10 * * 6"))
    await cron.follow(active)
    await run(cron, clock, HOUR)
    assert len(admitted.rows) == 5
    clock.micros -= 55 * 60 * 1_000_000  # 10:12 again
    await run(cron, clock, HOUR / 2)
    again = make_cron()
    await again.follow(active)
    await run(again, clock, 20 * 60)
    assert len(admitted.rows) == 5
    await run(again, clock, HOUR / 4)
    assert ran(admitted)[5:] == ["11:15"]


async def test_a_clock_that_was_far_ahead_does_not_silence_a_schedule(make_cron, store: Store, admitted, clock) -> None:
    cron = make_cron()
    clock.micros += 20 * 365 * 24 * HOUR * 1_000_000
    await cron.follow(await routes(store, quarterly()))
    await run(cron, clock, HOUR)
    before = len(admitted.rows)
    clock.micros = parse_time(START)
    await run(cron, clock, HOUR / 4)
    assert ran(admitted)[before:] == ["10:15"]


async def test_a_clock_set_forward_is_noticed_and_follows_the_policy(make_cron, store: Store, admitted, clock) -> None:
    cron = make_cron()
    await cron.follow(await routes(store, quarterly()))
    clock.micros += 3 * HOUR * 1_000_000
    await run(cron, clock, 16)
    assert ran(admitted) == ["13:00"]


@pytest.mark.parametrize("misfire", list(Misfire))
async def test_a_machine_that_boots_in_1970_makes_no_storm(
    make_cron, store: Store, admitted, clock, misfire: Misfire
) -> None:
    clock.micros = 60_000_000
    cron = make_cron()
    clock.micros = 60_000_000
    await cron.follow(await routes(store, quarterly(misfire)))
    await run(cron, clock, 30)
    clock.micros = parse_time(START)
    await run(cron, clock, 60)
    assert admitted.rows == []
    await run(cron, clock, HOUR / 4)
    assert ran(admitted) == ["10:15"]


async def test_a_boot_in_1970_does_not_forget_what_was_due(make_cron, store: Store, admitted, clock) -> None:
    active = await routes(store, quarterly())
    await make_cron().follow(active)
    clock.micros = 60_000_000
    cron = make_cron()
    await cron.follow(active)
    await run(cron, clock, 2 * HOUR)
    assert admitted.rows == []
    clock.micros = parse_time("2026-11-21T11:20:00Z")
    await run(cron, clock, 16)
    assert ran(admitted) == ["11:15"]


async def test_a_night_without_an_hour_and_one_with_two_run_the_nightly_job_once(
    make_cron, store: Store, admitted, clock
) -> None:
    cron = make_cron()
    nightly = CronTrigger(schedule="30 2 * * *", timezone="Europe/Berlin")
    for day, expected in (("2026-03-28", "2026-03-29T01:00"), ("2026-10-24", "2026-10-25T00:30")):
        clock.micros = parse_time(f"{day}T20:00:00Z")
        await cron.follow(await routes(store, nightly, name=f"n{day[5:7]}"))
        await run(cron, clock, 12 * HOUR)
        assert admitted.rows[-1].trigger_value["time"].startswith(expected)
    assert len(admitted.rows) == 2


async def test_a_new_schedule_wakes_the_sleeping_service(store: Store, admitted, clock) -> None:
    clock.micros = parse_time(START)
    cron = Cron(store, admitted)
    running = asyncio.ensure_future(cron.run())
    await cron.follow(await routes(store, quarterly()))
    clock.micros = parse_time("2026-11-21T10:15:00Z")
    await cron.follow(await routes(store, quarterly()))
    while not admitted.rows:
        await store.submit(lambda tx: None)
    running.cancel()
    assert format_time(clock.micros).startswith(admitted.rows[0].trigger_value["time"][:16])
