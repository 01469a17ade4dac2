"""Pause, resume, cancel and resolve, in every state that an execution can be in."""

import asyncio

import pytest

from engine.contract import Done, Fail
from engine.events import Kind
from engine.states import ExecutionState, IllegalMove
from engine.store import StoreCorrupt

TWO = "name: w\nnodes:\n  a: {type: act}\n  b: {type: act, needs: a}\n"
SLEEPER = "name: w\nnodes:\n  s: {type: sleep, duration: 1h}\n  a: {type: act, needs: s}\n"


class Held:
    """Node code that stays until it is let go; tells whether it was asked to stop, or cut off."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.let_go = asyncio.Event()
        self.asked_to_stop = self.cut_off = False

    async def __call__(self, ctx, data):
        self.entered.set()
        try:
            await self.let_go.wait()
        except asyncio.CancelledError:
            self.cut_off = True
            self.asked_to_stop = ctx.cancelled
            raise
        self.asked_to_stop = ctx.cancelled
        return Done(data)


async def is_in(rig, execution: str, state: ExecutionState):
    while (row := await rig.row(execution)).status is not state or execution in rig.executor._running:
        await rig.settled()
    return row


async def until_closed(rig, execution: str) -> None:
    """Its runner has handed in its last commit, and has not let go yet."""
    while (runner := rig.executor._running.get(execution)) is None or not runner.closed:  # noqa: ASYNC110
        await asyncio.sleep(0)


async def kinds(rig, execution: str) -> list[Kind]:
    return [fact.kind for fact in await rig.facts(execution)]


async def queued(rig) -> str:
    """An execution that waits for the only slot, which another one holds."""
    held = rig.acts["a"] = Held()
    await rig.deploy(TWO)
    await rig.start()
    await held.entered.wait()
    return await rig.start()


async def running(rig) -> str:
    held = rig.acts["a"] = Held()
    await rig.deploy(TWO)
    execution = await rig.start()
    await held.entered.wait()
    return execution


async def waiting(rig) -> str:
    await rig.deploy(SLEEPER)
    execution = await rig.start()
    await is_in(rig, execution, ExecutionState.WAITING)
    return execution


async def in_doubt(rig) -> str:
    await rig.deploy("name: w\nnodes:\n  a: {type: once, timeout: 5ms}\n  b: {type: act, data: '{{ nodes.a }}'}\n")
    rig.acts["a"] = Held()
    execution = await rig.start()
    await is_in(rig, execution, ExecutionState.WAITING)
    return execution


async def completed(rig) -> str:
    return (await rig.run(TWO)).id


# --- pause and resume -----------------------------------------------------------------------------------------------


async def test_paused_while_queued_it_does_not_start_until_resumed(open_rig):
    async with open_rig(max_executions=1) as rig:
        execution = await queued(rig)
        assert await rig.steering.pause(execution) is ExecutionState.PAUSED
        held, rig.acts["a"] = rig.acts["a"], Held()
        held.let_go.set()
        await rig.kind(Kind.WORKFLOW_COMPLETED)
        await rig.settled()
        assert (await rig.row(execution)).status is ExecutionState.PAUSED
        assert rig.called("a") == 1

        rig.acts["a"].let_go.set()
        assert await rig.steering.resume(execution) is ExecutionState.QUEUED
        row = await rig.end(execution)

        assert row.status is ExecutionState.COMPLETED
        assert (await kinds(rig, execution))[:3] == [
            Kind.WORKFLOW_PAUSED,
            Kind.WORKFLOW_RESUMED,
            Kind.WORKFLOW_STARTED,
        ]


async def test_paused_right_after_its_start_is_not_overtaken(rig):
    await rig.deploy(TWO)
    held = rig.acts["a"] = Held()
    execution = await rig.start()  # committed; its runner is being made ready

    await rig.steering.pause(execution)
    held.let_go.set()
    await is_in(rig, execution, ExecutionState.PAUSED)
    await rig.settled()

    assert rig.called("b") == 0
    assert (await rig.row(execution)).status is ExecutionState.PAUSED


async def test_paused_while_running_the_attempt_is_kept_and_the_next_does_not_start(rig):
    execution = await running(rig)
    await rig.steering.pause(execution)
    rig.acts["a"].let_go.set()
    await is_in(rig, execution, ExecutionState.PAUSED)

    assert await rig.states(execution) == {"a": "completed"}
    assert rig.called("b") == 0

    await rig.steering.resume(execution)
    row = await rig.end(execution)

    assert row.status is ExecutionState.COMPLETED
    assert rig.ran() == ["a", "b"]
    assert (await kinds(rig, execution)).count(Kind.WORKFLOW_STARTED) == 1


async def test_pause_also_holds_pure_nodes(rig):
    held = rig.acts["a"] = Held()
    await rig.deploy("name: w\nnodes:\n  a: {type: act}\n  p: {type: calc, needs: a}\n  b: {type: act, needs: p}\n")
    execution = await rig.start()
    await held.entered.wait()
    await rig.steering.pause(execution)
    held.let_go.set()
    await is_in(rig, execution, ExecutionState.PAUSED)
    assert rig.ran() == ["a"]

    await rig.steering.resume(execution)
    await rig.end(execution)

    assert rig.ran() == ["a", "p", "b"]


async def test_resumed_before_the_pause_came_into_effect_it_just_goes_on(rig):
    execution = await running(rig)
    await rig.steering.pause(execution)

    assert await rig.steering.resume(execution) is ExecutionState.RUNNING
    rig.acts["a"].let_go.set()
    row = await rig.end(execution)

    assert row.status is ExecutionState.COMPLETED
    assert Kind.WORKFLOW_PAUSED not in await kinds(rig, execution)


async def test_timer_that_is_over_while_paused_acts_on_resume(open_rig, clock):
    async with open_rig(clock=clock) as rig:
        execution = await waiting(rig)
        await rig.steering.pause(execution)
        clock.advance(7200)
        rig.executor.wake()
        await rig.settled()
        assert (await rig.row(execution)).status is ExecutionState.PAUSED
        assert rig.calls == []

        await rig.steering.resume(execution)
        await rig.end(execution)

        assert rig.ran() == ["a"]


async def test_paused_execution_stays_paused_over_a_restart(open_rig):
    async with open_rig() as rig:
        execution = await running(rig)
        await rig.steering.pause(execution)
        rig.acts["a"].let_go.set()
        await is_in(rig, execution, ExecutionState.PAUSED)
    async with open_rig() as rig:
        await rig.deploy("name: other\nnodes:\n  x: {type: act}")
        await rig.end(await rig.start("other"))
        assert (await rig.row(execution)).status is ExecutionState.PAUSED

        await rig.steering.resume(execution)
        await rig.end(execution)

        assert rig.ran() == ["x", "b"]


@pytest.mark.parametrize("state", [running, waiting, completed], ids=lambda make: make.__name__)
async def test_only_paused_and_blocked_executions_can_be_resumed(rig, state):
    execution = await state(rig)

    with pytest.raises(IllegalMove):
        await rig.steering.resume(execution)


async def test_finished_execution_can_not_be_paused_or_cancelled(rig):
    execution = await completed(rig)

    for order in (rig.steering.pause, rig.steering.cancel):
        with pytest.raises(IllegalMove, match="an execution that is completed can't become"):
            await order(execution)


async def test_unknown_execution_is_a_lookup_error(rig):
    for order in (rig.steering.pause, rig.steering.resume, rig.steering.cancel):
        with pytest.raises(LookupError, match="no execution nobody"):
            await order("nobody")


# --- cancel ---------------------------------------------------------------------------------------------------------


async def test_cancelled_while_queued_it_never_starts(open_rig):
    async with open_rig(max_executions=1) as rig:
        execution = await queued(rig)
        assert await rig.steering.cancel(execution) is ExecutionState.CANCELLED
        rig.acts["a"].let_go.set()
        await rig.kind(Kind.WORKFLOW_COMPLETED)
        await rig.settled()

        assert rig.called("a") == 1
        assert (await rig.row(execution)).status is ExecutionState.CANCELLED
        assert await kinds(rig, execution) == [Kind.WORKFLOW_CANCELLED]


async def test_cancelled_right_after_its_start_it_ends_cancelled(rig):
    await rig.deploy(TWO)
    rig.acts["a"] = held = Held()
    execution = await rig.start()

    await rig.steering.cancel(execution)
    held.let_go.set()

    assert (await rig.end(execution)).status is ExecutionState.CANCELLED


async def test_cancelled_while_running_the_attempt_is_asked_to_stop_and_its_result_is_kept(rig):
    execution = await running(rig)
    assert await rig.steering.cancel(execution, "not needed") is ExecutionState.CANCELLING
    assert (await rig.row(execution)).status is ExecutionState.CANCELLING
    held = rig.acts["a"]
    held.let_go.set()
    row = await rig.end(execution)

    assert row.status is ExecutionState.CANCELLED
    assert (held.asked_to_stop, held.cut_off) == (True, False)
    assert await rig.states(execution) == {"a": "completed", "b": "cancelled"}
    facts = await rig.facts(execution)
    assert b'"reason":"not needed"' in bytes(facts[-1].data)


async def test_attempt_that_does_not_stop_is_cut_off_after_the_grace_time(open_rig):
    async with open_rig(grace_seconds=0.02) as rig:
        execution = await running(rig)
        await rig.steering.cancel(execution)
        row = await rig.end(execution)

        assert row.status is ExecutionState.CANCELLED
        assert rig.acts["a"].cut_off
        assert await rig.states(execution) == {"a": "cancelled", "b": "cancelled"}


async def test_grace_time_of_zero_ends_an_attempt_that_has_not_begun(open_rig):
    async with open_rig(grace_seconds=0.0) as rig:
        await rig.deploy("name: w\nnodes:\n  a: {type: once}\n  b: {type: act}\n")
        rig.acts |= {"a": Held(), "b": Held()}
        execution = await rig.start()
        await rig.steering.cancel(execution)

        assert (await rig.end(execution)).status is ExecutionState.CANCELLED


async def test_cancelled_while_waiting_it_ends_at_once(rig):
    execution = await waiting(rig)

    assert await rig.steering.cancel(execution) is ExecutionState.CANCELLED
    assert await rig.states(execution) == {"s": "cancelled"}


async def test_cancelled_while_paused_it_ends_at_once(rig):
    execution = await waiting(rig)
    await rig.steering.pause(execution)

    assert await rig.steering.cancel(execution) is ExecutionState.CANCELLED


async def test_cancelled_while_in_doubt_it_ends_at_once(rig):
    execution = await in_doubt(rig)

    assert await rig.steering.cancel(execution) is ExecutionState.CANCELLED
    assert await rig.states(execution) == {"a": "cancelled"}


async def test_cancelled_twice_is_cancelled_once(rig):
    execution = await running(rig)
    await rig.steering.cancel(execution)
    await rig.steering.cancel(execution)
    with pytest.raises(IllegalMove, match="is cancelling"):
        await rig.steering.pause(execution)
    rig.acts["a"].let_go.set()
    await rig.end(execution)

    assert (await kinds(rig, execution)).count(Kind.WORKFLOW_CANCELLED) == 1


async def test_cancel_of_a_pausing_execution_wins(rig):
    execution = await running(rig)
    await rig.steering.pause(execution)
    await rig.steering.cancel(execution)
    rig.acts["a"].let_go.set()

    assert (await rig.end(execution)).status is ExecutionState.CANCELLED


async def test_cancel_is_not_forgotten_by_a_crash(open_rig, tmp_path):
    async with open_rig() as rig:
        execution = await running(rig)
        await rig.steering.cancel(execution)
        copy = await rig.copy_to(tmp_path / "copy")
        rig.acts["a"].let_go.set()
    async with open_rig(copy) as rig:
        row = await rig.end(execution)

        assert row.status is ExecutionState.CANCELLED
        assert rig.calls == []


async def test_orders_given_while_an_execution_parks_are_not_lost(rig):
    for order, state in ((rig.steering.cancel, "cancelled"), (rig.steering.pause, "paused")):
        await rig.deploy(SLEEPER)
        execution = await rig.start()
        await until_closed(rig, execution)

        await order(execution)

        assert (await rig.row(execution)).status == state


# --- resolve --------------------------------------------------------------------------------------------------------


async def test_resolved_as_completed_the_given_output_goes_on(rig, decoded):
    execution = await in_doubt(rig)
    await rig.ask("resolve", execution=execution, node="a", completed={"sent": True})
    row = await rig.end(execution)

    assert row.status is ExecutionState.COMPLETED
    assert decoded((await rig.nodes(execution))["b"].output) == {"sent": True}
    assert rig.called("a") == 1
    facts = [fact for fact in await rig.facts(execution) if fact.node == "a"]
    assert [fact.kind for fact in facts] == [Kind.NODE_IN_DOUBT, Kind.NODE_COMPLETED]


async def test_resolved_as_failed_the_rules_of_failure_apply(rig, decoded):
    execution = await in_doubt(rig)
    await rig.ask("resolve", execution=execution, node="a", failed="it never arrived")
    row = await rig.end(execution)

    assert row.status is ExecutionState.FAILED
    assert decoded(row.error) == {"kind": "resolved", "message": "it never arrived", "node": "a"}
    assert await rig.states(execution) == {"a": "failed", "b": "skipped"}


async def test_resolved_as_failed_a_node_takes_its_default(rig, decoded):
    rig.acts["a"] = Held()
    await rig.deploy(
        "name: w\nnodes:\n  a: {type: once, timeout: 5ms, default: none sent}\n  b: {type: act, data: '{{ nodes.a }}'}"
    )
    execution = await rig.start()
    await is_in(rig, execution, ExecutionState.WAITING)
    await rig.ask("resolve", execution=execution, node="a", failed="it never arrived")
    row = await rig.end(execution)

    assert row.status is ExecutionState.COMPLETED
    nodes = await rig.nodes(execution)
    assert decoded(nodes["b"].output) == "none sent"
    assert decoded(nodes["a"].error)["kind"] == "resolved"
    facts = [fact for fact in await rig.facts(execution) if fact.node == "a"]
    assert [fact.kind for fact in facts] == [Kind.NODE_IN_DOUBT, Kind.NODE_COMPLETED]


async def test_resolved_to_be_tried_again_it_runs_once_more(rig):
    execution = await in_doubt(rig)
    rig.acts["a"].let_go.set()
    await rig.ask("resolve", execution=execution, node="a", retry=True)
    row = await rig.end(execution)

    assert row.status is ExecutionState.COMPLETED
    assert [call.attempt for call in rig.calls if call.path == "a"] == [1, 2]
    assert len({call.key for call in rig.calls if call.path == "a"}) == 1


async def test_resolved_while_the_agent_dies_the_execution_goes_on_at_the_next_start(open_rig):
    async with open_rig() as rig:
        execution = await in_doubt(rig)
    async with open_rig(running=False) as rig:
        await rig.ask("resolve", execution=execution, node="a", completed=1)
    async with open_rig() as rig:
        assert (await rig.end(execution)).status is ExecutionState.COMPLETED


async def test_person_who_says_retry_is_obeyed_also_in_a_failing_execution(rig):
    rig.acts["a"] = held = Held()

    async def bad(ctx, data):
        await held.entered.wait()
        return Fail("no")

    rig.acts["bad"] = bad
    await rig.deploy("name: w\nnodes:\n  a: {type: once, timeout: 5ms}\n  bad: {type: act}\n")
    execution = await rig.start()
    await is_in(rig, execution, ExecutionState.WAITING)
    held.let_go.set()
    await rig.ask("resolve", execution=execution, node="a", retry=True)
    row = await rig.end(execution)

    assert row.status is ExecutionState.FAILED
    assert await rig.states(execution) == {"a": "completed", "bad": "failed"}


async def test_resolved_while_paused_it_waits_for_resume(rig):
    execution = await in_doubt(rig)
    await rig.steering.pause(execution)
    await rig.ask("resolve", execution=execution, node="a", completed=1)
    await rig.settled()
    assert (await rig.row(execution)).status is ExecutionState.PAUSED

    await rig.steering.resume(execution)

    assert (await rig.end(execution)).status is ExecutionState.COMPLETED


async def test_node_that_is_not_in_doubt_can_not_be_resolved(rig):
    execution = await running(rig)
    rig.acts["a"].let_go.set()
    await rig.end(execution)
    row = (await rig.nodes(execution))["a"]

    with pytest.raises(IllegalMove):
        await rig.steering.resolve(execution, row)


async def test_damaged_execution_can_be_cancelled(open_rig):
    async with open_rig() as rig:
        execution = await waiting(rig)
        await rig.store.submit(
            lambda tx: (
                tx.execute("UPDATE executions SET trigger = x'7b7d' WHERE id = ?", (execution,)),
                tx.execute("UPDATE nodes SET output = x'00' WHERE execution = ?", (execution,)),
            )
        )
        with pytest.raises(StoreCorrupt):
            await rig.row(execution)

        assert await rig.steering.cancel(execution) is ExecutionState.CANCELLED
