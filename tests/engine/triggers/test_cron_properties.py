"""Whatever the process and the clock do, no time is run twice, none is lost beyond the policy, no storm."""

import asyncio
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.clock import parse_time
from engine.definition.model import CronTrigger, Misfire, Workflow
from engine.schedule import Schedule
from engine.store import Store, definitions
from engine.store.executions import ExecutionRow
from engine.triggers.cron import GRACE, Cron
from engine.triggers.routes import Routes

START = parse_time("2026-10-24T21:07:13Z")
"""A few hours before Berlin puts its clocks back."""
MINUTE, HOUR = 60.0, 3600.0
SCHEDULES = ["*/15 * * * *", "30 2 * * *", "0 * * * *", "7,8,50 */2 * * *"]

Steps = list[tuple[str, float]]
steps = st.lists(
    st.tuples(st.just("up"), st.floats(1, 5 * HOUR))
    | st.tuples(st.just("down"), st.floats(1, 30 * HOUR))
    | st.tuples(st.just("jump"), st.sampled_from([-HOUR, HOUR, -10.0, 10.0])),
    min_size=1,
    max_size=8,
)


class Over(Exception):
    """Ends a stretch of time."""


class World:
    """A schedule, a clock and an agent that comes and goes."""

    def __init__(self, schedule: str, misfire: Misfire, start: int = START) -> None:
        self.trigger = CronTrigger(schedule=schedule, timezone="Europe/Berlin", misfire=misfire)
        self.micros = start
        self.seconds = 0.0
        self.latest = start
        """The latest time that the clock has shown to a running agent."""
        self.ran: list[int] = []
        self.sleeps = 0
        self._until = 0.0

    def now(self) -> int:
        return self.micros

    def monotonic(self) -> float:
        return self.seconds

    def admit(self, rows: list[ExecutionRow]) -> None:
        self.ran.extend(parse_time(row.trigger_value["time"]) for row in rows)

    async def live(self, steps: Steps) -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with Store.open(Path(folder) / "g.db", clock=self, synchronous="off") as store:
                await store.submit(
                    lambda tx: definitions.deploy(tx, workflow="w", hash="1", source=b"", params=b"", now=0)
                )
                cron = await self._boot(store)
                for kind, amount in [*steps, ("up", 1.0)]:
                    if kind == "up":
                        await self._run(cron, amount)
                    elif kind == "down":
                        self._pass(amount)
                        cron = await self._boot(store)
                    else:
                        self.micros += round(amount * 1e6)

    async def _boot(self, store: Store) -> Cron:
        cron = Cron(store, self, sleep=self._sleep)
        await cron.follow(Routes([("w", 1, Workflow(name="w", triggers=(self.trigger,)))], agent="here"))
        return cron

    async def _run(self, cron: Cron, seconds: float) -> None:
        self._until = self.seconds + seconds
        with suppress(Over):
            await cron.run()

    async def _sleep(self, seconds: float) -> None:
        self.latest = max(self.latest, self.micros)
        self.sleeps += 1
        if self.seconds >= self._until:
            raise Over
        self._pass(min(seconds, self._until - self.seconds))

    def _pass(self, seconds: float) -> None:
        self.micros += round(seconds * 1e6)
        self.seconds += seconds


def scheduled(world: World, first: int) -> list[int]:
    return Schedule(world.trigger.schedule, world.trigger.timezone).newest(first + 1, world.latest, 10_000)


@given(st.sampled_from(SCHEDULES), steps)
@settings(deadline=None, max_examples=60)
def test_with_misfire_all_each_time_is_run_exactly_once(schedule: str, steps: Steps) -> None:
    world = World(schedule, Misfire.ALL)
    asyncio.run(world.live(steps))
    assert sorted(world.ran) == scheduled(world, START)


@given(st.sampled_from(SCHEDULES), steps)
@settings(deadline=None, max_examples=60)
def test_with_misfire_once_none_is_run_twice_and_the_newest_always(schedule: str, steps: Steps) -> None:
    world = World(schedule, Misfire.ONCE)
    asyncio.run(world.live(steps))
    assert len(set(world.ran)) == len(world.ran)
    passed = scheduled(world, START)
    assert set(world.ran) <= set(passed)
    assert passed[-1:] == sorted(world.ran)[-1:]


@given(st.sampled_from(SCHEDULES), steps)
@settings(deadline=None, max_examples=60)
def test_with_misfire_skip_only_times_that_nobody_saw_are_left_out(schedule: str, steps: Steps) -> None:
    world = World(schedule, Misfire.SKIP)
    asyncio.run(world.live(steps))
    assert len(set(world.ran)) == len(world.ran)
    missed = set(scheduled(world, START)) - set(world.ran)
    assert set(world.ran) <= set(scheduled(world, START))
    if all(kind == "up" for kind, _ in steps):
        assert not missed


@example(Misfire.ALL, 3 * 365 * 86_400.0)
@given(st.sampled_from(list(Misfire)), st.floats(60, 40 * 365 * 86_400.0))
@settings(deadline=None, max_examples=30)
def test_a_machine_that_boots_in_1970_runs_nothing_of_the_years_between(misfire: Misfire, uptime: float) -> None:
    """It learns the time a while after its start; `uptime` is where in the years before 2024 its clock began."""
    world = World("*/15 * * * *", misfire, start=round(uptime * 1e6))
    began = world.micros
    asyncio.run(world.live([("up", 40.0), ("jump", (START - world.micros) / 1e6 - 60), ("up", 16 * MINUTE)]))
    between = [time for time in world.ran if began + 41_000_000 < time < START - GRACE - 60_000_000]
    assert between == []
    assert len(world.ran) <= 3


@pytest.mark.parametrize("misfire", list(Misfire))
def test_a_week_passes_in_a_moment_and_runs_what_it_should(misfire: Misfire) -> None:
    world = World("*/15 * * * *", misfire)
    asyncio.run(world.live([("up", 7 * 86_400.0)]))
    # An hour of the week is there twice, and its wall times run once.
    assert len(world.ran) == 7 * 96 - 4
    assert sorted(world.ran) == scheduled(world, START)
