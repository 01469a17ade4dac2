"""No more starts in any stretch of time than the rate allows: over restarts and clocks that are set."""

from hypothesis import given
from hypothesis import strategies as st

from engine.definition.flow import Rate
from engine.flow.rate import Log

TEXT = """
name: w
flow: {rate: {max: 3, per: 1m}}
nodes:
  a: {type: act, data: "{{ trigger.data.n }}"}
"""


async def start(rig, count: int) -> None:
    for n in range(count):
        await rig.start(data={"n": n})


async def test_a_rate_lets_so_many_start_in_a_stretch_of_time(open_rig, clock, gate, idle):
    async with open_rig(clock=clock) as rig:
        rig.acts["a"] = gate
        gate.open()
        await rig.deploy(TEXT)
        await start(rig, 8)
        await gate.until(3)
        for seconds, began in ((59.0, 3), (1.0, 6), (59.9, 6), (0.1, 8)):
            clock.advance(seconds)
            rig.executor.wake()
            await gate.until(began)
            await idle(rig)
            assert len(gate.began) == began


async def test_a_restart_does_not_forget_what_started(open_rig, clock, gate, idle):
    async with open_rig(clock=clock) as rig:
        rig.acts["a"] = gate
        gate.open()
        await rig.deploy(TEXT)
        await start(rig, 5)
        await gate.until(3)
        clock.advance(20)
    async with open_rig(clock=clock) as rig:
        rig.acts["a"] = gate
        await idle(rig)
        assert len(gate.began) == 3
        clock.advance(40)
        rig.executor.wake()
        await gate.until(5)


async def test_a_clock_that_is_set_changes_nothing_while_it_runs(open_rig, clock, gate, idle):
    async with open_rig(clock=clock) as rig:
        rig.acts["a"] = gate
        gate.open()
        await rig.deploy(TEXT)
        await start(rig, 8)
        await gate.until(3)
        for jump in (3600, -7200, 3600):
            clock.micros += jump * 1_000_000
            rig.executor.wake()
            await idle(rig)
            assert len(gate.began) == 3
        clock.advance(60)
        rig.executor.wake()
        await gate.until(6)


async def test_a_clock_that_was_put_back_before_a_restart_delays_by_one_stretch_at_most(open_rig, clock, gate, idle):
    async with open_rig(clock=clock) as rig:
        rig.acts["a"] = gate
        gate.open()
        await rig.deploy(TEXT)
        await start(rig, 5)
        await gate.until(3)
    clock.micros -= 365 * 86_400 * 1_000_000
    async with open_rig(clock=clock) as rig:
        rig.acts["a"] = gate
        await idle(rig)
        assert len(gate.began) == 3
        clock.advance(60)
        rig.executor.wake()
        await gate.until(5)


@given(
    st.integers(1, 5),
    st.lists(st.floats(0, 30, allow_nan=False), max_size=60),
)
def test_no_stretch_of_time_has_more_starts(most: int, steps: list[float]) -> None:
    log, now, starts = Log(Rate(max=most, per=60.0)), 0.0, []
    for step in steps:
        now += step
        if log.seconds_left(now) == 0:
            log.started(now)
            starts.append(now)
    for place, first in enumerate(starts):
        assert sum(first <= start < first + 60 for start in starts[place:]) <= most
