"""Values of a workflow that outlive its executions."""

import asyncio

import pytest

from engine.contract import Done, Fail, Retry, Wait
from engine.definition import InvalidWorkflow
from engine.states import ExecutionState
from engine.store import state

COUNT = "name: w\nnodes: {count: {type: state, op: incr, key: n}}\noutputs: '{{ nodes.count }}'"


async def kept(rig, key="n", workflow="w"):
    entry = await rig.store.read(lambda db: state.get(db, workflow, key))
    return None if entry is None else entry.value


async def remembered(rig):
    return await rig.store.read(lambda db: db.execute("SELECT COUNT(*) FROM state_operations").fetchone()[0])


async def test_executions_count_together(rig, decoded):
    await rig.deploy(COUNT)
    rows = [await rig.end(execution) for execution in [await rig.start() for _ in range(20)]]
    assert sorted(decoded(row.outputs) for row in rows) == list(range(1, 21))
    assert await remembered(rig) == 0


async def test_each_operation_gives_what_it_says(rig, decoded):
    text = """
name: w
nodes:
  none: {type: state, op: get, key: a}
  other: {type: state, op: get, key: a, otherwise: [1]}
  set: {type: state, op: set, needs: [none, other], key: a, value: {x: "{{ trigger.data }}"}}
  get: {type: state, op: get, needs: set, key: a}
  swap: {type: state, op: compare_and_set, needs: get, key: a, expected: {x: 5}, value: 6}
  again: {type: state, op: compare_and_set, needs: swap, key: a, expected: {x: 5}, value: 7}
  add: {type: state, op: incr, needs: again, key: a, by: 0.5}
  delete: {type: state, op: delete, needs: add, key: a}
outputs: "{{ nodes }}"
"""
    text = text.replace('"{{ nodes }}"', "[{}]".format(", ".join(
        f'"{{{{ nodes.{name} }}}}"' for name in ("none", "other", "set", "get", "swap", "again", "add", "delete")
    )))  # fmt: skip
    row = await rig.run(text, 5)
    assert decoded(row.outputs) == [None, [1], {"x": 5}, {"x": 5}, True, False, 6.5, True]
    assert await kept(rig, "a") is None


async def test_a_value_is_there_for_the_next_version_after_a_restart(open_rig, decoded):
    async with open_rig() as rig:
        await rig.run(COUNT)
    async with open_rig() as rig:
        row = await rig.run(COUNT.replace("key: n", "key: n, by: 10"))
        assert decoded(row.outputs) == 11


async def test_what_can_not_be_counted_fails_the_node(rig, decoded):
    text = """
name: w
nodes:
  set: {type: state, op: set, key: n, value: many}
  count: {type: state, op: incr, needs: set, key: n, retry: {max: 3}}
"""
    row = await rig.run(text)
    assert row.status is ExecutionState.FAILED
    assert decoded(row.error)["kind"] == "state"
    assert decoded(row.error)["message"] == "'n' holds a string, and only numbers are added"


async def test_a_change_is_made_once_where_its_node_did_not_end(open_rig, tmp_path, decoded):
    """The power goes between the change and the node's result."""

    async def count_and_hang(ctx, data):
        await ctx.state.incr("n", 5)
        await asyncio.Event().wait()

    async def count(ctx, data):
        return Done([await ctx.state.incr("n", 5), await ctx.state.get("n")])

    async with open_rig() as rig:
        rig.acts["a"] = count_and_hang
        await rig.deploy("name: w\nnodes: {a: {type: act}}\noutputs: '{{ nodes.a }}'")
        execution = await rig.start()
        await rig.acting.began.wait()
        while await kept(rig) is None:
            await rig.settled()
        copy = await rig.copy_to(tmp_path / "copy")
    async with open_rig(copy) as rig:
        rig.acts["a"] = count
        assert decoded((await rig.end(execution)).outputs) == [5, 5]
        assert await remembered(rig) == 0


@pytest.mark.parametrize("durability", ["sync", "async\ncheckpoint: never", "exit"])
async def test_what_a_change_is_built_from_is_durable_with_it(open_rig, tmp_path, decoded, durability):
    """Were `pick` to run again, it would count under another key."""

    async def pick(ctx, data):
        return Done(f"{rig.engine.store.path.parent.name}-{len(rig.calls)}")

    async def hang(ctx, data):
        await ctx.state.incr(data)
        await asyncio.Event().wait()

    async def count(ctx, data):
        return Done(await ctx.state.incr(data))

    text = f"""
name: w
durability: {durability}
nodes:
  pick: {{type: act}}
  a: {{type: act, data: "{{{{ nodes.pick }}}}"}}
outputs: "{{{{ nodes.a }}}}"
"""
    async with open_rig() as rig:
        rig.acts.update(pick=pick, a=hang)
        await rig.deploy(text)
        execution = await rig.start()
        while not await remembered(rig):
            await rig.settled()
        copy = await rig.copy_to(tmp_path / "copy")
    async with open_rig(copy) as rig:
        rig.acts.update(pick=pick, a=count)
        row = await rig.end(execution)
        assert (row.status, decoded(row.outputs), rig.ran()) == (ExecutionState.COMPLETED, 1, ["a"])


async def test_a_change_is_made_once_however_often_the_node_is_tried(rig, decoded):
    async def count(ctx, data):
        total = await ctx.state.incr("n")
        return Retry("not yet") if ctx.attempt < 3 else Done(total)

    rig.acts["a"] = count
    row = await rig.run("name: w\nnodes: {a: {type: act, retry: {max: 5, delay: 1ms}}}\noutputs: '{{ nodes.a }}'")
    assert (decoded(row.outputs), await kept(rig), rig.called("a")) == (1, 1, 3)


async def test_a_node_that_waited_goes_on_counting(rig, decoded):
    async def count(ctx, data):
        total = await ctx.state.incr("n")
        return Wait(ctx.now + 1000) if ctx.wake is None else Done(total)

    rig.acts["a"] = count
    row = await rig.run("name: w\nnodes: {a: {type: act}}\noutputs: '{{ nodes.a }}'")
    assert decoded(row.outputs) == 2


async def test_a_failed_node_that_runs_again_gets_what_was_given(rig, decoded):
    async def count(ctx, data):
        total = await ctx.state.incr("n")
        return Fail("no") if len(rig.calls) < 2 else Done(total)

    rig.acts["a"] = count
    row = await rig.run("name: w\nnodes: {a: {type: act}}\noutputs: '{{ nodes.a }}'")
    assert row.status is ExecutionState.FAILED
    rig.seen.clear()
    await rig.engine.rerun.retry(row.id)
    assert decoded((await rig.end(row.id)).outputs) == 1


async def test_a_completed_node_that_runs_again_counts_anew(rig, decoded):
    row = await rig.run(COUNT)
    forked = await rig.engine.forking.fork(row.id, at=0)
    assert decoded((await rig.end(forked.execution)).outputs) == 2


async def test_a_pure_node_has_no_state(rig, decoded):
    async def count(ctx, data):
        return Done(ctx.state)

    rig.acts["a"] = count
    row = await rig.run("name: w\nnodes: {a: {type: calc}}")
    assert "a pure node has no state" in decoded(row.error)["message"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("op: get, key: a, value: 1", "nodes.n.value: get takes no value (remove it)"),
        ("op: incr, key: a, expected: 1", "nodes.n.expected: incr takes no expected"),
        ("op: set, key: a", "nodes.n: value is missing (add `value: …`, what is to be kept)"),
        ("op: push, key: a", "nodes.n.op: expected one of get, set, incr, delete, compare_and_set"),
        ("op: '{{ trigger.data }}', key: a", "nodes.n.op: trigger is not known when this is read"),
        ("op: delete", "nodes.n: key is missing"),
        ("op: incr, key: a, by: many", 'nodes.n.by: expected a whole number or a number, got "many"'),
    ],
)
async def test_wrong_fields_are_refused_at_load(rig, fields, message):
    with pytest.raises(InvalidWorkflow) as caught:
        await rig.deploy(f"name: w\nnodes: {{n: {{type: state, {fields}}}}}")
    assert message in str(caught.value)
