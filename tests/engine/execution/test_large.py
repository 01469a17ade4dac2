"""Large results after a restart: loaded once, only where something may still ask for them, and shared.

A value that was taken out of the store, and whose execution ends all the same, was not asked for.
"""

import asyncio
import gc
import sqlite3
import tracemalloc

import pytest

from engine.contract import Done, Wait
from engine.events import Kind
from engine.execution.large import LargeValues
from engine.states import ExecutionState
from engine.store import checkpoints, values

BIG = "x" * values.LARGE


async def forever(ctx, data):
    await asyncio.Event().wait()


def giving(value):
    async def act(ctx, data):
        return Done(value)

    return act


def remove(folder, *paths: str) -> None:
    """Take the large values of these nodes out of the store."""
    db = sqlite3.connect(folder / "ganglion.db")
    with db:
        for path in paths:
            found = db.execute("SELECT large FROM nodes WHERE path = ?", (path,)).fetchone()
            assert found is not None, f"{path} has no row"
            assert found[0], f"{path} is not large"
            db.execute("DELETE FROM large_values WHERE hash = ?", found)
    db.close()


async def killed_in(open_rig, tmp_path, text: str, node: str, acts: dict, data=None):
    """What a kill leaves while this node runs, and the execution."""
    async with open_rig() as rig:
        rig.acts.update({**acts, node: forever})
        await rig.deploy(text)
        execution = await rig.start(data=data)
        await rig.kind(Kind.NODE_STARTED, execution, node)
        await rig.settled()
        return await rig.copy_to(tmp_path / "copy"), execution


FOUR = """\
name: w
nodes:
  a: {type: act}
  b: {type: act, data: "{{ nodes.a|length }}"}
  c: {type: act, data: "{{ nodes.b }}", needs: a}
  d: {type: act, data: "{{ nodes.c }}"}
outputs: "{{ nodes.d }}"
"""


async def test_result_that_something_refers_to_is_there_after_a_restart(open_rig, tmp_path, decoded):
    copy, execution = await killed_in(open_rig, tmp_path, FOUR, "b", {"a": giving(BIG)})
    async with open_rig(copy) as rig:
        row = await rig.end(execution)

        assert decoded(row.outputs) == len(BIG)
        assert rig.ran() == ["b", "c", "d"]


async def test_result_that_nothing_refers_to_any_more_is_not_loaded(open_rig, tmp_path):
    copy, execution = await killed_in(open_rig, tmp_path, FOUR, "c", {"a": giving(BIG)})
    remove(copy, "a")
    async with open_rig(copy) as rig:
        assert (await rig.end(execution)).status is ExecutionState.COMPLETED


async def test_damaged_result_that_is_needed_blocks_its_execution_alone(open_rig, tmp_path, decoded):
    copy, execution = await killed_in(open_rig, tmp_path, FOUR, "b", {"a": giving(BIG)})
    remove(copy, "a")
    async with open_rig(copy) as rig:
        await rig.kind(Kind.WORKFLOW_BLOCKED, execution)

        assert rig.calls == []
        rig.acts["a"] = giving(BIG)
        assert "is damaged" in decoded((await rig.row(execution)).error)["message"]
        assert (await rig.end(await rig.start())).status is ExecutionState.COMPLETED


async def test_workflows_outputs_ask_for_a_result_too(open_rig, tmp_path, decoded):
    text = 'name: w\nnodes:\n  a: {type: act}\n  b: {type: act, needs: a}\noutputs: "{{ nodes.a|length }}"\n'
    copy, execution = await killed_in(open_rig, tmp_path, text, "b", {"a": giving(BIG)})
    async with open_rig(copy) as rig:
        assert decoded((await rig.end(execution)).outputs) == len(BIG)


LOOP = """\
name: w
nodes:
  list: {type: act}
  scan:
    type: foreach
    items: nodes.list
    nodes:
      fetch: {type: act}
      size: {type: act, data: "{{ nodes.fetch|length }}"}
    output: "{{ nodes.size + item }}"
  last: {type: act, data: "{{ nodes.scan }}"}
outputs: "{{ nodes.last }}"
"""


async def test_results_inside_iterations_that_ended_are_not_loaded(open_rig, tmp_path, decoded):
    async def fetch(ctx, data):
        return Done(f"{ctx.path} {BIG}")

    acts = {"list": giving([1, 2, 3, 4])} | {f"scan[{i}]/fetch": fetch for i in range(4)}
    copy, execution = await killed_in(open_rig, tmp_path, LOOP, "scan[2]/size", acts)
    remove(copy, "scan[0]/fetch", "scan[1]/fetch")
    async with open_rig(copy) as rig:
        rig.acts.update(acts)
        row = await rig.end(execution)

        assert decoded(row.outputs) == [len(BIG) + len("scan[0]/fetch ") + i for i in (1, 2, 3, 4)]
        assert rig.called("scan[2]/fetch") == 0


async def test_large_values_of_iterations_make_the_list(open_rig, tmp_path, decoded):
    text = LOOP.replace('"{{ nodes.size + item }}"', '"{{ nodes.fetch }}"')
    acts = {"list": giving([1, 2, 3])} | {f"scan[{i}]/fetch": giving(f"{i}{BIG}") for i in range(3)}
    copy, execution = await killed_in(open_rig, tmp_path, text, "scan[2]/size", acts)
    async with open_rig(copy) as rig:
        rig.acts.update(acts)

        assert decoded((await rig.end(execution)).outputs) == [f"{i}{BIG}" for i in range(3)]


async def test_finally_sees_the_large_results_of_try(open_rig, tmp_path, decoded):
    text = """\
name: w
nodes:
  safe:
    type: try
    nodes: {risky: {type: act}, boom: {type: fail, message: no, needs: risky}}
    catch: {nodes: {notify: {type: act, data: "{{ nodes.risky|length }}"}}, output: "{{ nodes.notify }}"}
outputs: "{{ nodes.safe }}"
"""
    copy, execution = await killed_in(open_rig, tmp_path, text, "safe/catch/notify", {"safe/try/risky": giving(BIG)})
    async with open_rig(copy) as rig:
        row = await rig.end(execution)

        assert (row.status, decoded(row.outputs)) == (ExecutionState.COMPLETED, len(BIG))


async def test_large_memo_comes_back_with_the_wake(open_rig, clock):
    text = "name: w\nnodes:\n  a: {type: act}\n"

    async def act(ctx, data):
        if ctx.wake is None:
            return Wait(clock.now() + 60_000_000, memo=BIG)
        return Done(len(ctx.wake.memo))

    async with open_rig(clock=clock) as rig:
        rig.acts["a"] = act
        await rig.deploy(text)
        execution = await rig.start()
        await rig.kind(Kind.NODE_WAITING, execution)
        while (await rig.row(execution)).status is not ExecutionState.WAITING:
            await rig.settled()
    async with open_rig(clock=clock) as rig:
        rig.acts["a"] = act
        clock.advance(61)
        rig.executor.wake()
        await rig.end(execution)

        assert (await rig.nodes(execution))["a"].output == b"%d" % len(BIG)


async def test_large_parameters_of_an_open_loop_come_back(open_rig, tmp_path, decoded):
    """`vars` may have changed meanwhile, so that what a loop began with is kept."""
    text = """\
name: w
vars: {rows: []}
nodes:
  list: {type: act}
  keep: {type: set, vars: {rows: "{{ nodes.list }}"}}
  scan: {type: foreach, needs: keep, items: vars.rows, nodes: {one: {type: act, data: "{{ item|length }}"}}}
outputs: "{{ nodes.scan }}"
"""
    copy, execution = await killed_in(open_rig, tmp_path, text, "scan[1]/one", {"list": giving([BIG, BIG])})
    async with open_rig(copy) as rig:
        assert decoded((await rig.end(execution)).outputs) == [len(BIG), len(BIG)]
        assert rig.ran() == ["scan[1]/one"]


async def test_restored_executions_share_what_is_equal(open_rig, tmp_path):
    async with open_rig() as rig:
        rig.acts.update({"a": giving([BIG]), "b": forever})
        await rig.deploy(FOUR.replace("nodes.a|length", "nodes.a"))
        started = [await rig.start() for _ in range(3)]
        for execution in started:
            await rig.kind(Kind.NODE_STARTED, execution, "b")
        await rig.settled()
        copy = await rig.copy_to(tmp_path / "copy")
    seen = []

    async def look(ctx, data):
        seen.append(data)
        return Done(0)

    async with open_rig(copy) as rig:
        rig.acts["b"] = look
        for execution in started:
            await rig.end(execution)

        assert len(seen) == 3
        assert all(data is seen[0] for data in seen)


async def test_value_is_let_go_of_with_the_last_execution_that_holds_it(store_with_value):
    store, hash = store_with_value
    known = LargeValues(store)
    first, second = await asyncio.gather(known.take([hash]), known.take([hash]))

    assert len(known) == 1
    first.release()
    first.release()
    assert len(known) == 1
    second.release()
    assert len(known) == 0


@pytest.fixture
async def store_with_value(rig):
    await rig.store.submit(lambda tx: values.keep(tx, "one", b'["value"]'))
    return rig.store, values.hash_of(b'["value"]')


# --- not copied -----------------------------------------------------------------------------------------------------

ROWS = [{"i": i, "text": "x" * 50} for i in range(2000)]


def handing(*fields: str) -> str:
    nodes = "".join(f'  n{i}: {{type: act, data: "{field}"}}\n' for i, field in enumerate(fields))
    return f"name: w\nnodes:\n  big: {{type: act}}\n{nodes}"


async def test_output_that_is_handed_on_is_not_copied(rig, decoded):
    seen = {}

    async def act(ctx, data):
        seen[ctx.path] = data
        return Done(data)

    wrapped = "{{ {'rows': nodes.big, 'n': 1} }}"
    fields = ("{{ nodes.big }}", "{{ nodes.n0 }}", wrapped, "{{ nodes.n2.rows }}", "{{ nodes.big[0] }}")
    rig.acts |= {"big": giving(ROWS)} | {f"n{i}": act for i in range(len(fields))}
    await rig.deploy(handing(*fields))
    execution = await rig.start()
    await rig.end(execution)

    shared = seen["n0"]
    assert shared == ROWS
    assert shared is not ROWS, "the code that made it could change it"
    assert seen["n1"] is shared
    assert seen["n2"]["rows"] is shared
    assert seen["n3"] is shared
    rows = await rig.store.read(lambda db: checkpoints.of(db, execution, whole=True))
    assert {row.path: decoded(row.output) for row in rows} == {
        "big": ROWS, "n0": ROWS, "n1": ROWS, "n2": {"rows": ROWS, "n": 1}, "n3": ROWS, "n4": ROWS[0],
    }  # fmt: skip


async def test_code_that_keeps_what_it_gave_can_not_change_it_afterwards(rig):
    kept = [dict(row) for row in ROWS]
    seen = {}

    async def change(ctx, data):
        kept[0]["i"] = "changed"
        seen["first"] = data[0]["i"]
        return Done()

    rig.acts |= {"big": giving(kept), "n0": change}
    await rig.deploy(handing("{{ nodes.big }}"))
    await rig.end(await rig.start())

    assert seen["first"] == 0


@pytest.mark.parametrize("field", ["{{ nodes.big[3].i }}", "{{ nodes.big }}"])
async def test_memory_does_not_grow_with_the_readers_of_a_large_value(open_rig, tmp_path, field):
    async def peak(readers: int) -> int:
        async with open_rig(tmp_path / str(readers)) as rig:
            rig.acts["big"] = giving(ROWS * 10)
            await rig.deploy(handing(*[field] * readers))
            gc.collect()
            tracemalloc.start()
            try:
                await rig.end(await rig.start())
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

    few, many = await peak(10), await peak(60)

    assert many < few * 1.5
