"""How often an execution commits, and what waits for that: the durability that a workflow asks for."""

import asyncio

import pytest

from engine.contract import Done, Wait
from engine.events import Kind
from engine.states import ExecutionState

FIVE = "nodes:\n" + "".join(
    f"  {name}: {{type: act, data: 1{f', needs: {before}' if before else ''}}}\n"
    for name, before in zip("abcde", ["", *"abcd"], strict=True)
)


def workflow(durability: str, checkpoint: str = "") -> str:
    return f"name: w\ndurability: {durability}\n{f'checkpoint: {checkpoint}' if checkpoint else ''}\n{FIVE}"


async def forever(ctx, data):
    await asyncio.Event().wait()


async def written_when(rig, text: str, node: str) -> set[str]:
    """Which nodes are on the disk while this one runs."""
    rig.acts[node] = forever
    await rig.deploy(text)
    execution = await rig.start()
    await rig.kind(Kind.NODE_STARTED, execution, node)
    await rig.settled()
    return set(await rig.nodes(execution))


@pytest.mark.parametrize(
    ("durability", "checkpoint", "written"),
    [
        ("sync", "", "abcd"),
        ("async", "", "abcd"),
        ("async", "every_node", "abcd"),
        ("async", "{nodes: 3}", "abc"),
        ("async", "{levels: 2}", "abcd"),
        ("async", "every_level", "abcd"),
        ("async", "never", ""),
        ("exit", "", ""),
    ],
)
async def test_what_is_on_the_disk_while_the_fifth_node_runs(rig, durability, checkpoint, written):
    assert await written_when(rig, workflow(durability, checkpoint), "e") == set(written)


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
async def test_everything_is_on_the_disk_at_the_end(rig, durability):
    row = await rig.run(workflow(durability))
    assert row.status is ExecutionState.COMPLETED
    assert set(await rig.nodes(row.id)) == set("abcde")
    facts = await rig.facts(row.id)
    assert [fact.seq for fact in facts] == sorted(fact.seq for fact in facts)
    assert len([fact for fact in facts if fact.kind is Kind.NODE_COMPLETED]) == 5


async def test_exit_begins_again_after_a_kill(open_rig, tmp_path):
    async with open_rig() as rig:
        await written_when(rig, workflow("exit"), "e")
        execution = rig.calls[0].execution
        copy = await rig.copy_to(tmp_path / "copy")
    async with open_rig(copy) as rig:
        row = await rig.end(execution)
        assert row.status is ExecutionState.COMPLETED
        assert rig.ran() == list("abcde")


async def test_async_goes_on_at_its_last_commit(open_rig, tmp_path):
    async with open_rig() as rig:
        await written_when(rig, workflow("async", "{nodes: 3}"), "e")
        execution = rig.calls[0].execution
        copy = await rig.copy_to(tmp_path / "copy")
    async with open_rig(copy) as rig:
        await rig.end(execution)
        assert rig.ran() == list("de")


@pytest.mark.parametrize("durability", ["async", "exit"])
async def test_start_of_an_at_most_once_attempt_commits_all_before_it(rig, durability):
    text = workflow(durability, "never" if durability == "async" else "").replace("e: {type: act", "e: {type: once")
    assert await written_when(rig, text, "e") == set("abcde")


@pytest.mark.parametrize("durability", ["async", "exit"])
async def test_wait_commits_all_before_it(rig, durability):
    async def later(ctx, data):
        return Done() if ctx.wake else Wait(ctx.now + 3_600_000_000)

    rig.acts["d"] = later
    await rig.deploy(workflow(durability, "never" if durability == "async" else ""))
    execution = await rig.start()
    await rig.kind(Kind.NODE_WAITING, execution, "d")
    assert await rig.states(execution) == {"a": "completed", "b": "completed", "c": "completed", "d": "waiting"}


@pytest.mark.parametrize("durability", ["async", "exit"])
async def test_pause_is_a_checkpoint(rig, durability):
    gate = asyncio.Event()

    async def hold(ctx, data):
        await gate.wait()
        return Done()

    rig.acts["c"] = hold
    await rig.deploy(workflow(durability, "never" if durability == "async" else ""))
    execution = await rig.start()
    await rig.kind(Kind.NODE_STARTED, execution, "c")
    await rig.steering.pause(execution)
    gate.set()
    await rig.kind(Kind.WORKFLOW_PAUSED, execution)
    assert await rig.states(execution) == {"a": "completed", "b": "completed", "c": "completed"}


async def test_effects_of_async_do_not_wait_for_the_disk(rig):
    """One commit for all of it: nothing was waited for."""
    before = rig.store.writer.commits
    await rig.run(workflow("async", "never"))
    assert rig.store.writer.commits - before <= 4  # deploy, intake, the end, and what else was under way
