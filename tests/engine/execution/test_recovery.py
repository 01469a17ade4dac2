"""What the next start makes of what the last process left."""

import asyncio
import sqlite3

import pytest

from engine.contract import Done, Fail, Retry
from engine.events import Kind
from engine.states import ExecutionState

THREE = "name: w\nnodes:\n  a: {type: act}\n  b: {type: act, needs: a}\n  c: {type: act, needs: b}\n"


async def forever(ctx, data):
    await asyncio.Event().wait()


def sql(folder, *statements: str) -> None:
    db = sqlite3.connect(folder / "ganglion.db")
    with db:
        for statement in statements:
            db.execute(statement)
    db.close()


async def killed_in(open_rig, tmp_path, node: str, text: str = THREE, name: str = "copy"):
    """The files that a kill leaves while this node runs, and the execution."""
    async with open_rig() as rig:
        rig.acts[node] = forever
        await rig.deploy(text)
        execution = await rig.start()
        await rig.kind(Kind.NODE_STARTED, execution, node)
        await rig.settled()
        return await rig.copy_to(tmp_path / name), execution


async def test_interrupted_execution_goes_on_without_running_finished_nodes_again(open_rig, tmp_path):
    copy, execution = await killed_in(open_rig, tmp_path, "b")
    async with open_rig(copy) as rig:
        assert not rig.store.was_clean
        row = await rig.end(execution)

        assert row.status is ExecutionState.COMPLETED
        assert rig.ran() == ["b", "c"]
        assert [call.attempt for call in rig.calls] == [1, 1]
        facts = await rig.facts()
        assert [fact.seq for fact in facts] == list(range(1, len(facts) + 1))
        assert [fact.node for fact in facts if fact.kind is Kind.NODE_COMPLETED] == ["a", "b", "c"]


async def test_first_failure_is_told_also_after_a_restart(open_rig, tmp_path, decoded):
    """It stands behind the second in the file, and in the order of paths."""
    text = (
        "name: w\nnodes:\n"
        "  a: {type: fail, message: second, needs: z, run_if: always}\n"
        "  c: {type: act, needs: a, run_if: always}\n"
        "  z: {type: act}\n"
    )

    async def fail(ctx, data):
        return Fail("first")

    async with open_rig() as rig:
        rig.acts |= {"c": forever, "z": fail}
        await rig.deploy(text)
        execution = await rig.start()
        await rig.kind(Kind.NODE_STARTED, execution, "c")
        await rig.settled()
        copy = await rig.copy_to(tmp_path / "copy")
    async with open_rig(copy) as rig:
        row = await rig.end(execution)

        assert decoded(row.error)["message"] == "first"


async def test_attempt_count_goes_on_after_a_restart(open_rig, tmp_path):
    async def act(ctx, data):
        if ctx.attempt == 1:
            return Retry("busy")
        return await forever(ctx, data)

    async with open_rig() as rig:
        rig.acts["a"] = act
        await rig.deploy("name: w\nnodes:\n  a: {type: act, retry: {max: 1, delay: 0s}}")
        execution = await rig.start()
        await rig.event(lambda e: e.kind is Kind.NODE_STARTED and e.data["attempt"] == 2)
        await rig.settled()
        copy = await rig.copy_to(tmp_path / "copy")
    async with open_rig(copy) as rig:

        async def again(ctx, data):
            return Retry("busy")

        rig.acts["a"] = again
        row = await rig.end(execution)

        assert row.status is ExecutionState.FAILED
        assert [call.attempt for call in rig.calls] == [2]


async def test_at_most_once_attempt_that_did_not_return_is_in_doubt(open_rig, tmp_path):
    text = "name: w\nnodes:\n  a: {type: once}\n  b: {type: act, needs: a}\n"
    copy, execution = await killed_in(open_rig, tmp_path, "a", text)
    async with open_rig(copy) as rig:
        await rig.kind(Kind.NODE_IN_DOUBT, execution)
        await rig.settled()

        assert rig.calls == []
        assert await rig.states(execution) == {"a": "in_doubt"}
        assert (await rig.row(execution)).status is ExecutionState.WAITING


async def test_start_asks_for_many_interrupted_executions_at_once(open_rig, tmp_path):
    """With a question of its own for each, a start with thousands of them would wait for thousands of visits."""
    async with open_rig(max_executions=200) as rig:
        rig.acts["b"] = forever
        await rig.deploy(THREE)
        started = [await rig.start() for _ in range(200)]
        for execution in started:
            await rig.kind(Kind.NODE_STARTED, execution, "b")
        await rig.settled()
        copy = await rig.copy_to(tmp_path / "copy")
    async with open_rig(copy, running=False) as rig:
        connection, visits = rig.store._reader._connection, 0
        visit = connection.run

        async def counted(work):
            nonlocal visits
            visits += 1
            return await visit(work)

        connection.run = counted
        running = asyncio.create_task(rig.engine.run())
        for execution in started:
            await rig.kind(Kind.WORKFLOW_COMPLETED, execution)
        rig.engine.drain()
        await running

        assert rig.called("b") == rig.called("c") == 200
        assert rig.called("a") == 0
        assert visits < 100


# --- blocked --------------------------------------------------------------------------------------------------------


async def test_execution_whose_definition_can_not_be_loaded_is_blocked_and_goes_on_when_it_can(open_rig, decoded):
    async with open_rig(running=False) as rig:
        await rig.deploy(THREE)
        execution = await rig.start()
    for _ in range(2):
        async with open_rig(without=("act",)) as rig:
            while (row := await rig.row(execution)).status is not ExecutionState.BLOCKED:
                await rig.settled()
            assert "no node type act" in decoded(row.error)["message"]
    async with open_rig() as rig:
        row = await rig.end(execution)

        assert row.status is ExecutionState.COMPLETED
        blocked = [fact for fact in await rig.facts(execution) if fact.kind is Kind.WORKFLOW_BLOCKED]
        assert len(blocked) == 1
        assert row.error is None


async def test_blocked_execution_can_be_cancelled(open_rig):
    async with open_rig(running=False) as rig:
        await rig.deploy(THREE)
        execution = await rig.start()
    async with open_rig(without=("act",)) as rig:
        while (await rig.row(execution)).status is not ExecutionState.BLOCKED:
            await rig.settled()

        assert await rig.steering.cancel(execution) is ExecutionState.CANCELLED


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE nodes SET output = x'32' WHERE path = 'a'",
        "UPDATE nodes SET status = 'failed' WHERE path = 'a'",
        "UPDATE nodes SET status = 'strange' WHERE path = 'a'",
        "UPDATE nodes SET finished_at = finished_at + 1 WHERE path = 'a'",
        "UPDATE nodes SET path = 'x' WHERE path = 'a'",
        "UPDATE nodes SET output = 'text' WHERE path = 'a'",
        "UPDATE executions SET trigger = x'7b7d'",
        "UPDATE executions SET params = '{}'",
        "UPDATE executions SET version = 2",
        "UPDATE executions SET root = 'other'",
        "UPDATE executions SET crc = crc + 1",
        "UPDATE definitions SET source = CAST(REPLACE(CAST(source AS TEXT), 'act', 'calc') AS BLOB)",
        "UPDATE definitions SET source = x'7b'",
    ],
)
async def test_damaged_row_blocks_its_execution_and_nothing_of_it_runs(open_rig, tmp_path, damage, decoded):
    copy, execution = await killed_in(open_rig, tmp_path, "b")
    sql(copy, damage)
    async with open_rig(copy) as rig:
        blocked = await rig.event(lambda e: e.kind is Kind.WORKFLOW_BLOCKED and e.execution == execution)
        await rig.settled()

        assert rig.calls == []
        assert b"damaged" in bytes(blocked.data) or b"not in the store" in bytes(blocked.data)
        [shown] = (await rig.ask("list"))["executions"]
        assert shown["status"] == "blocked"
        assert "damaged" in shown["error"] or "not in the store" in shown["error"]
        await rig.deploy("name: other\nnodes:\n  x: {type: act}")
        assert (await rig.end(await rig.start("other"))).status is ExecutionState.COMPLETED


async def test_execution_state_that_is_none_is_not_run(open_rig, tmp_path):
    copy, execution = await killed_in(open_rig, tmp_path, "b")
    sql(copy, "UPDATE executions SET status = 'runnin!'")
    async with open_rig(copy) as rig:
        await rig.settled()
        [shown] = (await rig.ask("list"))["executions"]

        assert shown["status"] == "blocked"
        assert rig.calls == []
        assert await rig.steering.cancel(execution) is ExecutionState.CANCELLED


async def test_damage_of_one_execution_does_not_make_others_invisible(open_rig, tmp_path):
    async with open_rig(running=False) as rig:
        await rig.deploy(THREE)
        started = [await rig.start() for _ in range(50)]
        await rig.store.submit(
            lambda tx: tx.execute("UPDATE executions SET trigger = x'00' WHERE id = ?", (started[0],))
        )
    async with open_rig(max_executions=5) as rig:
        for execution in started[1:]:
            assert (await rig.end(execution)).status is ExecutionState.COMPLETED


# --- poison ---------------------------------------------------------------------------------------------------------


async def test_execution_that_kills_the_process_again_and_again_is_failed(open_rig, tmp_path, decoded):
    text = THREE.replace("nodes:", "on_failure: tell\nnodes:", 1)
    folder, execution = await killed_in(open_rig, tmp_path, "b", text, "life0")
    for life in range(1, 4):
        async with open_rig(folder, max_deaths=3) as rig:
            rig.acts["b"] = forever
            await rig.deploy("name: tell\nnodes:\n  t: {type: act}")
            await rig.kind(Kind.NODE_STARTED, execution, "b")
            await rig.settled()
            assert (await rig.row(execution)).deaths == life
            folder = await rig.copy_to(tmp_path / f"life{life}")
    async with open_rig(folder, max_deaths=3) as rig:
        row = await rig.end(execution)

        assert row.status is ExecutionState.FAILED
        assert decoded(row.error)["kind"] == "poison"
        assert "died 4 times" in decoded(row.error)["message"]
        await rig.event(lambda e: e.kind is Kind.WORKFLOW_COMPLETED and e.workflow == "tell")
        assert rig.ran() == ["t"]


async def test_a_checkpoint_forgives_earlier_deaths(open_rig, tmp_path):
    folder, execution = await killed_in(open_rig, tmp_path, "b")
    async with open_rig(folder) as rig:
        rig.acts["c"] = forever
        await rig.kind(Kind.NODE_STARTED, execution, "c")
        await rig.settled()

        assert (await rig.row(execution)).deaths == 0


async def test_orderly_stops_are_no_deaths(open_rig):
    async with open_rig() as rig:
        rig.acts["a"] = forever
        await rig.deploy(THREE)
        execution = await rig.start()
        await rig.kind(Kind.NODE_STARTED, execution, "a")
    for _ in range(5):
        async with open_rig(max_deaths=1) as rig:
            rig.acts["a"] = forever
            await rig.kind(Kind.NODE_STARTED, execution, "a")
            assert rig.store.was_clean
            assert (await rig.row(execution)).deaths == 0


async def test_result_is_the_same_from_every_checkpoint(open_rig, tmp_path, decoded):
    """Copies the files after each commit and lets each copy go on: the same end, and no finished node again."""
    text = (
        "name: w\nnodes:\n"
        "  a: {type: act, data: '{{ random() }}'}\n"
        "  p: {type: calc, data: '{{ nodes.a }}-{{ uuid() }}-{{ now() }}'}\n"
        "  b: {type: act, data: '{{ nodes.p }}'}\n"
        "  bad: {type: fail, message: no, critical: false, needs: b}\n"
        "  c: {type: act, needs: bad, data: '{{ errors.bad.message }} {{ nodes.b }} {{ uuid() }}'}\n"
        "outputs: '{{ nodes.c }}'\n"
    )
    async with open_rig() as rig:
        await rig.deploy(text)
        copies = []
        step = asyncio.Event()

        async def stopping(ctx, data):
            copies.append(await rig.copy_to(tmp_path / f"at-{ctx.path}"))
            step.set()
            return Done(data)

        rig.acts |= dict.fromkeys(("a", "b", "c"), stopping)
        execution = await rig.start()
        whole = await rig.end(execution)
    assert whole.status is ExecutionState.PARTIAL
    assert len(copies) == 3
    for copy in copies:
        async with open_rig(copy) as rig:
            row = await rig.end(execution)

            assert (row.status, decoded(row.outputs)[:3]) == (whole.status, "no ")
            assert len(rig.ran()) == len(set(rig.ran()))
            if copy.name == "at-c":
                assert row.outputs == whole.outputs
                assert rig.ran() == ["c"]
            if copy.name == "at-b":
                assert rig.ran() == ["b", "c"]


@pytest.mark.parametrize("optional", ["lack", "catch"])
async def test_end_is_partial_after_a_restart_when_a_body_that_is_over_made_it_so(open_rig, tmp_path, optional):
    text = (
        "name: w\nnodes:\n  scan:\n    type: foreach\n    items: '[1, 2]'\n    nodes:\n"
        f"      {optional}: {{type: fail, message: no, critical: false}}\n      ok: {{type: act}}\n"
        "  last: {type: act, needs: scan}\n"
    )
    async with open_rig() as rig:
        await rig.deploy(text)
        copies = []

        async def copying(ctx, data):
            copies.append(await rig.copy_to(tmp_path / str(len(copies))))
            return Done(data)

        rig.acts |= dict.fromkeys(("scan[0]/ok", "scan[1]/ok", "last"), copying)
        execution = await rig.start()
        assert (await rig.end(execution)).status is ExecutionState.PARTIAL
    assert len(copies) == 3
    for copy in copies:
        async with open_rig(copy) as rig:
            assert (await rig.end(execution)).status is ExecutionState.PARTIAL


async def test_a_body_that_failed_is_not_taken_for_a_node_of_its_name(open_rig, tmp_path):
    text = (
        "name: w\nnodes:\n  safe:\n    type: try\n    on_error: continue\n    nodes:\n"
        "      a: {type: fail, message: no}\n"
        "    catch:\n      nodes:\n        b: {type: fail, message: no}\n"
        "  last: {type: act, run_if: always, needs: safe}\n"
        "  catch: {type: act, critical: false, needs: last}\n"
    )
    async with open_rig() as rig:
        await rig.deploy(text)
        copies = []

        async def copying(ctx, data):
            copies.append(await rig.copy_to(tmp_path / "copy"))
            return Done(data)

        rig.acts["last"] = copying
        execution = await rig.start()
        assert (await rig.end(execution)).status is ExecutionState.COMPLETED
    async with open_rig(copies[0]) as rig:
        assert (await rig.end(execution)).status is ExecutionState.COMPLETED
