"""Who starts next: keys, concurrency, priorities, and that nobody starves."""

import asyncio

import pytest

from engine.events import Kind
from engine.states import ExecutionState
from engine.store import turns

KEYED = """
name: w
flow: {key: trigger.data.device}
nodes:
  a: {type: act, data: "{{ trigger.data.n }}"}
"""


def flow(text: str) -> str:
    return f'name: w\nflow: {text}\nnodes:\n  a: {{type: act, data: "{{{{ trigger.data.n }}}}"}}\n'


async def test_executions_of_one_key_run_one_at_a_time_in_order_of_intake(open_rig, gate):
    async with open_rig() as rig:
        rig.acts["a"] = gate
        await rig.deploy(KEYED)
        ids = [await rig.start(data={"device": "f1", "n": n}) for n in range(5)]
        other = await rig.start(data={"device": "f2", "n": "other"})
        assert await gate.until(2) == [0, "other"]

        gate.open()
        for id in (*ids, other):
            await rig.end(id)
        assert [n for n in gate.began if n != "other"] == [0, 1, 2, 3, 4]
        assert gate.most == 2
        assert await rig.store.read(turns.counts) == {}


async def test_null_is_no_key(open_rig, gate):
    async with open_rig() as rig:
        rig.acts["a"] = gate
        await rig.deploy(flow("{key: trigger.data.device|default(null)}"))
        for n in range(3):
            await rig.start(data={"n": n})
        await gate.until(3)
        gate.open()


async def test_a_paused_execution_holds_its_key_and_a_cancelled_one_lets_go_of_it(open_rig, gate, idle):
    async with open_rig() as rig:
        rig.acts["a"] = gate
        await rig.deploy(KEYED)
        first, second, third = [await rig.start(data={"device": "f1", "n": n}) for n in range(3)]
        await gate.until(1)
        await rig.steering.pause(second)
        gate.let_go(0)
        await rig.end(first)
        await idle(rig)
        assert gate.began == [0]

        await rig.steering.cancel(second)
        assert await gate.until(2) == [0, 2]
        gate.open()
        await rig.end(third)


async def test_a_paused_execution_goes_on_in_its_turn(open_rig, gate, idle):
    async with open_rig() as rig:
        rig.acts["a"] = gate
        await rig.deploy(KEYED)
        first, second, third = [await rig.start(data={"device": "f1", "n": n}) for n in range(3)]
        await gate.until(1)
        await rig.steering.pause(second)
        gate.open()
        await rig.end(first)
        await rig.steering.resume(second)
        await rig.end(third)
        assert gate.began == [0, 1, 2]


async def test_a_waiting_execution_holds_its_key_and_no_place_of_the_concurrency(open_rig, clock, gate):
    text = """
name: w
flow: {concurrency: 1, key: trigger.data.device}
nodes:
  nap: {type: sleep, duration: "{{ trigger.data.nap }}"}
  a: {type: act, needs: nap, data: "{{ trigger.data.n }}"}
"""
    async with open_rig(clock=clock) as rig:
        rig.acts["a"] = gate
        gate.open()
        await rig.deploy(text)
        sleeper = await rig.start(data={"device": "f1", "n": 0, "nap": "1h"})
        await rig.kind(Kind.NODE_WAITING, sleeper)
        behind = await rig.start(data={"device": "f1", "n": 1, "nap": "0s"})
        other = await rig.start(data={"device": "f2", "n": 2, "nap": "0s"})
        await rig.end(other)
        assert gate.began == [2]

        clock.advance(3600)
        rig.executor.wake()
        await rig.end(behind)
        assert gate.began == [2, 0, 1]
        assert (await rig.row(sleeper)).status is ExecutionState.COMPLETED


async def test_no_more_than_the_concurrency_run_at_once(open_rig, gate, idle):
    async with open_rig() as rig:
        rig.acts["a"] = gate
        await rig.deploy(flow("{concurrency: 2}"))
        ids = [await rig.start(data={"n": n}) for n in range(7)]
        await gate.until(2)
        await idle(rig)
        assert gate.running == [0, 1]
        gate.open()
        for id in ids:
            await rig.end(id)
        assert gate.most == 2
        assert gate.began == list(range(7))


async def test_a_full_workflow_takes_no_slot_from_others(open_rig, gate):
    async with open_rig(max_executions=3) as rig:
        rig.acts |= {"a": gate, "b": gate}
        gate.let_go("plain")
        await rig.deploy(flow("{concurrency: 1}"))
        await rig.deploy("name: plain\nnodes:\n  b: {type: act, data: plain}\n")
        for n in range(10):
            await rig.start(data={"n": n})
        for _ in range(5):
            await rig.end(await rig.start("plain"))
        assert gate.running == [0]
        gate.open()


async def test_the_highest_priority_starts_first_whatever_came_before(open_rig, gate):
    async with open_rig(max_executions=1) as rig:
        rig.acts |= {"a": gate, "b": gate}
        await rig.deploy(flow("{priority: trigger.data.p}"))
        await rig.deploy("name: plain\nnodes:\n  b: {type: act, data: plain}\n")
        await rig.start(data={"p": 0, "n": "first"})
        await gate.until(1)
        low = await rig.start(data={"p": -5, "n": "low"})
        await rig.start("plain")
        for n in range(3):
            await rig.start(data={"p": 99, "n": n})  # more than the range is its end
        gate.open()
        await rig.end(low)
        assert gate.began == ["first", 0, 1, 2, "plain", "low"]


async def test_nobody_starves_behind_a_stream_of_urgent_ones(open_rig, gate):
    async with open_rig(max_executions=1) as rig:
        rig.acts["a"] = gate
        await rig.deploy(flow("{priority: trigger.data.p}"))
        await rig.start(data={"p": 0, "n": "first"})
        await gate.until(1)
        old = [await rig.start(data={"p": -10, "n": f"old {n}"}) for n in range(3)]
        for n in range(200):
            await rig.start(data={"p": 10, "n": n})
        gate.open()
        for id in old:
            await rig.end(id)
        places = [gate.began.index(f"old {n}") for n in range(3)]
        assert places == sorted(places)
        assert places[-1] <= 3 * 8 + 1


@pytest.mark.parametrize("restart", [False, True])
async def test_one_long_key_does_not_stop_the_others(open_rig, gate, restart):
    """500 behind one key, and 300 keys with one each: memory knows 64."""
    async with open_rig(running=False) as rig:
        await rig.deploy(KEYED)
        async with asyncio.TaskGroup() as tasks:
            for n in range(500):
                tasks.create_task(rig.start(data={"device": "busy", "n": n}))
            for n in range(300):
                tasks.create_task(rig.start(data={"device": n, "n": f"other {n}"}))
        if not restart:
            rig.acts["a"] = gate
            running = asyncio.create_task(rig.engine.run())
            await check_others(rig, gate)
            rig.engine.drain()
            await running
    if restart:
        async with open_rig() as rig:
            rig.acts["a"] = gate
            await check_others(rig, gate)


async def check_others(rig, gate):
    gate.let_go(*(f"other {n}" for n in range(300)))
    await gate.until(301)
    line = rig.executor.lines.line("w")
    assert len(line.window) <= 64
    assert sum(str(n).startswith("other") for n in gate.began) == 300
    gate.open()


async def test_a_new_version_changes_how_many_run_at_once(open_rig, gate, idle):
    async with open_rig() as rig:
        rig.acts["a"] = gate
        await rig.deploy(flow("{concurrency: 1}"))
        for n in range(6):
            await rig.start(data={"n": n})
        await gate.until(1)
        await rig.deploy(flow("{concurrency: 4}"))
        assert await gate.until(4) == [0, 1, 2, 3]
        await idle(rig)
        assert len(gate.running) == 4
        gate.open()


async def test_the_queue_of_a_workflow_that_is_not_deployed_any_more_keeps_its_flow(open_rig, gate, idle):
    async with open_rig(running=False) as rig:
        await rig.deploy(flow("{concurrency: 2}"))
        for n in range(6):
            await rig.start(data={"n": n})
        await rig.engine.undeploy("w")
    async with open_rig() as rig:
        rig.acts["a"] = gate
        await gate.until(2)
        await idle(rig)
        assert len(gate.running) == 2
        gate.open()
        await gate.until(6)


async def test_the_limit_of_the_agent_may_change_while_it_runs(open_rig, gate, idle):
    async with open_rig(max_executions=4) as rig:
        rig.acts["a"] = gate
        await rig.deploy("name: w\nnodes:\n  a: {type: act, data: '{{ trigger.data.n }}'}\n")
        for n in range(8):
            await rig.start(data={"n": n})
        await gate.until(4)
        rig.executor.set_limit(2)
        gate.let_go(0, 1)
        await idle(rig)
        assert gate.running == [2, 3]
        rig.executor.set_limit(5)
        await gate.until(7)
        gate.open()


async def test_children_stand_in_the_queue_of_their_workflow(open_rig, gate, idle):
    async with open_rig() as rig:
        rig.acts["a"] = gate
        await rig.deploy(flow("{concurrency: 1, key: trigger.data.k}"))
        await rig.deploy("name: p\nnodes:\n  sub: {type: workflow, workflow: w, input: '{{ trigger.data }}'}\n")
        parents = [await rig.start("p", data={"n": n, "k": "x"}) for n in range(3)]
        await gate.until(1)
        await idle(rig)
        assert len(gate.running) == 1
        gate.open()
        for parent in parents:
            assert (await rig.end(parent)).status is ExecutionState.COMPLETED
        assert gate.most == 1


async def test_an_execution_does_not_wait_for_the_key_that_one_above_it_holds(open_rig):
    """w starts m, and m starts w again: the first w waits for the second one, and holds the key for both."""
    middle = "name: m\nnodes:\n  sub: {type: workflow, workflow: w, input: '{{ trigger.data }}'}\n"
    text = """
name: w
flow: {key: trigger.data.k}
nodes:
  more: {type: if, condition: trigger.data.depth > 0}
  sub: {type: workflow, needs: more.then, workflow: m, input: {k: x, depth: "{{ trigger.data.depth - 1 }}"}}
"""
    async with open_rig() as rig:
        await rig.deploy(middle)
        await rig.deploy(text)
        row = await rig.end(await rig.start(data={"k": "x", "depth": 2}))
        assert row.status is ExecutionState.COMPLETED
        assert await rig.store.read(turns.counts) == {}


async def test_scheduled_executions_stand_in_the_queue(open_rig, clock, gate):
    from engine.triggers.cron import Cron

    text = """
name: w
triggers: [{cron: {schedule: "* * * * *", misfire: all, data: {n: 1}}}]
flow: {concurrency: 1}
nodes:
  a: {type: act, data: "{{ trigger.data.n }}"}
"""
    async with open_rig(clock=clock) as rig:
        rig.acts["a"] = gate

        async def sleep(seconds: float) -> None:
            raise asyncio.CancelledError

        cron = Cron(rig.store, rig.executor, sleep=sleep)
        await rig.deploy(text)
        await cron.follow(rig.engine.intake.routes)
        clock.advance(180)
        task = asyncio.create_task(cron.run())
        await asyncio.wait([task])
        await gate.until(1)
        assert (len(gate.running), rig.executor.lines.waiting) == (1, 2)
        gate.open()
        await gate.until(3)
