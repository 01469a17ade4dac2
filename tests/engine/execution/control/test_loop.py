"""Loops that go on while, or until."""

import asyncio

from engine.contract import Done, Fail
from engine.events import Kind
from engine.states import ExecutionState

COUNT = """
name: w
vars: {tries: 0}
nodes:
  poll:
    type: while
    condition: vars.tries < 4
    nodes:
      count: {type: set, vars: {tries: "{{ vars.tries + 1 }}"}}
      ask: {type: act, needs: count, data: "{{ vars.tries }}"}
    output: "{{ nodes.ask }}"
outputs: "{{ {'loop': nodes.poll, 'tries': vars.tries} }}"
"""


async def forever(ctx, data):
    await asyncio.Event().wait()


async def test_while_goes_on_while_its_condition_is_true(rig, decoded):
    row = await rig.run(COUNT)
    assert decoded(row.outputs) == {"loop": {"count": 4, "last": 4}, "tries": 4}
    assert rig.ran() == [f"poll[{index}]/ask" for index in range(4)]


async def test_while_whose_condition_is_false_at_once_does_nothing(rig, decoded):
    row = await rig.run(COUNT.replace("tries: 0", "tries: 9"))
    assert decoded(row.outputs) == {"loop": {"count": 0, "last": None}, "tries": 9}


async def test_variables_and_iterations_are_as_they_were_after_a_kill(open_rig, tmp_path, decoded):
    """The condition would be false for the iteration that was under way, were it asked again."""
    async with open_rig() as rig:
        rig.acts["poll[3]/ask"] = forever
        await rig.deploy(COUNT)
        execution = await rig.start()
        await rig.kind(Kind.NODE_STARTED, execution, "poll[3]/ask")
        await rig.settled()
        copy = await rig.copy_to(tmp_path / "copy")
    async with open_rig(copy) as rig:
        row = await rig.end(execution)
        assert decoded(row.outputs) == {"loop": {"count": 4, "last": 4}, "tries": 4}
        assert rig.ran() == ["poll[3]/ask"]


async def test_loop_that_never_ends_is_ended_by_its_safeguard(rig, decoded):
    text = """
name: w
nodes:
  poll:
    type: while
    condition: "true"
    max_iterations: 5
    nodes: {ask: {type: act}}
"""
    row = await rig.run(text)
    assert row.status is ExecutionState.FAILED
    assert decoded(row.error)["kind"] == "limit"
    assert "still true after 5 iterations" in decoded(row.error)["message"]
    assert len(rig.calls) == 5


async def test_condition_that_is_no_truth_fails_the_node(rig, decoded):
    text = 'name: w\nnodes:\n  poll: {type: while, condition: "1", nodes: {ask: {type: act}}}\n'
    row = await rig.run(text)
    assert row.status is ExecutionState.FAILED
    assert "true or false" in decoded(row.error)["message"]


async def test_iteration_sees_the_one_before(rig, decoded):
    text = """
name: w
nodes:
  grow:
    type: repeat
    times: 5
    nodes: {next: {type: calc, data: "{{ (last if index > 0 else 1) * 2 }}"}}
outputs: "{{ nodes.grow }}"
"""
    row = await rig.run(text)
    assert decoded(row.outputs) == {"count": 5, "last": 32}


async def test_repeat_ends_when_until_is_true(rig, decoded):
    text = """
name: w
nodes:
  again:
    type: repeat
    times: 10
    until: nodes.ask.ok
    nodes: {ask: {type: act, data: {ok: "{{ index == 2 }}"}}}
outputs: "{{ nodes.again.count }}"
"""
    row = await rig.run(text)
    assert decoded(row.outputs) == 3


async def test_failure_in_a_loop_names_its_iteration(rig, decoded):
    async def refuse(ctx, data):
        return Fail("no answer", kind="broken")

    rig.acts["again[1]/ask"] = refuse
    row = await rig.run("name: w\nnodes:\n  again: {type: repeat, times: 3, nodes: {ask: {type: act}}}\n")
    assert decoded(row.error) == {"kind": "broken", "message": "again[1]/ask: no answer", "node": "again"}


async def test_ended_iterations_of_a_repeat_are_not_run_again(open_rig, tmp_path, decoded):
    text = """
name: w
nodes:
  again:
    type: repeat
    times: 4
    until: nodes.ask > 90
    nodes: {ask: {type: act, data: "{{ index + (last if index > 0 else 0) }}"}}
outputs: "{{ nodes.again }}"
"""
    async with open_rig() as rig:
        rig.acts["again[2]/ask"] = forever
        await rig.deploy(text)
        execution = await rig.start()
        await rig.kind(Kind.NODE_STARTED, execution, "again[2]/ask")
        await rig.settled()
        copy = await rig.copy_to(tmp_path / "copy")
    async with open_rig(copy) as rig:
        row = await rig.end(execution)
        assert decoded(row.outputs) == {"count": 4, "last": 6}
        assert rig.ran() == ["again[2]/ask", "again[3]/ask"]


async def test_set_assigns_for_the_nodes_that_come_after(rig, decoded):
    text = """
name: w
vars: {total: 1, names: []}
nodes:
  first: {type: set, vars: {total: "{{ vars.total + 1 }}", names: "{{ ['a'] }}"}}
  second: {type: set, needs: first, vars: {total: "{{ vars.total * 10 }}"}}
outputs: "{{ {'vars': vars, 'first': nodes.first} }}"
"""

    async def nothing(ctx, data):
        return Done()

    row = await rig.run(text.replace("nodes.second", "nodes.second"))
    assert decoded(row.outputs) == {"vars": {"total": 20, "names": ["a"]}, "first": {"total": 2, "names": ["a"]}}
