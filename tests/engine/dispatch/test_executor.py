"""Slots, the queue, timers, and what one execution starts after another."""

import asyncio
import time

import pytest

from engine.contract import Done, Fail, Retry
from engine.events import Kind
from engine.states import ExecutionState
from engine.store import executions

ONE = "name: w\nnodes:\n  a: {type: act}\n"


class Gate:
    """Node code that counts how many run at once and stays until it is let through."""

    def __init__(self) -> None:
        self.running = self.most = 0
        self.order: list[str] = []
        self.entered = asyncio.Event()
        self._open = asyncio.Event()

    async def __call__(self, ctx, data):
        self.running += 1
        self.most = max(self.most, self.running)
        self.order.append(ctx.execution)
        self.entered.set()
        await self._open.wait()
        self.running -= 1
        return Done(data)

    async def wait_until(self, running: int) -> None:
        while self.running < running:
            self.entered.clear()
            await self.entered.wait()

    def open(self) -> None:
        self._open.set()


async def test_slots_are_never_exceeded_and_all_are_used(open_rig):
    async with open_rig(max_executions=3) as rig:
        gate = rig.acts["a"] = Gate()
        await rig.deploy(ONE)
        started = [await rig.start() for _ in range(10)]
        await gate.wait_until(3)
        await rig.settled()
        assert gate.running == 3
        assert rig.executor.free_slots() == 0

        gate.open()
        for execution in started:
            await rig.end(execution)

        assert gate.most == 3
        turns = [started.index(execution) for execution in gate.order]
        assert sorted(turns) == list(range(10))
        assert all(abs(turn - n) < 3 for n, turn in enumerate(turns))  # in order, but for those that run side by side
        assert rig.executor.finished == {"completed": 10}


async def test_attempts_of_one_execution_are_bounded(open_rig):
    async with open_rig(max_concurrent_nodes=5) as rig:
        gate = Gate()
        rig.acts |= {f"n{i}": gate for i in range(20)}
        nodes = "\n".join(f"  n{i}: {{type: act}}" for i in range(20))
        await rig.deploy(f"name: w\nnodes:\n{nodes}")
        execution = await rig.start()
        await gate.wait_until(5)
        await rig.settled()
        gate.open()
        await rig.end(execution)

        assert gate.most == 5
        assert rig.ran() == [f"n{i}" for i in range(20)]


async def test_workflow_may_bound_its_nodes_itself(rig):
    gate = Gate()
    gate.open()
    rig.acts |= {f"n{i}": gate for i in range(6)}
    nodes = "\n".join(f"  n{i}: {{type: act}}" for i in range(6))

    await rig.run(f"name: w\nmax_concurrent_nodes: 1\nnodes:\n{nodes}")

    assert gate.most == 1


async def test_more_than_the_queue_holds_wait_in_the_store_in_order(open_rig):
    async with open_rig(max_executions=1, max_queued=5) as rig:
        gate = rig.acts["a"] = Gate()
        await rig.deploy(ONE)
        started = [await rig.start() for _ in range(40)]
        await gate.wait_until(1)
        assert rig.executor.free_slots() == 0
        gate.open()
        for execution in started:
            await rig.end(execution)

        assert gate.order == started
        assert await rig.store.read(executions.count_by_state) == {}


async def test_executions_of_before_the_start_run_first_whatever_comes_during_it(open_rig):
    async with open_rig(running=False) as rig:
        await rig.deploy(ONE)
        before = [await rig.start() for _ in range(5)]
    async with open_rig(running=False, max_executions=1) as rig:
        gate = rig.acts["a"] = Gate()
        gate.open()
        meanwhile = await rig.start()  # taken in before the executor has looked into its store
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(rig.engine.run())
            for execution in (*before, meanwhile):
                await rig.end(execution)
            rig.engine.drain()

        assert gate.order == [*before, meanwhile]


async def test_free_slots_are_told_when_one_ends(open_rig):
    async with open_rig(max_executions=1) as rig:
        gate = rig.acts["a"] = Gate()
        await rig.deploy(ONE)
        execution = await rig.start()
        await gate.wait_until(1)
        waiting = asyncio.create_task(rig.executor.wait_for_slots())
        gate.open()
        await rig.end(execution)

        await asyncio.wait_for(waiting, 5)

        assert rig.executor.free_slots() == 1


# --- sleep and timers -----------------------------------------------------------------------------------------------

SLEEPER = "name: w\nnodes:\n  s: {type: sleep, duration: 1h}\n  a: {type: act, data: '{{ nodes.s.slept_until }}'}\n"


async def sleeping(rig, execution):
    await rig.kind(Kind.NODE_WAITING, execution)
    while (await rig.row(execution)).status is not ExecutionState.WAITING or rig.executor.free_slots() == 0:
        await rig.settled()


async def test_sleeping_execution_holds_no_slot(open_rig, clock):
    async with open_rig(clock=clock, max_executions=1) as rig:
        await rig.deploy(SLEEPER)
        await rig.deploy("name: other\nnodes:\n  b: {type: act}")
        sleeper = await rig.start()
        await sleeping(rig, sleeper)

        await rig.end(await rig.start("other"))

        assert (await rig.row(sleeper)).due == clock.now() + 3_600_000_000
        assert rig.called("a") == 0


async def test_sleep_ends_when_its_time_has_come(open_rig, clock, decoded):
    async with open_rig(clock=clock) as rig:
        await rig.deploy(SLEEPER)
        execution = await rig.start()
        await sleeping(rig, execution)
        clock.advance(3599)
        rig.executor.wake()
        await rig.settled()
        assert (await rig.row(execution)).status is ExecutionState.WAITING

        clock.advance(1)
        rig.executor.wake()
        row = await rig.end(execution)

        assert row.status is ExecutionState.COMPLETED
        assert decoded((await rig.nodes(execution))["a"].output) == "2026-11-18T12:06:40.000000Z"


async def test_sleep_survives_a_restart_and_ends_at_its_time(open_rig, clock):
    async with open_rig(clock=clock) as rig:
        await rig.deploy(SLEEPER)
        execution = await rig.start()
        await sleeping(rig, execution)
    async with open_rig(clock=clock) as rig:
        await rig.settled()
        assert (await rig.row(execution)).status is ExecutionState.WAITING
        assert rig.calls == []
    clock.advance(3601)
    async with open_rig(clock=clock) as rig:
        row = await rig.end(execution)

        assert row.status is ExecutionState.COMPLETED
        assert [f.kind for f in await rig.facts(execution)].count(Kind.WORKFLOW_STARTED) == 1


async def test_more_sleepers_than_one_look_finds_all_wake(open_rig, clock):
    async with open_rig(clock=clock, max_executions=2, max_queued=4) as rig:
        await rig.deploy(SLEEPER)
        started = [await rig.start() for _ in range(15)]
        for execution in started:
            await sleeping(rig, execution)
        clock.advance(3600)
        rig.executor.wake()

        for execution in started:
            assert (await rig.end(execution)).status is ExecutionState.COMPLETED


async def test_long_retry_delay_parks_the_execution_and_counts_attempts_on(open_rig, clock):
    outcomes = [Retry("busy"), Retry("busy"), Done()]

    async def act(ctx, data):
        return outcomes[ctx.attempt - 1]

    text = (
        "name: w\nnodes:\n  a: {type: act, retry: {max: 2, delay: 1h, max_delay: 2h, backoff: constant, jitter: false}}"
    )
    async with open_rig(clock=clock) as rig:
        rig.acts["a"] = act
        await rig.deploy(text)
        execution = await rig.start()
        await rig.kind(Kind.NODE_RETRY, execution)
        while (await rig.row(execution)).status is not ExecutionState.WAITING:
            await rig.settled()
    for _ in range(2):
        clock.advance(3600)
        async with open_rig(clock=clock) as rig:
            rig.acts["a"] = act
            await rig.kind(Kind.NODE_COMPLETED if _ else Kind.NODE_RETRY, execution)
            while (await rig.row(execution)).status is ExecutionState.RUNNING:
                await rig.settled()
    async with open_rig(clock=clock) as rig:
        assert (await rig.row(execution)).status is ExecutionState.COMPLETED
        assert (await rig.nodes(execution))["a"].attempt == 3


async def test_short_wait_keeps_its_slot(rig):
    row = await rig.run("name: w\nnodes:\n  s: {type: sleep, duration: 5ms}")

    assert row.status is ExecutionState.COMPLETED


# --- the workflow's time --------------------------------------------------------------------------------------------


async def test_workflow_timeout_ends_what_runs(rig, decoded):
    rig.acts["a"] = Gate()
    row = await rig.run("name: w\ntimeout: 30ms\nnodes:\n  a: {type: act}\n  b: {type: act, needs: a, run_if: always}")

    assert row.status is ExecutionState.FAILED
    assert decoded(row.error) == {
        "kind": "timeout",
        "message": "the workflow's timeout of 0.03 s is over",
        "node": None,
    }
    assert await rig.states(row.id) == {"a": "cancelled", "b": "cancelled"}


async def test_workflow_timeout_that_meets_an_attempt_about_to_begin_ends_it_too(rig):
    """A node that blocks the event loop makes a retry and the timeout due in the same turn, the retry first."""
    scheduled = asyncio.Event()

    async def retrying(ctx, data):
        asyncio.get_running_loop().call_soon(scheduled.set)
        return Retry("busy")

    async def blocking(ctx, data):
        await scheduled.wait()
        time.sleep(0.08)  # noqa: ASYNC251
        return Done()

    rig.acts |= {"a": retrying, "b": blocking}
    row = await rig.run(
        "name: w\ntimeout: 60ms\nnodes:\n"
        "  a: {type: act, retry: {max: 1, delay: 20ms, jitter: false}}\n  b: {type: act}\n"
    )

    assert row.status is ExecutionState.FAILED
    assert rig.called("a") == 1
    assert (await rig.states(row.id))["a"] == "cancelled"


async def test_workflow_timeout_wakes_a_sleeping_execution(open_rig, clock):
    async with open_rig(clock=clock) as rig:
        await rig.deploy(SLEEPER.replace("nodes:", "timeout: 10m\nnodes:", 1))
        execution = await rig.start()
        await sleeping(rig, execution)
        clock.advance(600)
        rig.executor.wake()
        row = await rig.end(execution)

        assert row.status is ExecutionState.FAILED
        assert rig.calls == []


async def test_workflow_timeout_that_passed_while_the_agent_was_down_starts_nothing(open_rig, clock, tmp_path):
    text = "name: w\ntimeout: 1h\nnodes:\n  a: {type: act}\n"
    async with open_rig(clock=clock) as rig:
        gate = rig.acts["a"] = Gate()
        await rig.deploy(text)
        execution = await rig.start()
        await gate.wait_until(1)
        await rig.kind(Kind.WORKFLOW_STARTED, execution)
        copy = await rig.copy_to(tmp_path / "copy")
        gate.open()
    clock.advance(3601)
    async with open_rig(copy, clock=clock) as rig:
        row = await rig.end(execution)

        assert row.status is ExecutionState.FAILED
        assert rig.calls == []


# --- on_failure -----------------------------------------------------------------------------------------------------


async def fail(ctx, data):
    return Fail("no luck", kind="luck")


async def test_failure_starts_the_workflow_of_on_failure(rig, decoded):
    rig.acts["a"] = fail
    await rig.deploy(
        "name: tell\nnodes:\n  t: {type: act, data: '{{ trigger.data.error.kind }} at {{ trigger.time }}'}"
    )
    row = await rig.run("name: w\non_failure: tell\nnodes:\n  a: {type: act}", data={"x": 1})
    told = await rig.event(lambda e: e.kind is Kind.WORKFLOW_COMPLETED and e.workflow == "tell")

    successor = await rig.row(told.execution)
    assert (successor.cause, successor.hops) == (row.id, 1)
    for execution, said in ((row.id, {"trigger": "cli"}), (successor.id, {"trigger": "failure", "hops": 1})):
        begun = await rig.kind(Kind.WORKFLOW_STARTED, execution)
        assert decoded(begun.data) == said
    trigger = successor.trigger_value
    assert trigger["data"] | {"trigger": None} == {
        "execution": row.id,
        "workflow": "w",
        "version": 1,
        "node": "a",
        "error": {"kind": "luck", "message": "no luck"},
        "trigger": None,
    }
    assert trigger["data"]["trigger"]["data"] == {"x": 1}
    assert decoded((await rig.nodes(successor.id))["t"].output).startswith("luck at 2")


async def test_failure_handlers_that_fail_stop_after_some_hops(open_rig):
    async with open_rig(max_hops=3) as rig:
        rig.acts["a"] = fail
        await rig.deploy("name: w\non_failure: w\nnodes:\n  a: {type: act}")
        await rig.start()
        await rig.event(lambda e: e.kind is Kind.WORKFLOW_FAILED and len(rig.calls) == 4)
        await rig.settled()

        rows = await rig.store.read(executions.listing)
        assert [row.hops for row in rows] == [3, 2, 1, 0]
        assert any("too many in a row" in message for _, message, _ in rig.logs)


async def test_on_failure_that_is_not_deployed_is_logged(rig):
    rig.acts["a"] = fail
    row = await rig.run("name: w\non_failure: nobody\nnodes:\n  a: {type: act}")

    assert row.status is ExecutionState.FAILED
    assert ("error", "on_failure: nobody is not deployed", {"execution": row.id}) in rig.logs


async def test_on_failure_is_that_of_the_version_that_runs(rig):
    gate = Gate()

    async def act(ctx, data):
        await gate(ctx, data)
        return Fail("no")

    rig.acts["a"] = act
    await rig.deploy("name: tell\nnodes:\n  t: {type: act}")
    await rig.deploy("name: w\non_failure: tell\nnodes:\n  a: {type: act}")
    await rig.start()
    await gate.wait_until(1)
    await rig.deploy("name: w\nnodes:\n  a: {type: act}")
    gate.open()

    await rig.event(lambda e: e.kind is Kind.WORKFLOW_COMPLETED and e.workflow == "tell")


# --- drain ----------------------------------------------------------------------------------------------------------


async def test_drain_finishes_running_attempts_and_leaves_the_rest(open_rig):
    text = "name: w\nnodes:\n  a: {type: act}\n  b: {type: act, needs: a}\n"
    async with open_rig(running=False, max_executions=1) as rig:
        gate = rig.acts["a"] = Gate()
        running = asyncio.create_task(rig.engine.run())
        await rig.deploy(text)
        first, second = await rig.start(), await rig.start()
        await gate.wait_until(1)
        rig.engine.drain()
        assert rig.executor.free_slots() == 0
        gate.open()
        await asyncio.wait_for(running, 10)

        assert rig.ran() == ["a"]
        assert await rig.states(first) == {"a": "completed"}
        assert (await rig.row(first)).status is ExecutionState.RUNNING
        assert (await rig.row(second)).status is ExecutionState.QUEUED
    async with open_rig() as rig:
        for execution in (first, second):
            assert (await rig.end(execution)).status is ExecutionState.COMPLETED
        assert rig.ran() == ["b", "a", "b"]
        assert (await rig.row(first)).deaths == 0


async def test_hard_stop_starts_nothing_of_the_queue(open_rig):
    async with open_rig(running=False, max_executions=2) as rig:
        gate = rig.acts["a"] = Gate()
        running = asyncio.create_task(rig.engine.run())
        await rig.deploy(ONE)
        started = [await rig.start() for _ in range(5)]
        await gate.wait_until(2)
        running.cancel()

        with pytest.raises(asyncio.CancelledError):
            await running

        # The slots are given in order; of two, the one whose row is at hand begins before the one that is read first.
        assert set(gate.order) == set(started[:2])
        assert rig.executor.free_slots() == 0


async def test_drain_without_work_ends_at_once(open_rig):
    async with open_rig(running=False) as rig:
        running = asyncio.create_task(rig.engine.run())
        rig.engine.drain()

        await asyncio.wait_for(running, 5)


@pytest.mark.parametrize("count", [200])
async def test_many_executions_at_once_all_complete_with_facts_without_gaps(open_rig, count):
    async with open_rig(max_executions=20) as rig:
        await rig.deploy("name: w\nnodes:\n  a: {type: act}\n  b: {type: calc, needs: a}\n  c: {type: act, needs: b}\n")
        started = await asyncio.gather(*(rig.start() for _ in range(count)))
        for execution in started:
            await rig.end(execution)

        facts = await rig.facts()
        assert [fact.seq for fact in facts] == list(range(1, len(facts) + 1))
        assert sum(fact.kind is Kind.WORKFLOW_COMPLETED for fact in facts) == count
        assert len(rig.calls) == 3 * count


async def test_a_drain_without_halt_lets_executions_go_on_to_their_end(open_rig):
    text = "name: w\nnodes:\n  a: {type: act}\n  b: {type: act, needs: a}\n"
    async with open_rig(running=False, max_executions=1) as rig:
        gate = rig.acts["a"] = Gate()
        running = asyncio.create_task(rig.engine.run())
        await rig.deploy(text)
        first, second = await rig.start(), await rig.start()
        await gate.wait_until(1)
        rig.engine.drain(halt=False)
        assert rig.executor.running() == [first]
        assert rig.executor.free_slots() == 0
        gate.open()
        await asyncio.wait_for(running, 10)

        assert rig.ran() == ["a", "b"]
        assert (await rig.row(first)).status is ExecutionState.COMPLETED
        assert (await rig.row(second)).status is ExecutionState.QUEUED
