"""Long waits in moments: a week, a clock that is set, a restart in between. The wait is over once, when it is due."""

import time

import pytest

from engine.events import Kind

WEEK = 7 * 86_400.0
SLEEPER = """\
name: w
nodes:
  rest: {type: sleep, duration: 7d}
  act: {type: act, needs: rest}
"""


@pytest.mark.parametrize("jump", [0.0, 3600.0, -3600.0])
async def test_a_week_of_sleep_takes_a_moment(open_rig, clock, acting, jump: float) -> None:
    began = time.perf_counter()
    async with open_rig(clock=clock, acting=acting) as rig:
        await rig.deploy(SLEEPER)
        execution = await rig.start()
        await rig.kind(Kind.NODE_WAITING, execution)
        due = clock.now() + round(WEEK * 1e6)
        clock.micros += round(jump * 1e6)  # the wall clock is set; the wait is for a time of it
        clock.advance((due - clock.now()) / 1e6 - 1)
        rig.executor.wake()
        await rig.settled()
        assert rig.calls == []
    async with open_rig(clock=clock, acting=acting) as rig:
        await rig.settled()
        assert rig.calls == []
        clock.advance(1.0)
        rig.executor.wake()
        assert (await rig.end(execution)).status == "completed"
        clock.micros -= 3600 * 1_000_000
        rig.executor.wake()
        await rig.settled()
        assert rig.called("act") == 1
    assert time.perf_counter() - began < 5.0


async def test_many_waits_that_are_due_at_once_run_once_each(open_rig, clock, acting) -> None:
    async with open_rig(clock=clock, acting=acting) as rig:
        await rig.deploy(SLEEPER)
        waiting = [await rig.start() for _ in range(100)]
        for execution in waiting:
            await rig.kind(Kind.NODE_WAITING, execution)
    clock.advance(52 * WEEK)
    async with open_rig(clock=clock, acting=acting) as rig:
        for execution in waiting:
            await rig.end(execution)
        assert rig.called("act") == 100
