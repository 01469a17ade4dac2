"""The settling and failure rules through real executions: what people see of them."""

import asyncio

import pytest

from engine.contract import Done, Fail
from engine.events import Kind
from engine.states import ExecutionState


async def failing(ctx, data):
    return Fail("no luck", kind="luck")


def workflow(nodes: str, rest: str = "") -> str:
    body = "\n".join(f"  {line}" for line in nodes.strip().splitlines())
    return f"name: w\nnodes:\n{body}\n{rest}"


async def run(rig, nodes: str, rest: str = "", data=None):
    row = await rig.run(workflow(nodes, rest), data)
    return row, await rig.states(row.id)


async def test_reference_is_an_edge_and_hands_the_output_over(rig, decoded):
    row, states = await run(
        rig, 'b: {type: act, data: "{{ nodes.a.x + 1 }}"}\na: {type: act, data: {x: 1}}', 'outputs: "{{ nodes.b }}"'
    )

    assert rig.ran() == ["a", "b"]
    assert decoded(row.outputs) == 2
    assert states == {"a": "completed", "b": "completed"}


async def test_reference_counts_where_there_are_no_needs(rig):
    _, states = await run(
        rig,
        """
a: {type: act, when: "false"}
b: {type: act, data: "{{ nodes.a | default(1) }}"}
""",
    )

    assert states == {"a": "skipped", "b": "skipped"}


async def test_reference_is_waited_for_but_does_not_count_beside_needs(rig, decoded):
    row, states = await run(
        rig,
        """
a: {type: act, when: "false"}
go: {type: act}
b: {type: act, needs: go, data: "{{ nodes.a | default('none') }}"}
""",
        'outputs: "{{ nodes.b }}"',
    )

    assert states == {"a": "skipped", "go": "completed", "b": "completed"}
    assert decoded(row.outputs) == "none"


@pytest.mark.parametrize(("x", "way"), [(9, "hot"), (1, "cold")])
async def test_if_runs_the_nodes_of_the_taken_port_only(rig, x, way, decoded):
    row, states = await run(
        rig,
        """
warm: {type: if, condition: trigger.data.x > 8}
hot: {type: act, needs: warm.then, data: hot}
cold: {type: act, needs: warm.else, data: cold}
after_hot: {type: act, needs: hot}
both: {type: act, needs: [hot, cold], join: any, data: "{{ nodes.hot | default(nodes.cold) }}"}
""",
        'outputs: "{{ nodes.both }}"',
        {"x": x},
    )

    other = {"hot": "cold", "cold": "hot"}[way]
    assert states == {
        "warm": "completed",
        way: "completed",
        other: "skipped",
        "after_hot": "completed" if way == "hot" else "skipped",
        "both": "completed",
    }
    assert decoded(row.outputs) == way


@pytest.mark.parametrize(("kind", "taken"), [("r", "red"), ("b", "blue"), ("x", "other")])
async def test_switch_takes_one_case_or_default(rig, kind, taken):
    _, states = await run(
        rig,
        """
pick: {type: switch, value: trigger.data, cases: {red: [r, R], blue: b}}
red: {type: act, needs: pick.red}
blue: {type: act, needs: pick.blue}
other: {type: act, needs: pick.default}
""",
        data=kind,
    )

    assert [path for path in ("red", "blue", "other") if states[path] == "completed"] == [taken]


async def test_join_any_waits_for_all_before_it_starts(rig):
    release = asyncio.Event()

    async def slow(ctx, data):
        await release.wait()
        return Done()

    rig.acts["slow"] = slow
    await rig.deploy(
        workflow("fast: {type: act}\nslow: {type: act}\nafter: {type: act, needs: [fast, slow], join: any}")
    )
    execution = await rig.start()
    await rig.kind(Kind.NODE_COMPLETED, execution, "fast")
    await rig.settled()
    assert rig.called("after") == 0

    release.set()
    await rig.end(execution)

    assert rig.called("after") == 1


async def test_skip_travels_down_a_long_chain(rig):
    chain = "\n".join(f"n{i}: {{type: act, needs: n{i - 1}}}" for i in range(1, 500))
    row, states = await run(rig, f'n0: {{type: act, when: "false"}}\n{chain}')

    assert row.status is ExecutionState.COMPLETED
    assert set(states.values()) == {"skipped"}
    reasons = [bytes(fact.data) for fact in await rig.facts(row.id) if fact.kind is Kind.NODE_SKIPPED]
    assert reasons[:2] == [b'{"reason":"its `when` was false"}', b'{"reason":"not taken: n0"}']


async def test_reason_of_a_skip_stays_short_with_a_thousand_needs(rig):
    nodes = "\n".join(f'n{i}: {{type: act, when: "false"}}' for i in range(1000))
    row, _ = await run(rig, f"{nodes}\nlast: {{type: act, needs: [{', '.join(f'n{i}' for i in range(1000))}]}}")

    [fact] = [f for f in await rig.facts(row.id) if f.kind is Kind.NODE_SKIPPED and f.node == "last"]
    assert bytes(fact.data).endswith(b'n9 and 990 more"}')


async def test_when_that_gives_no_boolean_fails_the_node(rig, decoded):
    row, states = await run(rig, 'a: {type: act, when: "1 + 1"}\nb: {type: act, needs: a}')

    assert row.status is ExecutionState.FAILED
    assert states == {"a": "failed", "b": "skipped"}
    assert "gave no true or false" in decoded(row.error)["message"]
    assert rig.calls == []


async def test_when_with_an_error_fails_the_node(rig, decoded):
    row, _ = await run(rig, "a: {type: act, when: trigger.data.missing > 1}", data={})

    error = decoded(row.error)
    assert (row.status, error["kind"], error["node"]) == (ExecutionState.FAILED, "expression", "a")
    assert error["message"].startswith("when: ")


async def test_when_is_asked_after_the_rules(rig):
    rig.acts["a"] = failing
    _, states = await run(
        rig,
        """
a: {type: act, on_error: continue}
b: {type: act, needs: a, run_if: failed, when: "errors.a.kind == 'luck'"}
c: {type: act, needs: a, run_if: failed, when: "errors.a.kind == 'other'"}
""",
    )

    assert states == {"a": "failed", "b": "completed", "c": "skipped"}


async def test_failure_ends_the_execution_even_if_its_handler_succeeds(rig, decoded):
    rig.acts["a"] = failing
    row, states = await run(
        rig,
        """
a: {type: act}
handler: {type: act, needs: a, run_if: failed, data: "{{ errors.a.kind }}: {{ errors.a.message }}"}
always: {type: act, needs: a, run_if: always}
next: {type: act, needs: a}
after_handler: {type: act, needs: handler}
""",
    )

    assert row.status is ExecutionState.FAILED
    assert decoded(row.error) == {"kind": "luck", "message": "no luck", "node": "a"}
    assert states == {
        "a": "failed",
        "handler": "completed",
        "always": "completed",
        "next": "skipped",
        "after_handler": "skipped",
    }
    assert decoded((await rig.nodes(row.id))["handler"].output) == "luck: no luck"


async def test_run_if_failed_is_skipped_where_nothing_failed(rig):
    row, states = await run(rig, "a: {type: act}\nb: {type: act, needs: a, run_if: failed}")

    assert row.status is ExecutionState.COMPLETED
    assert states["b"] == "skipped"


async def test_run_if_always_runs_after_a_skip(rig):
    _, states = await run(rig, 'a: {type: act, when: "false"}\nb: {type: act, needs: a, run_if: always}')

    assert states["b"] == "completed"


async def test_on_error_continue_lets_dependents_run_and_the_execution_complete(rig, decoded):
    rig.acts["a"] = failing
    row, states = await run(
        rig,
        """
a: {type: act, on_error: continue}
b: {type: act, needs: a, data: "{{ nodes.a | default('gone') }} {{ errors.a.attempt }}"}
""",
        'outputs: "{{ nodes.b }}"',
    )

    assert (row.status, decoded(row.outputs)) == (ExecutionState.COMPLETED, "gone 1")
    assert states["a"] == "failed"


async def test_default_replaces_the_output_and_keeps_the_error_in_scope(rig, decoded):
    rig.acts["a"] = failing
    row, states = await run(
        rig,
        """
a: {type: act, default: {x: "{{ trigger.data }}"}}
b: {type: act, data: "{{ nodes.a.x }} {{ errors.a.kind }}"}
""",
        'outputs: "{{ nodes.b }}"',
        5,
    )

    assert (row.status, decoded(row.outputs)) == (ExecutionState.COMPLETED, "5 luck")
    assert states["a"] == "completed"


async def test_default_that_fails_is_the_failure(rig, decoded):
    rig.acts["a"] = failing
    row, states = await run(rig, 'a: {type: act, default: "{{ trigger.data.none }}"}', data={})

    assert states["a"] == "failed"
    assert decoded(row.error)["message"].startswith("default: ")


async def test_failure_that_is_not_critical_makes_the_end_partial(rig):
    rig.acts["a"] = failing
    row, states = await run(rig, "a: {type: act, critical: false}\nb: {type: act, needs: a}\nc: {type: act}")

    assert row.status is ExecutionState.PARTIAL
    assert states == {"a": "failed", "b": "completed", "c": "completed"}


async def test_in_a_failing_execution_running_nodes_finish_and_nothing_else_starts(rig):
    gate = asyncio.Event()

    async def slow(ctx, data):
        await gate.wait()
        return Done()

    rig.acts |= {"slow": slow, "bad": failing}
    await rig.deploy(
        workflow(
            """
slow: {type: act}
bad: {type: act}
after_slow: {type: act, needs: slow}
pure_after_slow: {type: calc, needs: slow}
clean: {type: act, needs: slow, run_if: always}
"""
        )
    )
    execution = await rig.start()
    await rig.kind(Kind.NODE_FAILED, execution, "bad")
    gate.set()
    row = await rig.end(execution)

    assert row.status is ExecutionState.FAILED
    assert await rig.states(execution) == {
        "slow": "completed",
        "bad": "failed",
        "after_slow": "skipped",
        "pure_after_slow": "skipped",
        "clean": "completed",
    }


async def test_a_node_that_waits_for_its_turn_does_not_start_after_a_failure(rig):
    rig.acts["a"] = failing
    row, states = await run(
        rig,
        "a: {type: act}\nb: {type: act}\nc: {type: act, needs: b, run_if: always}",
        "max_concurrent_nodes: 1",
    )

    assert row.status is ExecutionState.FAILED
    assert states == {"a": "failed", "b": "skipped", "c": "completed"}
    assert rig.ran() == ["a", "c"]


async def test_pure_node_of_the_same_step_does_not_start_after_a_failure(rig):
    rig.acts["a"] = failing
    row, states = await run(rig, "a: {type: calc}\nb: {type: calc}\nc: {type: calc, needs: b, run_if: always}")

    assert row.status is ExecutionState.FAILED
    assert states == {"a": "failed", "b": "skipped", "c": "completed"}
    assert rig.ran() == ["a", "c"]


async def test_outputs_that_fail_fail_the_execution(rig, decoded):
    row, _ = await run(rig, "a: {type: act, data: {}}", 'outputs: "{{ nodes.a.none }}"')

    error = decoded(row.error)
    assert (row.status, error["kind"], error["node"]) == (ExecutionState.FAILED, "outputs", None)


async def test_parameters_that_fail_fail_the_node_before_its_code_runs(rig, decoded):
    row, _ = await run(rig, 'a: {type: act, data: "{{ trigger.data.none }}"}', data={})

    assert row.status is ExecutionState.FAILED
    assert decoded(row.error)["kind"] == "expression"
    assert rig.calls == []
