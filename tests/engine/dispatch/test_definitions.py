"""Deployed versions: they never change, and executions keep theirs."""

import asyncio

import pytest

from engine.contract import Done
from engine.control import Refused
from engine.definition import InvalidWorkflow
from engine.events import Kind
from engine.states import ExecutionState
from engine.store import definitions
from engine.triggers.routes import Routes, Undeliverable


def text(data: str) -> str:
    return (
        "name: w\nparams: {x: {type: number, default: 1}}\nnodes:\n  a: {type: act}\n"
        f"  b: {{type: act, needs: a, data: '{data} {{{{ params.x }}}}'}}\noutputs: '{{{{ nodes.b }}}}'\n"
    )


async def test_same_definition_is_the_same_version(rig):
    assert await rig.deploy(text("one")) == 1
    assert await rig.deploy("# a comment\n" + text("one")) == 1
    assert await rig.deploy(text("two")) == 2
    assert await rig.deploy(text("two"), x=5) == 3
    assert await rig.deploy(text("one")) == 4

    facts = [fact.version for fact in await rig.facts() if fact.kind is Kind.DEFINITION_DEPLOYED]
    assert facts == [1, 2, 3, 4]


async def test_what_always_gives_the_same_and_never_fits_is_refused(rig):
    with pytest.raises(InvalidWorkflow, match="ok_status: Expected `int`"):
        await rig.deploy("name: w\nnodes:\n  a: {type: http, url: x, ok_status: ['{{ 1 / 2 }}']}")


async def test_deploy_never_changes_a_version(rig):
    await rig.deploy(text("one"))
    before = await rig.store.read(lambda db: definitions.get(db, "w", 1))
    await rig.deploy(text("two"))
    after = await rig.store.read(lambda db: definitions.get(db, "w", 1))

    assert (after.source, after.params, after.hash) == (before.source, before.params, before.hash)
    assert [row.version for row in await rig.store.read(definitions.active)] == [2]


async def test_running_execution_keeps_its_version_also_over_a_restart(open_rig, tmp_path, decoded):
    async with open_rig() as rig:
        entered = asyncio.Event()

        async def hold(ctx, data):
            entered.set()
            await asyncio.Event().wait()

        rig.acts["a"] = hold
        await rig.deploy(text("old"), x=7)
        execution = await rig.start()
        await entered.wait()
        await rig.deploy(text("new"))
        copy = await rig.copy_to(tmp_path / "copy")
    async with open_rig(copy) as rig:
        row = await rig.end(execution)

        assert (row.version, decoded(row.outputs)) == (1, "old 7")
        newer = await rig.end(await rig.start())
        assert (newer.version, decoded(newer.outputs)) == (2, "new 1")


async def test_undeployed_workflow_can_not_be_started_and_what_runs_goes_on(rig):
    gate = asyncio.Event()

    async def hold(ctx, data):
        await gate.wait()
        return Done()

    rig.acts["a"] = hold
    await rig.deploy(text("one"))
    execution = await rig.start()
    assert await rig.engine.undeploy("w") is True
    assert await rig.engine.undeploy("w") is False
    with pytest.raises(Undeliverable, match="no workflow named w is deployed"):
        await rig.start()
    gate.set()

    assert (await rig.end(execution)).status is ExecutionState.COMPLETED
    assert await rig.deploy(text("one")) == 1


async def test_params_of_one_execution_replace_the_bound_ones(rig, decoded):
    await rig.deploy(text("x is"), x=2)
    row = await rig.end(await rig.start(params={"x": 3}))

    assert decoded(row.outputs) == "x is 3"


async def test_active_definitions_are_known_after_a_restart(open_rig):
    async with open_rig() as rig:
        await rig.deploy(text("one"))
    async with open_rig() as rig:
        assert list(rig.engine.catalogue.active) == ["w"]
        await rig.end(await rig.start())


async def test_definition_that_can_not_be_loaded_is_told_and_hinders_nobody(open_rig):
    async with open_rig() as rig:
        await rig.deploy(text("one"))
        await rig.deploy("name: other\nnodes:\n  l: {type: log, message: hi}")
    async with open_rig(without=("act",)) as rig:
        known = (await rig.ask("workflows"))["definitions"]
        assert [(info["workflow"], bool(info["problem"])) for info in known] == [("other", False), ("w", True)]
        with pytest.raises(Undeliverable):
            await rig.start("w")
        assert (await rig.end(await rig.start("other"))).status is ExecutionState.COMPLETED


async def test_damaged_definition_is_whole_again_after_its_file_is_deployed(open_rig):
    async with open_rig() as rig:
        await rig.deploy(text("one"))
        await rig.store.submit(lambda tx: tx.execute("UPDATE definitions SET source = x'7b'"))
    async with open_rig() as rig:
        assert "damaged" in rig.engine.catalogue.active["w"].problem
        assert await rig.deploy(text("one")) == 1
    async with open_rig() as rig:
        assert rig.engine.catalogue.active["w"].problem == ""


async def test_file_with_errors_is_refused_whole(rig):
    with pytest.raises(InvalidWorkflow):
        await rig.deploy("name: w\nnodes:\n  a: {type: act, needs: b}")

    assert await rig.store.read(definitions.active) == []


async def test_more_plans_than_are_remembered_are_compiled_again(rig, monkeypatch):
    from engine.dispatch import catalogue

    monkeypatch.setattr(catalogue, "MAX_PLANS", 2)
    for i in range(4):
        await rig.deploy(f"name: w{i}\nnodes:\n  a: {{type: act}}")
    for i in (0, 1, 2, 3, 0):
        assert (await rig.end(await rig.start(f"w{i}"))).status is ExecutionState.COMPLETED


async def test_a_definition_whose_messages_cant_be_taken_in_does_not_become_active(rig):
    seen: list[tuple[str, ...]] = []

    async def capture(routes: Routes) -> None:
        seen.append(routes.intake_subjects)
        if "taken.>" in routes.intake_subjects:
            raise Refused(409, "its messages can't be taken in: another stream keeps them")

    rig.engine.captures.append(capture)
    await rig.deploy("name: w\ntriggers: [{nats: {subject: free.a}}]\nnodes:\n  a: {type: act}")

    with pytest.raises(Refused, match="another stream keeps them"):
        await rig.deploy("name: w\ntriggers: [{nats: {subject: taken.>}}]\nnodes:\n  a: {type: act}")

    assert rig.engine.intake.routes.intake_subjects == ("free.a",)
    assert rig.engine.catalogue.active["w"].row.version == 1
    assert seen == [("free.a",), ("taken.>",), ("free.a",)], "the others that were asked take in what they did"


async def test_deploy_that_is_cancelled_at_its_commit_is_active_here_too(rig):
    """The commit is under way: what the store will say, memory must say as well."""
    submit = rig.store.writer.submit
    begun = asyncio.Event()

    def watched(unit, **options):
        begun.set()
        return submit(unit, **options)

    rig.store.writer.submit = watched
    deploying = asyncio.create_task(
        rig.engine.deploy(b"name: w\ntriggers: [{nats: {subject: a.b}}]\nnodes: {a: {type: act}}")
    )
    await begun.wait()
    deploying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await deploying

    assert "w" in rig.engine.catalogue.active
    assert "a.b" in rig.engine.intake.routes.intake_subjects
    await rig.end(await rig.start("w"))


async def test_large_file_is_read_while_others_have_their_turn(rig):
    nodes = "\n".join(f"  n{i}: {{type: act, data: '{{{{ trigger.data }}}}'}}" for i in range(2000))
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    await rig.deploy(f"name: w\nnodes:\n{nodes}\n")
    ticking.cancel()

    assert ticks > 100
    assert len(rig.engine.catalogue.active["w"].workflow.nodes) == 2000
