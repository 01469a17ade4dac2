"""`retry`: an execution that ended runs again from what failed, or from a node."""

import asyncio

import pytest

from engine.contract import Done, Fail
from engine.dispatch.catalogue import Unloadable
from engine.events import Kind
from engine.execution.path import BadPath
from engine.states import ExecutionState, IllegalMove
from engine.steering.rerun import NothingToRun, Undeployed
from engine.steering.revival import UnknownPlace
from engine.store import StoreCorrupt

CHAIN = """\
name: w
nodes:
  a: {type: act, data: "{{ trigger.data }}"}
  b: {type: act, data: "{{ nodes.a + 1 }}"}
  c: {type: act, data: "{{ nodes.b + 1 }}"}
  aside: {type: act}
outputs: "{{ nodes.c }}"
"""
HANDLED = CHAIN + "  mend: {type: act, needs: b, run_if: failed}\n"


class Broken:
    """Node code that fails until it is mended."""

    def __init__(self) -> None:
        self.mended = False

    async def __call__(self, ctx, data):
        return Done(data) if self.mended else Fail("no", kind="broken")


@pytest.fixture
def broken() -> Broken:
    return Broken()


async def failed(rig, broken, text=CHAIN, node="b") -> str:
    rig.acts[node] = broken
    row = await rig.run(text, 1)
    assert row.status in (ExecutionState.FAILED, ExecutionState.PARTIAL)
    rig.calls.clear()
    rig.seen.clear()
    return row.id


async def test_what_failed_runs_again_and_what_completed_does_not(rig, broken, decoded):
    id = await failed(rig, broken)
    broken.mended = True
    retried = await rig.engine.rerun.retry(id)
    row = await rig.end(id)

    assert retried.forgotten == ["b", "c"]
    assert (row.status, decoded(row.outputs), row.error) == (ExecutionState.COMPLETED, 3, None)
    assert rig.ran() == ["b", "c"]
    assert row.retried_at is not None


async def test_keys_are_those_of_the_first_try(rig, broken):
    rig.acts["b"] = broken
    row = await rig.run(CHAIN, 1)
    broken.mended = True
    await rig.engine.rerun.retry(row.id)
    await rig.event(lambda e: e.kind is Kind.WORKFLOW_COMPLETED)

    assert len({call.key for call in rig.calls if call.path == "b"}) == 1
    assert [call.attempt for call in rig.calls if call.path == "b"] == [1, 1]


async def test_fact_tells_what_is_run_again(rig, broken, decoded):
    id = await failed(rig, broken)
    await rig.engine.rerun.retry(id, "a")
    await rig.end(id)
    [fact] = [fact for fact in await rig.facts(id) if fact.kind is Kind.WORKFLOW_RETRIED]

    assert decoded(bytes(fact.data)) == {"from": "a", "nodes": ["a", "b", "c"], "count": 3}
    assert [fact.kind for fact in await rig.facts(id)].count(Kind.WORKFLOW_FAILED) == 2


async def test_from_a_node_it_and_everything_downstream_runs_again(rig, broken):
    id = await failed(rig, broken)
    broken.mended = True
    await rig.engine.rerun.retry(id, "a")

    assert (await rig.end(id)).status is ExecutionState.COMPLETED
    assert rig.ran() == ["a", "b", "c"]


async def test_handler_of_the_failure_is_decided_again(rig, broken):
    id = await failed(rig, broken, HANDLED.replace("outputs", "#"))
    assert (await rig.states(id))["mend"] == "completed"
    broken.mended = True
    await rig.engine.rerun.retry(id)

    assert (await rig.end(id)).status is ExecutionState.COMPLETED
    assert await rig.states(id) == {
        "a": "completed", "b": "completed", "c": "completed", "aside": "completed", "mend": "skipped",
    }  # fmt: skip


async def test_partial_execution_becomes_whole(rig, broken):
    text = "name: w\nnodes:\n  a: {type: act}\n  b: {type: act, critical: false}\n  c: {type: act, needs: a}\n"
    id = await failed(rig, broken, text)
    broken.mended = True
    await rig.engine.rerun.retry(id)

    assert (await rig.end(id)).status is ExecutionState.COMPLETED
    assert rig.ran() == ["b"]


async def test_cancelled_execution_goes_on(rig):
    entered = asyncio.Event()
    hold = asyncio.Event()

    async def held(ctx, data):
        entered.set()
        await hold.wait()
        return Done(data)

    rig.acts["b"] = held
    await rig.deploy(CHAIN)
    id = await rig.start(data=1)
    await entered.wait()
    await rig.steering.cancel(id, "wrong day")
    hold.set()
    row = await rig.end(id)
    assert (row.status, row.reason) == (ExecutionState.CANCELLED, "wrong day")
    rig.seen.clear()
    rig.calls.clear()
    await rig.engine.rerun.retry(id)

    assert (await rig.end(id)).status is ExecutionState.COMPLETED
    assert "a" not in rig.ran()


async def test_cancelled_before_it_began_it_starts(open_rig):
    async with open_rig(running=False) as rig:
        await rig.deploy(CHAIN)
        id = await rig.start(data=1)
        await rig.steering.cancel(id)
        await rig.engine.rerun.retry(id)
    async with open_rig() as rig:
        assert (await rig.end(id)).status is ExecutionState.COMPLETED
        assert [fact.kind for fact in await rig.facts(id)].count(Kind.WORKFLOW_STARTED) == 1


async def test_time_of_the_workflow_begins_anew(open_rig, clock):
    text = "name: w\ntimeout: 1m\nnodes:\n  a: {type: act}\n  s: {type: sleep, duration: 30s, needs: a}\n"
    async with open_rig(clock=clock) as rig:
        await rig.deploy(text)
        id = await rig.start()
        await rig.kind(Kind.NODE_WAITING, id)
    clock.advance(120)
    async with open_rig(clock=clock) as rig:
        assert (await rig.end(id)).status is ExecutionState.FAILED
        rig.seen.clear()
        await rig.engine.rerun.retry(id)
        await rig.kind(Kind.NODE_WAITING, id)
        while (await rig.row(id)).status is not ExecutionState.WAITING:
            await rig.settled()
        clock.advance(31)
        rig.executor.wake()

        assert (await rig.end(id)).status is ExecutionState.COMPLETED
        assert rig.ran() == []


async def test_failing_again_it_can_be_retried_again(rig, broken):
    id = await failed(rig, broken)
    for _ in range(2):
        rig.seen.clear()
        await rig.engine.rerun.retry(id)
        assert (await rig.end(id)).status is ExecutionState.FAILED
    broken.mended = True
    rig.seen.clear()
    await rig.engine.rerun.retry(id)

    assert (await rig.end(id)).status is ExecutionState.COMPLETED


async def test_successor_of_the_failure_stays(rig, broken):
    await rig.deploy("name: mend\nnodes:\n  m: {type: act}\n")
    rig.acts["b"] = broken
    row = await rig.run(CHAIN.replace("nodes:", "on_failure: mend\nnodes:", 1), 1)
    broken.mended = True
    rig.seen.clear()
    await rig.engine.rerun.retry(row.id)
    await rig.end(row.id)
    started = [fact for fact in await rig.facts() if fact.workflow == "mend" and fact.kind is Kind.WORKFLOW_STARTED]

    assert len(started) == 1


@pytest.mark.parametrize("state", ["completed", "running", "waiting", "paused", "queued"])
async def test_only_what_ended_without_completing_is_retried(open_rig, state):
    async with open_rig(max_executions=1) as rig:
        hold = asyncio.Event()

        async def held(ctx, data):
            await hold.wait()
            return Done(data)

        if state == "waiting":
            await rig.deploy("name: w\nnodes:\n  s: {type: sleep, duration: 1h}\n")
            id = await rig.start()
            await rig.kind(Kind.NODE_WAITING, id)
            while (await rig.row(id)).status is not ExecutionState.WAITING:
                await rig.settled()
        elif state == "completed":
            id = (await rig.run(CHAIN, 1)).id
        else:
            rig.acts["a"] = held
            await rig.deploy(CHAIN)
            id = await rig.start(data=1)
            await rig.kind(Kind.NODE_STARTED, id, "a")
            if state != "running":
                id = await rig.start(data=1)
            if state == "paused":
                await rig.steering.pause(id)
        with pytest.raises(IllegalMove):
            await rig.engine.rerun.retry(id)
        hold.set()


async def test_refusals_say_what_to_do(open_rig, broken):
    async with open_rig() as rig:
        id = await failed(rig, broken)
        with pytest.raises(UnknownPlace, match="did you mean aside"):
            await rig.engine.rerun.retry(id, "asid")
        with pytest.raises(BadPath):
            await rig.engine.rerun.retry(id, "a[")
        with pytest.raises(LookupError, match="no execution nobody"):
            await rig.engine.rerun.retry("nobody")
        await rig.engine.undeploy("w")
        with pytest.raises(Undeployed, match="`ganglion deploy` its file, then retry"):
            await rig.engine.rerun.retry(id)
        assert (await rig.row(id)).status is ExecutionState.FAILED
        await rig.deploy(CHAIN)
    async with open_rig(without=("act",)) as rig:
        with pytest.raises(Unloadable, match="act"):
            await rig.engine.rerun.retry(id)


async def test_failure_of_the_outputs_alone_can_not_be_retried(rig):
    row = await rig.run(CHAIN.replace("nodes.c }}", "nodes.c.x }}"), 1)
    assert row.status is ExecutionState.FAILED

    with pytest.raises(NothingToRun, match=r"its outputs did: .* `ganglion fork"):
        await rig.engine.rerun.retry(row.id)


async def test_damaged_checkpoint_is_not_run_again(rig, broken):
    id = await failed(rig, broken)
    await rig.store.submit(lambda tx: tx.execute("UPDATE nodes SET output = x'00' WHERE path = 'a'"))

    with pytest.raises(StoreCorrupt):
        await rig.engine.rerun.retry(id)


async def test_large_results_that_are_forgotten_are_given_back(rig, broken):
    async def large(ctx, data):
        return Done("x" * 100_000)

    rig.acts["a"] = large
    id = await failed(rig, broken, CHAIN.replace("nodes.a + 1", "nodes.a"))
    await rig.store.submit(lambda tx: tx.execute("SELECT 1"))

    def uses(db):
        return db.execute("SELECT COUNT(*) FROM value_uses").fetchone()[0]

    assert await rig.store.read(uses) == 1
    rig.acts["a"] = Broken()
    rig.seen.clear()
    await rig.engine.rerun.retry(id, "a")
    await rig.end(id)

    assert await rig.store.read(uses) == 0


async def test_two_retries_at_once_are_one(rig, broken):
    id = await failed(rig, broken)
    broken.mended = True
    results = await asyncio.gather(rig.engine.rerun.retry(id), rig.engine.rerun.retry(id), return_exceptions=True)
    await rig.end(id)

    assert sorted(type(result).__name__ for result in results) == ["IllegalMove", "Retried"]
    assert rig.ran().count("b") == 1


async def test_retried_execution_waits_for_its_turn_again(open_rig, broken):
    text = CHAIN.replace("nodes:", "flow: {concurrency: 1}\nnodes:", 1)
    hold, entered = asyncio.Event(), asyncio.Event()

    async def held(ctx, data):
        entered.set()
        await hold.wait()
        return Done(data)

    async with open_rig() as rig:
        id = await failed(rig, broken, text)
        broken.mended = True
        rig.acts["a"] = held
        other = await rig.start(data=5)
        await entered.wait()
        await rig.engine.rerun.retry(id, "a")
        forked = await rig.engine.forking.fork(id, place="a")
        for _ in range(20):
            await rig.settled()
        assert rig.called("a") == 1, "two of them ran at once"
        hold.set()
        for each in (other, id, forked.execution):
            assert (await rig.end(each)).status is ExecutionState.COMPLETED
