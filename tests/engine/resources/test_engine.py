"""The load of the machine, and what an engine runs under it."""

import asyncio

from engine.contract import Done
from engine.events import Kind
from engine.resources.gauge import Load
from engine.resources.scheduling import Marks, Policy, Scheduling

RULES = Scheduling(policy=Policy.CPU, least=1, cpu=Marks(50, 90), hysteresis=0, smoothing=0)


async def test_under_load_fewer_executions_run_and_afterwards_all_of_them(open_rig, clock, gauge):
    running, most = 0, 0
    release = asyncio.Event()

    async def work(ctx, data):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await release.wait()
        running -= 1
        return Done()

    async with open_rig(clock=clock, max_executions=3, scheduling=RULES, gauge=gauge) as rig:
        rig.acts["a"] = work
        await rig.deploy("name: w\nnodes: {a: {type: act}}")
        governor = rig.engine.governor
        await governor.adjust()
        gauge.load = Load(cpu=95, memory=10)
        await governor.adjust()
        ids = [await rig.start() for _ in range(3)]
        await rig.kind(Kind.NODE_STARTED, ids[0])
        assert (await rig.ask("engine"))["scheduling"]["limit"] == 1
        assert (running, most) == (1, 1)

        gauge.load = Load(cpu=20, memory=10)
        await governor.adjust()
        await rig.kind(Kind.NODE_STARTED, ids[2])
        assert most == 3
        release.set()
        for id in ids:
            assert (await rig.end(id)).status == "completed"
        assert (await rig.ask("engine"))["scheduling"]["adjustments"] == 2


async def test_without_a_policy_everything_may_run_and_nothing_is_read(rig):
    status = await rig.ask("engine")
    assert status["scheduling"]["policy"] == "fixed"
    assert status["scheduling"]["limit"] == status["scheduling"]["most"] == 100
    assert status["scheduling"]["cpu"] is None
