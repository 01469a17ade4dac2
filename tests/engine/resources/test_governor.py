"""The service: what it sets, what it tells, and how often."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from engine.events import Event, Kind
from engine.resources.gauge import Load
from engine.resources.governor import FACT_SECONDS, Governor
from engine.resources.scheduling import Marks, Policy, Scheduling
from engine.store import Store, outbox

INTERVAL = 2.0


class Stage:
    """A governor from 1 to 31 executions, on a clock that the test moves."""

    def __init__(self, store: Store, clock, gauge, policy: Policy) -> None:
        self.clock, self.gauge, self.store = clock, gauge, store
        self.applied: list[int] = []
        scheduling = Scheduling(policy=policy, least=1, cpu=Marks(60, 90), hysteresis=5, smoothing=0, interval=INTERVAL)
        self.governor = Governor(store, gauge, scheduling, most=31, apply=self.applied.append)

    async def load(self, *cpu: float) -> list[int]:
        """A reading for each; the limits that were set."""
        self.applied.clear()
        for percent in cpu:
            self.gauge.load = Load(percent, 10.0)
            await self.governor.adjust()
            self.clock.advance(INTERVAL)
        return list(self.applied)

    async def facts(self) -> list[dict[str, object]]:
        found = await self.store.read(lambda db: outbox.history(db, after=0, limit=100))
        return [msgspec.json.decode(fact.data) for fact in found if fact.kind is Kind.AGENT_THROTTLED]


@pytest.fixture
async def store(tmp_path: Path, clock) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "ganglion.db", clock=clock) as one:
        yield one


@pytest.fixture
async def stage(store: Store, clock, gauge) -> Stage:
    stage = Stage(store, clock, gauge, Policy.BALANCED)
    await stage.load(0)  # the first reading says nothing of the CPU
    return stage


async def test_the_limit_is_set_only_when_it_changes(stage: Stage) -> None:
    assert await stage.load(10, 75, 75, 73, 95, 20, 20) == [16, 1, 31]
    assert stage.governor.regime.adjustments == 3


async def test_a_long_storm_is_one_fact_a_minute_and_the_last_one_is_true(stage: Stage) -> None:
    for _ in range(int(FACT_SECONDS / INTERVAL) - 2):
        await stage.load(95, 30)
    await stage.load(30)
    facts = await stage.facts()
    assert len(facts) == 2, "a storm of changes within two minutes"
    assert facts[0] == {
        "policy": "balanced", "limit": 1, "least": 1, "most": 31, "cpu": 95.0, "memory": 10.0, "adjustments": 1,
        "problem": "", "was": 31,
    }  # fmt: skip

    stage.clock.advance(FACT_SECONDS)
    await stage.load(30, 30)
    assert (await stage.facts())[-1]["limit"] == stage.governor.regime.limit == 31


async def test_a_calm_machine_tells_nothing(stage: Stage) -> None:
    await stage.load(*[20] * 100)
    assert await stage.facts() == []


async def test_each_adjustment_is_a_live_event(stage: Stage) -> None:
    with stage.store.bus.subscribe(lambda event: event.kind is Kind.AGENT_ADJUSTED) as events:
        await stage.load(95, 95, 30)
    told: list[Event] = events.take()
    assert [(event.data["was"], event.data["limit"]) for event in told] == [(31, 1), (1, 31)]


async def test_a_load_that_can_not_be_read_bounds_nothing_and_says_so(stage: Stage) -> None:
    await stage.load(95)
    stage.gauge.broken = "no /proc"
    assert await stage.load(95) == [31]
    assert stage.governor.regime.problem == "no /proc"
    stage.gauge.broken = ""
    assert await stage.load(95) == [1]
    assert stage.governor.regime.problem == ""


async def test_the_regime_shows_policy_load_and_limit(stage: Stage) -> None:
    await stage.load(75)
    regime = stage.governor.regime
    assert (regime.policy, regime.cpu, regime.memory, regime.limit, regime.most) == ("balanced", 75.0, 10.0, 16, 31)


async def test_the_policy_fixed_reads_nothing(store: Store, clock, gauge) -> None:
    stage = Stage(store, clock, gauge, Policy.FIXED)
    await asyncio.wait_for(stage.governor.run(), 5)
    assert gauge.readings == 0
    assert (stage.governor.regime.limit, stage.governor.regime.cpu) == (31, None)


async def test_a_full_disk_costs_only_the_fact(stage: Stage) -> None:
    stage.store.writer.full = True
    assert await stage.load(95) == [1]
    assert await stage.facts() == []
    stage.store.writer.full = False
    await stage.load(95)
    assert [fact["limit"] for fact in await stage.facts()] == [1]
