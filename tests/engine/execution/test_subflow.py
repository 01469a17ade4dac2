"""Workflows as nodes: what the child gets and gives, how it ends, and that it is neither lost nor doubled."""

from pathlib import Path

import pytest

from engine.contract import Fail
from engine.definition import InvalidWorkflow
from engine.states import FINISHED, ExecutionState
from engine.store import waits

CHILD = """\
name: child
params: {factor: {type: integer, default: 2}}
nodes:
  work: {type: act, data: "{{ trigger.data * params.factor }}"}
outputs: "{{ nodes.work }}"
"""
PARENT = """\
name: w
nodes:
  sub: {type: workflow, workflow: child, input: "{{ trigger.data }}", params: {factor: 3}}
  after: {type: act, needs: sub, data: "{{ nodes.sub + 1 }}"}
outputs: "{{ nodes.after }}"
"""
SLOW = """\
name: child
params: {factor: {type: integer, default: 2}}
nodes:
  s: {type: sleep, duration: 1h}
  work: {type: act, needs: s}
"""
ONE = SLOW.replace("needs: s}", "needs: s, data: 1}") + "outputs: '{{ nodes.work }}'\n"


async def parked(rig, execution: str, state: ExecutionState = ExecutionState.WAITING) -> None:
    while (row := await rig.row(execution)).status is not state or execution in rig.executor._running:
        assert row.status not in FINISHED, row.error
        await rig.settled()


async def children(rig, execution: str) -> list[str]:
    return [child for child, *_ in await rig.store.read(lambda db: waits.children(db, execution))]


async def both(rig, text: str = PARENT, child: str = CHILD, data=7) -> tuple[str, str]:
    """A parent that is parked, and its child."""
    await rig.deploy(child)
    await rig.deploy(text)
    parent = await rig.start(data=data)
    await parked(rig, parent)
    [one] = await children(rig, parent)
    return parent, one


async def test_the_childs_outputs_are_the_nodes_output(rig, decoded):
    await rig.deploy(CHILD)
    row = await rig.run(PARENT, 7)

    assert decoded(row.outputs) == 22
    [child] = await children(rig, row.id)
    found = await rig.row(child)
    assert (found.parent, found.parent_path, found.depth, found.cause) == (row.id, "sub", 1, row.id)
    assert found.trigger_value["kind"] == "workflow"
    assert found.param_values == {"factor": 3}
    assert len({call.key for call in rig.calls}) == 2


async def test_a_parent_holds_no_slot_while_its_child_runs(open_rig, decoded):
    async with open_rig(max_executions=1) as rig:
        await rig.deploy(CHILD)
        await rig.deploy(
            "name: mid\nnodes:\n  s: {type: workflow, workflow: child, input: 1}\noutputs: '{{ nodes.s }}'\n"
        )
        row = await rig.run("name: w\nnodes:\n  s: {type: workflow, workflow: mid}\noutputs: '{{ nodes.s }}'\n")
        assert decoded(row.outputs) == 2


async def test_the_version_is_bound_when_the_child_starts(rig, decoded):
    await rig.deploy(CHILD)
    await rig.deploy(CHILD.replace("default: 2", "default: 5"))
    first = "name: a\nnodes:\n  s: {type: workflow, workflow: child@1, input: 1}\noutputs: '{{ nodes.s }}'\n"
    newest = first.replace("name: a", "name: b").replace("@1", "")

    assert decoded((await rig.run(first)).outputs) == 2
    assert decoded((await rig.run(newest)).outputs) == 5


async def test_a_child_that_fails_fails_the_node_with_its_error_and_id(rig, decoded):
    async def fail(ctx, data):
        return Fail("no pressure", kind="pump")

    rig.acts["work"] = fail
    await rig.deploy(CHILD)
    row = await rig.run(PARENT, 7)

    [child] = await children(rig, row.id)
    error = decoded(row.error)
    assert error["kind"] == "child"
    assert error["node"] == "sub"
    assert error["message"] == f"child failed in work: no pressure (execution {child})"


async def test_a_retry_starts_another_child(rig, decoded):
    tries = []

    async def once(ctx, data):
        tries.append(ctx.execution)
        return Fail("first") if len(tries) == 1 else __import__("engine.contract").contract.Done(4)

    rig.acts["work"] = once
    await rig.deploy(CHILD)
    row = await rig.run(PARENT.replace("params: {factor: 3}", "default: 41"), 7)

    assert decoded(row.outputs) == 42
    assert len(tries) == 1


@pytest.mark.parametrize(
    ("fields", "kind", "said"),
    [
        ("workflow: chidl", "not_found", "did you mean child?"),
        ("workflow: child@9", "not_found", "child version 9 is not in the store"),
        ("workflow: child@x", "invalid", "expected name@version"),
        ("workflow: child, params: {factor: many}", "invalid", "expected a whole number"),
        ("workflow: child, params: {fator: 1}", "invalid", "did you mean factor?"),
        ("file: sub/x.yaml", "invalid", "set workflows_dir"),
    ],
)
async def test_a_child_that_can_not_be_started_fails_the_node_with_the_remedy(rig, decoded, fields, kind, said):
    await rig.deploy(CHILD)
    row = await rig.run(f"name: w\nnodes:\n  s: {{type: workflow, {fields}}}\n")

    error = decoded(row.error)
    assert error["kind"] == kind
    assert said in error["message"]
    assert await children(rig, row.id) == []


async def test_a_workflow_that_calls_itself_ends_at_max_depth(rig, decoded):
    row = await rig.run("name: w\nnodes:\n  s: {type: workflow, workflow: w, max_depth: 3}\n")

    assert decoded(row.error)["kind"] == "child"
    assert "max_depth is 3" in decoded(row.error)["message"]
    count = await rig.store.read(lambda db: db.execute("SELECT COUNT(*) FROM executions").fetchone()[0])
    assert count == 4


async def test_a_child_that_its_own_parent_holds_up_is_refused(rig, decoded):
    text = "name: w\nflow: {key: 'params.k'}\nparams: {k: {type: integer, default: 1}}\nnodes:\n"
    same = "  s: {type: workflow, workflow: w}\n"
    row = await rig.run(text + same)
    assert decoded(row.error)["kind"] == "recursion"
    assert "it would wait for itself" in decoded(row.error)["message"]

    other = "  s: {type: workflow, when: params.k < 3, workflow: w, params: {k: '{{ params.k + 1 }}'}}\n"
    assert (await rig.run(text + other)).status is ExecutionState.COMPLETED


async def test_what_a_child_inherits(rig, decoded):
    await rig.deploy("""\
name: child
params: {site: {type: string, default: here}}
vars: {tries: 0, other: 1}
nodes:
  a: {type: calc, data: "{{ [trigger.id, trigger.data, params.site, vars.tries, vars.other] }}"}
outputs: "{{ nodes.a }}"
""")
    parent = """\
name: w
vars: {tries: 4}
params: {site: {type: string, default: berlin}, x: {type: any, default: 1}}
nodes:
  s: {type: workflow, workflow: child, inherit: [trigger, params, vars]}
outputs: "{{ nodes.s }}"
"""
    assert decoded((await rig.run(parent, {"n": 1})).outputs) == ["", {"n": 1}, "berlin", 4, 1]
    other = parent.replace("name: w", "name: v").replace("inherit:", "input: 5, inherit:")
    assert decoded((await rig.run(other, {"n": 1})).outputs) == ["", 5, "berlin", 4, 1]


async def test_a_child_that_nobody_waits_for_is_on_its_own(rig, decoded):
    await rig.deploy(SLOW)
    row = await rig.run(
        "name: w\nnodes:\n  s: {type: workflow, workflow: child, wait: false}\noutputs: '{{ nodes.s }}'\n"
    )

    child = decoded(row.outputs)["execution"]
    found = await rig.row(child)
    assert (found.parent, found.cause, found.hops) == ("", row.id, 1)
    await parked(rig, child)


# --- files ----------------------------------------------------------------------------------------------------------


async def test_a_file_is_started_without_being_deployed(rig, decoded, tmp_path):
    home = tmp_path / "flows"
    (home / "sub").mkdir(parents=True)
    (home / "sub" / "child.yaml").write_text(CHILD)
    rig.engine.services.workflows_dir = home
    text = "name: w\nnodes:\n  s: {type: workflow, file: sub/child.yaml, input: 4}\noutputs: '{{ nodes.s }}'\n"

    assert decoded((await rig.run(text)).outputs) == 8
    assert decoded((await rig.end(await rig.start())).outputs) == 8
    assert "child" not in rig.engine.catalogue.active
    versions = await rig.store.read(
        lambda db: db.execute("SELECT version, active FROM definitions WHERE workflow = 'child'").fetchall()
    )
    assert versions == [(1, 0)]


@pytest.mark.parametrize(
    ("file", "kind", "said"),
    [
        ("'{{ trigger.data }}'", "not_allowed", "only files there"),
        ("link.yaml", "not_allowed", "only files there"),
        ("sub/chidl.yaml", "not_found", "did you mean sub/child.yaml?"),
        ("sub", "not_found", "is a directory"),
        ("bad.yaml", "invalid", "nodes is missing"),
    ],
)
async def test_files_outside_or_unfit_are_refused(rig, decoded, tmp_path: Path, file, kind, said):
    home = tmp_path / "flows"
    (home / "sub").mkdir(parents=True)
    (home / "sub" / "child.yaml").write_text(CHILD)
    (home / "bad.yaml").write_text("name: bad\n")
    (tmp_path / "secret.yaml").write_text(CHILD)
    (home / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    rig.engine.services.workflows_dir = home
    row = await rig.run(f"name: w\nnodes:\n  s: {{type: workflow, file: {file}}}\n", "../secret.yaml")

    assert decoded(row.error)["kind"] == kind
    assert said in decoded(row.error)["message"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("", "takes exactly one of workflow and file"),
        ("workflow: a, file: b", "takes exactly one of workflow and file"),
        ("file: ../x.yaml", "only files inside the directory"),
        ("file: /etc/x.yaml", "only files inside the directory"),
        ("workflow: a, inherit: [all]", "inherit"),
    ],
)
async def test_mistakes_are_told_when_the_file_is_read(rig, fields, said):
    with pytest.raises(InvalidWorkflow, match=said):
        await rig.deploy(f"name: w\nnodes:\n  a: {{type: workflow, {fields}}}\n")


# --- steering, and the end of the process -----------------------------------------------------------------------------


async def test_cancel_reaches_the_children_and_theirs(rig):
    await rig.deploy(SLOW)
    await rig.deploy("name: mid\nnodes:\n  s: {type: workflow, workflow: child}\n")
    parent, mid = await both(rig, "name: w\nnodes:\n  s: {type: workflow, workflow: mid}\n", SLOW)
    await parked(rig, mid)
    [child] = await children(rig, mid)
    await parked(rig, child)

    await rig.steering.cancel(parent)
    for execution in (mid, child):
        assert (await rig.end(execution)).status is ExecutionState.CANCELLED
    assert rig.calls == []


async def test_a_parent_whose_time_is_over_takes_its_child_along(rig):
    await rig.deploy(SLOW)
    row = await rig.run("name: w\ntimeout: 100ms\nnodes:\n  s: {type: workflow, workflow: child}\n")
    [child] = await children(rig, row.id)

    assert row.status is ExecutionState.FAILED
    assert (await rig.end(child)).status is ExecutionState.CANCELLED


async def test_pause_and_resume_reach_the_children(open_rig, clock, decoded):
    async with open_rig(clock=clock) as rig:
        parent, child = await both(rig, child=SLOW)
        await parked(rig, child)
        await rig.steering.pause(parent)
        for execution in (parent, child):
            assert (await rig.row(execution)).status is ExecutionState.PAUSED
        clock.advance(7200)
        rig.executor.wake()
        await rig.settled()
        assert rig.calls == []

        await rig.steering.resume(parent)
        await rig.end(child)
        assert (await rig.end(parent)).status is ExecutionState.FAILED  # null + 1


async def test_a_child_that_is_cancelled_fails_the_node(rig, decoded):
    parent, child = await both(rig, child=SLOW)
    await rig.steering.cancel(child)

    assert "child cancelled" in decoded((await rig.end(parent)).error)["message"]


async def test_a_child_that_ends_while_its_parent_is_paused_is_taken_on_resume(open_rig, clock, decoded):
    async with open_rig(clock=clock) as rig:
        parent, child = await both(rig, child=ONE)
        await parked(rig, child)
        await rig.steering.pause(parent)
        await rig.steering.resume(child)
        clock.advance(7200)
        rig.executor.wake()
        await rig.end(child)
        await rig.settled()
        assert (await rig.row(parent)).status is ExecutionState.PAUSED

        await rig.steering.resume(parent)
        assert decoded((await rig.end(parent)).outputs) == 2


async def test_a_restart_between_the_childs_end_and_the_parents_wake_loses_nothing(open_rig, clock, decoded, acting):
    async with open_rig(clock=clock, acting=acting) as rig:
        parent, child = await both(rig, child=SLOW)
        await parked(rig, child)
    async with open_rig(clock=clock, acting=acting, running=False) as rig:
        await rig.steering.cancel(child)  # its end is committed, and nobody is there to be told
    async with open_rig(clock=clock, acting=acting) as rig:
        assert decoded((await rig.end(parent)).error)["kind"] == "child"
        assert len(await children(rig, parent)) == 1


async def test_orphans_are_found_at_the_next_start(open_rig, clock):
    async with open_rig(clock=clock) as rig:
        parent, child = await both(rig, child=SLOW)
        await parked(rig, child)
    async with open_rig(clock=clock, running=False) as rig:
        await rig.steering.cancel(parent)
        assert (await rig.row(child)).status is ExecutionState.WAITING
    async with open_rig(clock=clock) as rig:
        assert (await rig.end(child)).status is ExecutionState.CANCELLED
