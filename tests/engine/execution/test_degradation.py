"""Parts of a workflow fail, and the rest goes on as the workflow says."""

import pytest

from engine.contract import Done, Fail
from engine.events import Kind

TREE = """
name: w
{degradation}
nodes:
  bonus: {{type: act, critical: false}}
  uses: {{type: act, needs: bonus}}
  later: {{type: act, needs: uses}}
  mends: {{type: act, needs: bonus, run_if: failed}}
  main: {{type: act}}
  end: {{type: act, needs: main}}
"""


async def fail(ctx, data):
    return Fail("no", kind="offline")


@pytest.mark.parametrize(
    ("degradation", "state", "states"),
    [
        ("", "partial", {"uses": "completed", "later": "completed", "mends": "completed", "end": "completed"}),
        (
            "degradation: {dependents: skip}",
            "partial",
            {"uses": "skipped", "later": "skipped", "mends": "completed", "end": "completed"},
        ),
        (
            "degradation: {dependents: fail}",
            "failed",
            {"uses": "skipped", "later": "skipped", "mends": "completed"},
        ),
    ],
)
async def test_dependents_of_a_failed_node_run_are_skipped_or_fail_the_execution(rig, degradation, state, states):
    rig.acts["bonus"] = fail
    row = await rig.run(TREE.format(degradation=degradation))

    assert row.status == state
    found = await rig.states(row.id)
    assert {path: found[path] for path in states} == states
    assert found["bonus"] == "failed"


async def test_a_node_nobody_relies_on_may_fail_also_where_dependents_fail(rig):
    rig.acts["bonus"] = fail
    row = await rig.run(
        "name: w\ndegradation: {dependents: fail}\nnodes:\n  bonus: {type: act, critical: false}\n"
        "  tells: {type: act, needs: bonus, run_if: failed}\n  main: {type: act}\n"
    )
    assert row.status == "partial"


async def test_a_join_of_any_runs_on_what_is_left(rig):
    rig.acts["one"] = fail
    row = await rig.run(
        "name: w\ndegradation: {dependents: skip}\nnodes:\n  one: {type: act, critical: false}\n"
        "  two: {type: act}\n  both: {type: act, needs: [one, two]}\n"
        "  either: {type: act, needs: [one, two], join: any}\n"
    )
    assert (await rig.states(row.id))["both"] == "skipped"
    assert (await rig.states(row.id))["either"] == "completed"


async def test_more_than_max_failures_fail_the_execution(rig, decoded):
    async def fail_or_wait(ctx, data):
        return Fail("no") if data else Done()

    nodes = "".join(
        f"  n{i}: {{type: act, critical: false, data: true, needs: {[f'n{i - 1}'][:i]}}}\n" for i in range(5)
    )
    rig.acts |= {f"n{i}": fail_or_wait for i in range(5)}
    row = await rig.run(f"name: w\ndegradation: {{max_failures: 2}}\nnodes:\n{nodes}")

    assert row.status == "failed"
    assert decoded(row.error) == {
        "kind": "failures",
        "message": "3 nodes failed, more than degradation.max_failures allows (2); `ganglion show` tells which",
        "node": None,
    }
    assert [rig.called(f"n{i}") for i in range(5)] == [1, 1, 1, 0, 0]


async def test_as_many_failures_as_allowed_end_partial(rig):
    rig.acts |= {"a": fail, "b": fail}
    row = await rig.run(
        "name: w\ndegradation: {max_failures: 2}\nnodes:\n  a: {type: act, critical: false}\n"
        "  b: {type: act, on_error: continue}\n"
    )
    assert row.status == "partial"


async def test_failures_in_loops_count(rig, decoded):
    async def odd(ctx, data):
        return Fail("odd") if data % 2 else Done(data)

    rig.acts |= {f"scan[{i}]/look": odd for i in range(10)}
    row = await rig.run(
        "name: w\ndegradation: {max_failures: 3}\nnodes:\n"
        "  scan: {type: foreach, items: '[0,1,2,3,4,5,6,7,8,9]', nodes: {look: {type: act, on_error: continue,"
        " data: '{{ item }}'}}}\n"
    )
    assert row.status == "failed"
    assert decoded(row.error)["kind"] == "failures"
    assert len(rig.calls) == 8


async def test_the_end_tells_what_became_of_the_nodes(rig, decoded):
    rig.acts["bonus"] = fail
    row = await rig.run(TREE.format(degradation="degradation: {dependents: skip}"))

    found = decoded(row.statistics)
    assert {name: found[name] for name in ("completed", "failed", "skipped", "cancelled", "nodes")} == {
        "completed": 3, "failed": 1, "skipped": 2, "cancelled": 0, "nodes": 4,
    }  # fmt: skip
    fact = await rig.kind(Kind.WORKFLOW_COMPLETED, row.id)
    assert decoded(fact.data)["statistics"] == found
    assert found["duration"] >= 0
    shown = await rig.ask("show", execution=row.id)
    assert shown["usage"] == found


async def test_a_failed_execution_has_statistics_too(rig, decoded):
    rig.acts["a"] = fail
    row = await rig.run("name: w\nnodes:\n  a: {type: act}\n  b: {type: act, needs: a}\n")
    found = decoded(row.statistics)
    assert (found["failed"], found["skipped"], found["completed"]) == (1, 1, 0)
    fact = await rig.kind(Kind.WORKFLOW_FAILED, row.id)
    assert decoded(fact.data)["statistics"] == found


async def test_an_execution_that_is_cancelled_while_it_waits_has_statistics_too(open_rig, clock, decoded):
    async with open_rig(clock=clock, park_seconds=0.0) as rig:
        await rig.deploy("name: w\nnodes:\n  a: {type: act, data: xyz}\n  b: {type: sleep, duration: 1h, needs: a}\n")
        id = await rig.start()
        await rig.kind(Kind.NODE_WAITING, id)
        clock.advance(60)
        await rig.ask("cancel", execution=id)
        row = await rig.end(id)
        found = decoded(row.statistics)
        report = await rig.ask("usage")
    assert (found["completed"], found["cancelled"], found["output_bytes"]) == (1, 1, 5)
    assert report["workflows"][0]["output_bytes"] == 5


async def test_an_execution_that_never_began_has_none(open_rig):
    async with open_rig(running=False) as rig:
        await rig.deploy("name: w\nnodes: {a: {type: act}}")
        id = await rig.start()
        await rig.ask("cancel", execution=id)
        assert (await rig.row(id)).statistics is None
        assert (await rig.ask("usage"))["workflows"] == []
