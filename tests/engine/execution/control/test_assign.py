"""Variables of an execution."""

from engine.contract import Fail
from engine.events import Kind
from engine.states import ExecutionState

TWICE = """
name: w
params: {start: {type: integer, default: 1}}
vars: {a: "{{ params.start }}", b: {left: 1}}
nodes:
  first: {type: set, vars: {a: "{{ vars.a + 1 }}", b: "{{ vars.a }}"}}
  second: {type: set, needs: first, vars: {a: "{{ vars.a * 10 }}"}}
outputs: "{{ {'a': vars.a, 'b': vars.b, 'first': nodes.first} }}"
"""


async def test_values_are_evaluated_before_any_is_assigned(rig, decoded):
    row = await rig.run(TWICE)
    assert decoded(row.outputs) == {"a": 20, "b": 1, "first": {"a": 2, "b": 1}}


async def test_parameters_give_first_values(rig, decoded):
    row = await rig.run(TWICE, start=4)
    assert decoded(row.outputs)["a"] == 50


async def test_executions_have_variables_of_their_own(rig, decoded):
    await rig.deploy(TWICE)
    rows = [await rig.end(await rig.start()) for _ in range(3)]
    assert [decoded(row.outputs)["a"] for row in rows] == [20, 20, 20]


async def test_variables_survive_a_restart(open_rig, clock, decoded):
    text = """
name: w
vars: {a: 0}
nodes:
  first: {type: set, vars: {a: 7}}
  nap: {type: sleep, needs: first, duration: 1h}
  second: {type: set, needs: nap, vars: {a: "{{ vars.a + 1 }}"}}
outputs: "{{ vars.a }}"
"""
    async with open_rig(clock=clock) as rig:
        await rig.deploy(text)
        execution = await rig.start()
        await rig.kind(Kind.NODE_WAITING, execution)
        await rig.settled()
    clock.advance(3601)
    async with open_rig(clock=clock) as rig:
        assert decoded((await rig.end(execution)).outputs) == 8


async def test_a_value_that_can_not_be_evaluated_fails_the_node(rig, decoded):
    row = await rig.run("name: w\nvars: {a: 0}\nnodes: {first: {type: set, vars: {a: '{{ trigger.data.nope }}'}}}")
    assert row.status is ExecutionState.FAILED
    assert decoded(row.error)["node"] == "first"


async def test_a_failed_node_assigns_nothing(rig, decoded):
    async def fail(ctx, data):
        return Fail("no")

    rig.acts["try_it"] = fail
    text = """
name: w
vars: {a: 0}
nodes:
  try_it: {type: act, on_error: continue}
  first: {type: set, needs: try_it, vars: {a: "{{ nodes.try_it + 1 }}"}, on_error: continue}
  last: {type: transform, needs: first, run_if: always, data: "{{ vars.a }}"}
outputs: "{{ nodes.last }}"
"""
    row = await rig.run(text)
    assert decoded(row.outputs) == 0
