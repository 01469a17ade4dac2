"""Failures that are handled, and what runs in any case."""

import asyncio

from engine.contract import Done, Fail
from engine.events import Kind
from engine.states import ExecutionState

SAFE = """
name: w
nodes:
  safe:
    type: try
    nodes:
      make: {type: act, data: made}
      risky: {type: act, needs: make, data: fine}
    output: "{{ nodes.risky }}"
    catch:
      as: problem
      nodes:
        handle: {type: act, data: "{{ problem }}"}
    finally:
      nodes:
        clean: {type: act, data: "{{ nodes.make | default('nothing') }}"}
  after: {type: act, data: "{{ nodes.safe }}"}
outputs: "{{ nodes.safe }}"
"""


async def refuse(ctx, data):
    return Fail("no answer", kind="broken")


async def forever(ctx, data):
    await asyncio.Event().wait()


async def kept(rig, execution, decoded):
    return {path: decoded(row.output) for path, row in (await rig.nodes(execution)).items()}


async def test_without_a_failure_catch_is_left_out_and_finally_runs(rig, decoded):
    row = await rig.run(SAFE)
    assert row.status is ExecutionState.COMPLETED
    assert decoded(row.outputs) == "fine"
    assert rig.ran() == ["safe/try/make", "safe/try/risky", "safe/finally/clean", "after"]
    assert (await kept(rig, row.id, decoded))["safe/finally/clean"] == "made"


async def test_catch_gets_the_error_and_what_it_gives_replaces_the_output(rig, decoded):
    rig.acts["safe/try/risky"] = refuse
    row = await rig.run(SAFE)
    assert row.status is ExecutionState.COMPLETED
    assert decoded(row.outputs) == {"kind": "broken", "message": "no answer", "node": "safe/try/risky"}
    assert rig.ran() == ["safe/try/make", "safe/try/risky", "safe/catch/handle", "safe/finally/clean", "after"]


async def test_catch_that_fails_fails_the_node_after_finally(rig, decoded):
    rig.acts.update({"safe/try/risky": refuse, "safe/catch/handle": refuse})
    row = await rig.run(SAFE)
    assert row.status is ExecutionState.FAILED
    assert decoded(row.error) == {"kind": "broken", "message": "no answer", "node": "safe"}
    assert rig.ran()[-1] == "safe/finally/clean"


async def test_finally_that_fails_fails_the_node(rig, decoded):
    rig.acts["safe/finally/clean"] = refuse
    row = await rig.run(SAFE)
    assert row.status is ExecutionState.FAILED
    assert decoded(row.error)["node"] == "safe"


async def test_without_catch_the_error_goes_on_after_finally(rig, decoded):
    text = """
name: w
nodes:
  safe:
    type: try
    nodes: {risky: {type: act}}
    finally: {nodes: {clean: {type: act}}}
"""
    rig.acts["safe/try/risky"] = refuse
    row = await rig.run(text)
    assert row.status is ExecutionState.FAILED
    assert rig.ran() == ["safe/try/risky", "safe/finally/clean"]


async def test_finally_runs_when_the_execution_is_cancelled(open_rig):
    async with open_rig(grace_seconds=0.01) as rig:
        rig.acts["safe/try/risky"] = forever
        await rig.deploy(SAFE)
        execution = await rig.start()
        await rig.kind(Kind.NODE_STARTED, execution, "safe/try/risky")
        await rig.steering.cancel(execution)
        row = await rig.end(execution)
        assert row.status is ExecutionState.CANCELLED
        assert rig.ran() == ["safe/try/make", "safe/try/risky", "safe/finally/clean"]
        assert (await rig.states(execution))["safe/finally/clean"] == "completed"


async def test_finally_is_not_told_that_it_is_cancelled(open_rig):
    seen = []

    async def look(ctx, data):
        seen.append(ctx.cancelled)
        return Done()

    async with open_rig(grace_seconds=0.01) as rig:
        rig.acts.update({"safe/try/risky": forever, "safe/finally/clean": look})
        await rig.deploy(SAFE)
        execution = await rig.start()
        await rig.kind(Kind.NODE_STARTED, execution, "safe/try/risky")
        await rig.steering.cancel(execution)
        await rig.end(execution)
        assert seen == [False]


async def test_finally_runs_when_another_node_has_failed_the_execution(rig):
    gate = asyncio.Event()

    async def hold(ctx, data):
        await gate.wait()
        return Done(data)

    rig.acts.update({"safe/try/make": hold, "other": refuse})
    await rig.deploy(SAFE.replace("outputs:", "  other: {type: act}\noutputs:"))
    execution = await rig.start()
    await rig.kind(Kind.NODE_FAILED, execution, "other")
    gate.set()
    row = await rig.end(execution)
    assert row.status is ExecutionState.FAILED
    assert rig.called("safe/try/risky") == 0
    assert rig.called("safe/finally/clean") == 1


async def test_finally_runs_when_the_workflows_time_is_over(rig, decoded):
    rig.acts["safe/try/risky"] = forever
    row = await rig.run(SAFE.replace("nodes:", "timeout: 100ms\nnodes:", 1))
    assert row.status is ExecutionState.FAILED
    assert decoded(row.error)["kind"] == "timeout"
    assert rig.ran()[-1] == "safe/finally/clean"


async def test_finally_runs_after_a_kill_in_the_nodes(open_rig, tmp_path, decoded):
    async with open_rig() as rig:
        rig.acts["safe/try/risky"] = forever
        await rig.deploy(SAFE)
        execution = await rig.start()
        await rig.kind(Kind.NODE_STARTED, execution, "safe/try/risky")
        await rig.settled()
        copy = await rig.copy_to(tmp_path / "copy")
    async with open_rig(copy) as rig:
        row = await rig.end(execution)
        assert row.status is ExecutionState.COMPLETED
        assert rig.ran() == ["safe/try/risky", "safe/finally/clean", "after"]


async def test_kill_in_catch_repeats_catch_alone(open_rig, tmp_path, decoded):
    async with open_rig() as rig:
        rig.acts.update({"safe/try/risky": refuse, "safe/catch/handle": forever})
        await rig.deploy(SAFE)
        execution = await rig.start()
        await rig.kind(Kind.NODE_STARTED, execution, "safe/catch/handle")
        await rig.settled()
        copy = await rig.copy_to(tmp_path / "copy")
    async with open_rig(copy) as rig:
        row = await rig.end(execution)
        assert decoded(row.outputs)["kind"] == "broken"
        assert rig.ran() == ["safe/catch/handle", "safe/finally/clean", "after"]
        assert (await kept(rig, execution, decoded))["safe/finally/clean"] == "made"


async def test_kill_in_finally_of_a_cancelled_execution_repeats_finally_alone(open_rig, tmp_path):
    async with open_rig(grace_seconds=0.01) as rig:
        rig.acts.update({"safe/try/risky": forever, "safe/finally/clean": forever})
        await rig.deploy(SAFE)
        execution = await rig.start()
        await rig.kind(Kind.NODE_STARTED, execution, "safe/try/risky")
        await rig.steering.cancel(execution)
        await rig.kind(Kind.NODE_STARTED, execution, "safe/finally/clean")
        await rig.settled()
        copy = await rig.copy_to(tmp_path / "copy")
    async with open_rig(copy) as rig:
        row = await rig.end(execution)
        assert row.status is ExecutionState.CANCELLED
        assert rig.ran() == ["safe/finally/clean"]


async def test_kill_while_it_is_cancelled_still_runs_finally(open_rig, tmp_path):
    async with open_rig(grace_seconds=60.0) as rig:
        rig.acts["safe/try/risky"] = forever
        await rig.deploy(SAFE)
        execution = await rig.start()
        await rig.kind(Kind.NODE_STARTED, execution, "safe/try/risky")
        await rig.steering.cancel(execution)
        await rig.settled()
        copy = await rig.copy_to(tmp_path / "copy")
    async with open_rig(copy) as rig:
        row = await rig.end(execution)
        assert row.status is ExecutionState.CANCELLED
        assert rig.ran() == ["safe/finally/clean"]
        assert "running" not in (await rig.states(execution)).values()


async def test_finally_in_an_iteration_of_a_loop_runs_when_that_is_cancelled(open_rig, tmp_path):
    text = """
name: w
nodes:
  scan:
    type: foreach
    items: "[1, 2]"
    nodes:
      safe:
        type: try
        nodes: {risky: {type: act}}
        finally: {nodes: {clean: {type: act}}}
"""
    async with open_rig(grace_seconds=60.0) as rig:
        rig.acts["scan[0]/safe/try/risky"] = forever
        await rig.deploy(text)
        execution = await rig.start()
        await rig.kind(Kind.NODE_STARTED, execution, "scan[0]/safe/try/risky")
        await rig.steering.cancel(execution)
        await rig.settled()
        copy = await rig.copy_to(tmp_path / "copy")
    async with open_rig(copy) as rig:
        row = await rig.end(execution)
        assert row.status is ExecutionState.CANCELLED
        assert rig.ran() == ["scan[0]/safe/finally/clean"]
