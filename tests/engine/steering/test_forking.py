"""`fork`: a new execution begins where another one stood."""

import asyncio

import pytest

from engine.contract import Done, Fail
from engine.definition import InvalidWorkflow
from engine.dispatch.catalogue import Unloadable
from engine.events import Kind
from engine.states import ExecutionState
from engine.steering.rerun import NothingToRun
from engine.steering.revival import UnknownPlace
from engine.values import InvalidValue

CHAIN = """\
name: w
params: {step: {type: integer, default: 1, max: 100}}
nodes:
  a: {type: act, data: "{{ trigger.data }}"}
  b: {type: act, data: "{{ nodes.a + params.step }}"}
  c: {type: act, data: "{{ nodes.b + params.step }}"}
outputs: "{{ nodes.c }}"
"""
SLEEPER = "name: w\nnodes:\n  a: {type: act}\n  s: {type: sleep, duration: 1h, needs: a}\n  z: {type: act, needs: s}\n"


async def done(rig, text=CHAIN, data=1) -> str:
    row = await rig.run(text, data)
    assert row.status is ExecutionState.COMPLETED
    rig.calls.clear()
    return row.id


async def test_from_a_node_with_other_params_what_came_before_is_taken_over(rig, decoded):
    old = await done(rig)
    forked = await rig.engine.forking.fork(old, place="b", params={"step": 10})
    row = await rig.end(forked.execution)

    assert (row.status, decoded(row.outputs), row.forked_from) == (ExecutionState.COMPLETED, 21, old)
    assert rig.ran() == ["b", "c"]
    assert (forked.kept, forked.version, forked.changed) == (1, 1, [])
    assert decoded((await rig.row(old)).outputs) == 3


async def test_from_the_beginning_with_other_data_everything_runs(rig, decoded):
    old = await done(rig)
    forked = await rig.engine.forking.fork(old, at=0, data=5)
    row = await rig.end(forked.execution)

    assert (decoded(row.outputs), row.trigger_value["data"], forked.kept) == (7, 5, 0)
    assert rig.ran() == ["a", "b", "c"]
    kinds = [fact.kind for fact in await rig.facts(forked.execution)]
    assert kinds[:2] == [Kind.WORKFLOW_FORKED, Kind.WORKFLOW_STARTED]


async def test_at_a_checkpoint_later_results_are_not_taken_over(rig):
    old = await done(rig)
    points = {row.path: row.seq for row in (await rig.nodes(old)).values()}
    forked = await rig.engine.forking.fork(old, at=points["b"], params={"step": 3})
    await rig.end(forked.execution)

    assert rig.ran() == ["c"]


async def test_keys_are_new_and_facts_say_where_it_comes_from(rig, decoded):
    row = await rig.run(CHAIN, 1)
    forked = await rig.engine.forking.fork(row.id, place="c")
    await rig.end(forked.execution)
    keys = [call.key for call in rig.calls if call.path == "c"]
    facts = await rig.facts(forked.execution)

    assert len(set(keys)) == 2
    assert [fact.kind for fact in facts] == [
        Kind.WORKFLOW_FORKED, Kind.WORKFLOW_STARTED, Kind.NODE_COMPLETED, Kind.WORKFLOW_COMPLETED,
    ]  # fmt: skip
    assert decoded(bytes(facts[0].data)) == {"from": row.id, "at": None, "node": "c", "kept": 2}
    assert (await rig.row(forked.execution)).root == forked.execution


async def test_what_failed_is_not_taken_over(rig):
    async def fail(ctx, data):
        return Fail("no")

    rig.acts["b"] = fail
    row = await rig.run(CHAIN, 1)
    rig.calls.clear()
    del rig.acts["b"]
    forked = await rig.engine.forking.fork(row.id)

    assert (await rig.end(forked.execution)).status is ExecutionState.COMPLETED
    assert rig.ran() == ["b", "c"]
    assert (await rig.row(row.id)).status is ExecutionState.FAILED


async def test_waits_start_anew_in_the_fork_of_a_waiting_execution(open_rig, clock):
    async with open_rig(clock=clock) as rig:
        await rig.deploy(SLEEPER)
        old = await rig.start()
        await rig.kind(Kind.NODE_WAITING, old)
        while (await rig.row(old)).status is not ExecutionState.WAITING:
            await rig.settled()
        clock.advance(1800)
        forked = await rig.engine.forking.fork(old)
        await rig.kind(Kind.NODE_WAITING, forked.execution)
        while (await rig.row(forked.execution)).status is not ExecutionState.WAITING:
            await rig.settled()
        due = [(await rig.nodes(id))["s"].due for id in (old, forked.execution)]
        assert due[1] - due[0] == 1_800_000_000
        clock.advance(3601)
        rig.executor.wake()

        assert (await rig.end(forked.execution)).status is ExecutionState.COMPLETED
        assert rig.called("a") == 1


async def test_running_execution_can_be_forked_and_goes_on(rig):
    hold, entered = asyncio.Event(), asyncio.Event()

    async def held(ctx, data):
        entered.set()
        await hold.wait()
        return Done(data)

    rig.acts["b"] = held
    await rig.deploy(CHAIN)
    old = await rig.start(data=1)
    await entered.wait()
    forked = await rig.engine.forking.fork(old)
    hold.set()

    for id in (old, forked.execution):
        assert (await rig.end(id)).status is ExecutionState.COMPLETED
    assert rig.called("a") == 1
    assert rig.called("b") == 2


async def test_on_another_version_changed_nodes_run_again_with_what_depends_on_them(rig, decoded):
    old = await done(rig)
    version = await rig.deploy(CHAIN.replace("nodes.b + params.step", "nodes.b * 10") + "#\n")
    forked = await rig.engine.forking.fork(old, version=version)
    row = await rig.end(forked.execution)

    assert (forked.changed, forked.kept, row.version) == (["c"], 2, version)
    assert decoded(row.outputs) == 20
    assert rig.ran() == ["c"]


async def test_on_another_version_nodes_that_are_gone_and_params_that_are_gone_are_left_behind(rig, decoded):
    await rig.deploy(CHAIN)
    old = (await rig.end(await rig.start(data=1, params={"step": 7}))).id
    version = await rig.deploy(
        "name: w\nnodes:\n  a: {type: act, data: '{{ trigger.data }}'}\n  d: {type: act, data: '{{ nodes.a * 2 }}'}\n"
        "outputs: '{{ nodes.d }}'\n"
    )
    forked = await rig.engine.forking.fork(old, version=version)

    assert decoded((await rig.end(forked.execution)).outputs) == 2
    assert forked.changed == ["b", "c"]
    assert set(await rig.nodes(forked.execution)) == {"a", "d"}


async def test_version_whose_predecessor_can_not_be_read_takes_nothing_over(open_rig):
    async with open_rig() as rig:
        old = await done(rig)
    async with open_rig(without=("act",)) as rig:
        version = await rig.deploy(CHAIN.replace("type: act", "type: calc"))
        forked = await rig.engine.forking.fork(old, version=version)

        assert (await rig.end(forked.execution)).status is ExecutionState.COMPLETED
        assert (forked.kept, forked.changed) == (0, ["a", "b", "c"])
        with pytest.raises(Unloadable):
            await rig.engine.forking.fork(old)


async def test_large_results_are_shared_and_outlive_the_old_execution(rig):
    async def large(ctx, data):
        return Done("x" * 100_000)

    rig.acts["a"] = large
    old = await done(rig, CHAIN.replace("nodes.a + params.step", "nodes.a|length"))
    del rig.acts["a"]
    forked = await rig.engine.forking.fork(old, place="b")
    await rig.end(forked.execution)

    assert await rig.store.read(lambda db: db.execute("SELECT COUNT(*) FROM large_values").fetchone()[0]) == 1
    assert await rig.store.read(lambda db: db.execute("SELECT COUNT(*) FROM value_uses").fetchone()[0]) == 2


async def test_refusals_change_nothing(rig):
    old = await done(rig)
    with pytest.raises(NothingToRun, match="--at to a checkpoint that `ganglion checkpoints"):
        await rig.engine.forking.fork(old)
    with pytest.raises(UnknownPlace):
        await rig.engine.forking.fork(old, place="zz")
    with pytest.raises(InvalidWorkflow, match="step"):
        await rig.engine.forking.fork(old, place="b", params={"step": 101})
    with pytest.raises(InvalidWorkflow):
        await rig.engine.forking.fork(old, place="b", params={"stp": 1})
    with pytest.raises(InvalidValue):
        await rig.engine.forking.fork(old, place="b", data="x" * 2_000_000)
    with pytest.raises(Unloadable, match="w version 9 is not in the store"):
        await rig.engine.forking.fork(old, version=9)
    with pytest.raises(LookupError):
        await rig.engine.forking.fork("nobody")

    assert await rig.store.read(lambda db: db.execute("SELECT COUNT(*) FROM executions").fetchone()[0]) == 1


async def test_fork_of_a_fork_names_the_one_it_was_made_of(rig):
    old = await done(rig)
    first = await rig.engine.forking.fork(old, place="c")
    await rig.end(first.execution)
    second = await rig.engine.forking.fork(first.execution, place="b")
    await rig.end(second.execution)

    assert (await rig.row(second.execution)).forked_from == first.execution
