"""Retry, fork, resolve, cancel and pause of executions whose nodes hold nodes."""

import asyncio

import pytest

from engine.contract import Done, Fail
from engine.events import Kind
from engine.states import ExecutionState

SCAN = """\
name: w
nodes:
  list: {type: act, data: [1, 2, 3, 4]}
  scan:
    type: foreach
    items: nodes.list
    as: row
    concurrency: 2
    nodes:
      fetch: {type: act, data: "{{ row * 10 }}"}
      keep: {type: act, data: "{{ nodes.fetch + 1 }}"}
    output: "{{ nodes.keep }}"
  total: {type: act, data: "{{ nodes.scan }}"}
outputs: "{{ nodes.total }}"
"""
SAFE = """\
name: w
nodes:
  safe:
    type: try
    nodes:
      first: {type: act}
      risky: {type: act, needs: first}
    catch: {nodes: {notify: {type: act, data: "{{ error.message }}"}}}
    finally: {nodes: {clean: {type: act}}}
  after: {type: act, needs: safe}
"""
LOOP = """\
name: w
vars: {tries: 0}
nodes:
  poll:
    type: while
    condition: vars.tries < 4
    nodes:
      look: {type: act, data: "{{ index }}"}
      count: {type: set, needs: look, vars: {tries: "{{ vars.tries + 1 }}"}}
  done: {type: act, needs: poll, data: "{{ vars.tries }}"}
outputs: "{{ nodes.done }}"
"""
PAY = """\
name: w
nodes:
  scan:
    type: foreach
    items: "[1, 2]"
    nodes:
      pay: {type: once, data: "{{ item }}", timeout: 5ms}
    output: "{{ nodes.pay }}"
outputs: "{{ nodes.scan }}"
"""
GUARDED_SLEEP = """\
name: w
nodes:
  safe:
    type: try
    nodes: {s: {type: sleep, duration: 1h}}
    finally: {nodes: {clean: {type: act}}}
"""


def failing(ctx_path_data):
    """Code that fails for some data, until told otherwise."""
    broken = {"on": True}

    async def act(ctx, data):
        return Fail("no") if broken["on"] and data in ctx_path_data else Done(data)

    return broken, act


async def is_in(rig, id, state):
    while (row := await rig.row(id)).status is not state or id in rig.executor._running:
        await rig.settled()
    return row


# --- retry ----------------------------------------------------------------------------------------------------------


async def test_iterations_that_ended_are_not_run_again(rig, decoded):
    broken, act = failing([30])
    rig.acts |= {f"scan[{n}]/fetch": act for n in range(4)}
    row = await rig.run(SCAN)
    assert row.status is ExecutionState.FAILED
    ran = set(rig.ran())
    rig.calls.clear()
    rig.seen.clear()
    broken["on"] = False
    await rig.engine.rerun.retry(row.id)
    row = await rig.end(row.id)

    assert decoded(row.outputs) == [11, 21, 31, 41]
    again = set(rig.ran())
    assert {"scan[2]/fetch", "scan[2]/keep", "total"} <= again
    assert not {"list", "scan[0]/fetch", "scan[0]/keep", "scan[1]/fetch", "scan[1]/keep"} & again
    assert {"list", "scan[0]/keep", "scan[1]/keep"} <= ran


async def test_one_iteration_is_run_again_from_a_node_in_it(rig, decoded):
    broken, act = failing([[11, 21, 31, 41]])
    rig.acts["total"] = act
    row = await rig.run(SCAN)
    assert row.status is ExecutionState.FAILED
    rig.calls.clear()
    rig.seen.clear()
    broken["on"] = False
    retried = await rig.engine.rerun.retry(row.id, "scan[2]/keep")
    row = await rig.end(row.id)

    assert (row.status, sorted(rig.ran())) == (ExecutionState.COMPLETED, ["scan[2]/keep", "total"])
    assert sorted(retried.forgotten) == ["scan[2]", "scan[2]/keep", "total"]
    assert decoded(row.outputs) == [11, 21, 31, 41]


async def test_try_that_failed_goes_through_catch_and_finally_again(rig):
    broken, act = failing([None, "no"])
    rig.acts |= {"safe/try/risky": act, "safe/catch/notify": act}
    row = await rig.run(SAFE)
    assert row.status is ExecutionState.FAILED
    assert rig.ran() == ["safe/try/first", "safe/try/risky", "safe/catch/notify", "safe/finally/clean"]
    rig.calls.clear()
    rig.seen.clear()
    broken["on"] = False
    await rig.engine.rerun.retry(row.id)
    row = await rig.end(row.id)

    assert row.status is ExecutionState.COMPLETED
    assert rig.ran() == ["safe/try/risky", "safe/finally/clean", "after"]


async def test_rounds_after_the_one_that_is_forgotten_run_again_with_vars_as_they_were(rig, decoded):
    broken, act = failing([4])
    rig.acts["done"] = act
    row = await rig.run(LOOP)
    assert row.status is ExecutionState.FAILED
    rig.calls.clear()
    rig.seen.clear()
    broken["on"] = False
    await rig.engine.rerun.retry(row.id, "poll[2]/look")
    row = await rig.end(row.id)

    assert (row.status, decoded(row.outputs)) == (ExecutionState.COMPLETED, 4)
    assert rig.ran() == ["poll[2]/look", "poll[3]/look", "done"]


# --- fork -----------------------------------------------------------------------------------------------------------


async def test_fork_inside_a_loop_takes_over_the_rounds_before(rig, decoded):
    row = await rig.run(LOOP)
    rig.calls.clear()
    at = (await rig.nodes(row.id))["poll[1]"].seq
    forked = await rig.engine.forking.fork(row.id, at=at)
    end = await rig.end(forked.execution)

    assert decoded(end.outputs) == 4
    assert rig.ran() == ["poll[2]/look", "poll[3]/look", "done"]


async def test_fork_at_any_checkpoint_comes_to_the_same_result(rig, decoded):
    row = await rig.run(SCAN)
    last = max(node.seq for node in (await rig.nodes(row.id)).values())
    for at in range(last):
        forked = await rig.engine.forking.fork(row.id, at=at)
        end = await rig.end(forked.execution)
        assert (end.status, decoded(end.outputs)) == (ExecutionState.COMPLETED, [11, 21, 31, 41]), at


async def test_fork_without_an_iteration_runs_that_alone_and_what_follows(rig):
    row = await rig.run(SCAN)
    rig.calls.clear()
    forked = await rig.engine.forking.fork(row.id, place="scan[1]")
    await rig.end(forked.execution)

    assert rig.ran() == ["scan[1]/fetch", "scan[1]/keep", "total"]


async def test_changed_node_in_a_body_is_run_again_in_every_iteration(rig, decoded):
    row = await rig.run(SCAN)
    rig.calls.clear()
    version = await rig.deploy(SCAN.replace("nodes.fetch + 1", "nodes.fetch + 2"))
    forked = await rig.engine.forking.fork(row.id, version=version)
    end = await rig.end(forked.execution)

    assert forked.changed == ["keep"]
    assert decoded(end.outputs) == [12, 22, 32, 42]
    assert sorted(rig.ran()) == [*(f"scan[{n}]/keep" for n in range(4)), "total"]


# --- resolve --------------------------------------------------------------------------------------------------------


async def test_node_in_an_iteration_is_resolved_by_its_path(rig, decoded):
    async def hang(ctx, data):
        await asyncio.Event().wait()

    rig.acts |= {"scan[0]/pay": hang, "scan[1]/pay": hang}
    await rig.deploy(PAY)
    id = await rig.start()
    for n, answer in enumerate((7, 8)):
        await rig.kind(Kind.NODE_IN_DOUBT, id, f"scan[{n}]/pay")
        await is_in(rig, id, ExecutionState.WAITING)
        await rig.ask("resolve", execution=id, node=f"scan[{n}]/pay", completed=answer)
    row = await rig.end(id)

    assert decoded(row.outputs) == [7, 8]
    rows = (await rig.nodes(id)).values()
    assert len({row.seq for row in rows}) == len(rows)


# --- cancel ---------------------------------------------------------------------------------------------------------


async def test_cancelled_while_parked_in_a_try_its_finally_runs(rig):
    await rig.deploy(GUARDED_SLEEP)
    id = await rig.start()
    await rig.kind(Kind.NODE_WAITING, id)
    await is_in(rig, id, ExecutionState.WAITING)

    assert await rig.steering.cancel(id, "enough") is ExecutionState.CANCELLING
    row = await rig.end(id)
    assert (row.status, row.reason) == (ExecutionState.CANCELLED, "enough")
    assert rig.ran() == ["safe/finally/clean"]
    assert (await rig.states(id))["safe/try/s"] == "cancelled"


async def test_cancelled_while_paused_in_a_try_its_finally_runs_also_after_a_restart(open_rig):
    async with open_rig() as rig:
        await rig.deploy(GUARDED_SLEEP)
        id = await rig.start()
        await rig.kind(Kind.NODE_WAITING, id)
        await is_in(rig, id, ExecutionState.WAITING)
        await rig.steering.pause(id)
    async with open_rig(running=False) as rig:
        assert await rig.steering.cancel(id, "enough") is ExecutionState.CANCELLING
    async with open_rig() as rig:
        row = await rig.end(id)

        assert (row.status, row.reason) == (ExecutionState.CANCELLED, "enough")
        assert rig.ran() == ["safe/finally/clean"]


async def test_cancelling_what_can_not_be_loaded_ends_without_its_finally(open_rig):
    async with open_rig() as rig:
        await rig.deploy(GUARDED_SLEEP)
        id = await rig.start()
        await rig.kind(Kind.NODE_WAITING, id)
        await is_in(rig, id, ExecutionState.WAITING)
    async with open_rig(without=("act",)) as rig:
        await rig.steering.cancel(id, "enough")
        row = await rig.end(id)

        assert (row.status, row.reason) == (ExecutionState.CANCELLED, "enough")


# --- pause ----------------------------------------------------------------------------------------------------------


async def test_wish_to_pause_outlives_the_process(open_rig, tmp_path):
    hold, entered = asyncio.Event(), asyncio.Event()

    async def held(ctx, data):
        entered.set()
        await hold.wait()
        return Done(data)

    async with open_rig() as rig:
        rig.acts["scan[0]/fetch"] = held
        await rig.deploy(SCAN)
        id = await rig.start()
        await entered.wait()
        await rig.steering.pause(id)
        assert (await rig.row(id)).status is ExecutionState.RUNNING
        assert (await rig.ask("list"))["executions"][0]["status"] == "pausing"
        copy = await rig.copy_to(tmp_path / "copy")
        hold.set()
    async with open_rig(copy) as rig:
        await rig.kind(Kind.WORKFLOW_PAUSED, id)
        assert (await is_in(rig, id, ExecutionState.PAUSED)).pausing == 0
        assert rig.calls == []
        await rig.steering.resume(id)

        assert (await rig.end(id)).status is ExecutionState.COMPLETED


async def test_pause_that_was_taken_back_is_forgotten(open_rig, tmp_path):
    hold, entered = asyncio.Event(), asyncio.Event()

    async def held(ctx, data):
        entered.set()
        await hold.wait()
        return Done(data)

    async with open_rig() as rig:
        rig.acts["list"] = held
        await rig.deploy(SCAN)
        id = await rig.start()
        await entered.wait()
        await rig.steering.pause(id)
        await rig.steering.resume(id)
        copy = await rig.copy_to(tmp_path / "copy")
        hold.set()
        await rig.end(id)
    async with open_rig(copy) as rig:
        assert (await rig.end(id)).status is ExecutionState.COMPLETED


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
async def test_pause_is_a_checkpoint_whatever_the_durability(open_rig, tmp_path, durability):
    hold, entered = asyncio.Event(), asyncio.Event()

    async def held(ctx, data):
        entered.set()
        await hold.wait()
        return Done(data)

    async with open_rig() as rig:
        rig.acts["scan[2]/fetch"] = held
        await rig.deploy(SCAN.replace("nodes:", f"durability: {durability}\nnodes:", 1))
        id = await rig.start()
        await entered.wait()
        await rig.steering.pause(id)
        hold.set()
        await is_in(rig, id, ExecutionState.PAUSED)
        copy = await rig.copy_to(tmp_path / "copy")
        before = set(rig.ran())
    async with open_rig(copy) as rig:
        await rig.steering.resume(id)
        await rig.end(id)

        assert not before & set(rig.ran())
