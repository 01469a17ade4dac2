"""Who used most, and how that grows."""

import pytest

from engine.contract import Done, Fail
from engine.control.consumers import hour_uses, node_uses, workflow_uses
from engine.control.verb import Refused
from engine.store import usage
from engine.store.usage import HOUR, Hour, NodeUse, Statistics, Usage

HOURS = {"failed": 0, "nodes": 1, "seconds": 1.0, "output_bytes": 10, "api_calls": 0, "llm_tokens": 0}


def hour(at: int, executions: int, workflow: str = "w", **more) -> Hour:
    return Hour(**{**HOURS, "workflow": workflow, "hour": at, "executions": executions, **more})


def use(path: str, **more) -> NodeUse:
    kept = {"status": "completed", "seconds": 1.0, "output_bytes": 5, "usage": Usage(api_calls=2, llm_tokens=3)}
    return NodeUse(workflow="w", path=path, **{**kept, **more})


def test_growth_is_the_last_day_against_a_mean_day_of_the_week_before() -> None:
    [one] = workflow_uses([hour(0, 30)], [hour(0, 30, seconds=5.0)], [hour(0, 140, seconds=70.0, output_bytes=0)])
    assert one.growth == {"executions": 0.5, "seconds": -0.5}


def test_without_a_week_before_there_is_no_growth() -> None:
    [one] = workflow_uses([hour(0, 30)], [hour(0, 30)], [])
    assert one.growth == {}


def test_a_workflow_that_ended_nothing_in_the_last_day_shrank_to_nothing() -> None:
    [one] = workflow_uses([hour(0, 30)], [], [hour(0, 70)])
    assert one.growth["executions"] == -1.0


def test_a_node_in_a_loop_is_one_and_its_iterations_are_none() -> None:
    rows = [use("scan"), use("scan[0]"), use("scan[0]/fetch"), use("scan[1]"), use("scan[1]/fetch", status="failed")]
    found = {one.node: one for one in node_uses([*rows, use("safe/catch"), use("no path!")])}
    assert set(found) == {"scan", "fetch"}
    fetch = found["fetch"]
    assert (fetch.executions, fetch.failed, fetch.seconds, fetch.output_bytes) == (2, 1, 2.0, 10)
    assert (fetch.api_calls, fetch.llm_tokens) == (4, 6)


def test_history_adds_workflows_up() -> None:
    found = hour_uses([hour(490_000, 1), hour(490_000, 2, "other"), hour(490_001, 4)])
    assert [(one.time[:13], one.executions) for one in found] == [("2025-11-24T16", 3), ("2025-11-24T17", 4)]


async def call(ctx, data):
    await ctx.reserve_tokens(data)
    return Fail("x") if data > 50 else Done()


async def test_the_report_tells_who_used_most(open_rig, clock):
    async with open_rig(clock=clock) as rig:
        rig.acts["ask"] = call
        await rig.run("name: small\nnodes: {ask: {type: act, data: 10}}")
        await rig.run("name: big\nnodes:\n  b: {type: act, data: xyz}\n  ask: {type: act, data: 60, needs: b}\n")
        await rig.run("name: small\nnodes: {ask: {type: act, data: 20}}")
        found = await rig.ask("usage", by="llm_tokens")

    assert [(one["workflow"], one["executions"], one["failed"], one["llm_tokens"]) for one in found["workflows"]] == [
        ("big", 1, 1, 60), ("small", 2, 0, 30),
    ]  # fmt: skip
    assert [(one["workflow"], one["node"], one["llm_tokens"]) for one in found["nodes"]] == [
        ("big", "ask", 60), ("small", "ask", 30), ("big", "b", 0),
    ]  # fmt: skip
    assert [(one["executions"], one["llm_tokens"]) for one in found["history"]] == [(3, 90)]
    assert found["nodes"][2]["output_bytes"] == 5


async def test_the_report_can_be_of_one_workflow_and_shorter(open_rig, clock):
    async with open_rig(clock=clock) as rig:
        await rig.run("name: one\nnodes: {a: {type: act}, b: {type: act}}")
        await rig.run("name: two\nnodes: {a: {type: act}}")
        found = await rig.ask("usage", workflow="one", by="executions", limit=1)
        assert [one["workflow"] for one in found["workflows"]] == ["one"]
        assert len(found["nodes"]) == 1
        assert [one["executions"] for one in found["history"]] == [1]
        clock.advance(25 * 3600)
        assert (await rig.ask("usage"))["workflows"] == []
        assert [one["executions"] for one in (await rig.ask("usage", hours=48, step=24))["history"]] == [2]


async def test_an_order_that_there_is_not_is_refused_with_a_remedy(rig):
    with pytest.raises(Refused, match="there is no order tokens"):
        await rig.ask("usage", by="tokens")


async def test_history_is_bounded(open_rig, clock):
    async with open_rig(clock=clock, running=False) as rig:
        used = Statistics(completed=1, failed=0, skipped=0, cancelled=0, duration=1.0, nodes=1, output_bytes=1)
        now = clock.now()

        def fill(tx):
            for days in range(100):
                usage.book(tx, "w", now - days * 24 * HOUR, used, None, failed=False)
            usage.forget(tx, before=now // HOUR - usage.KEEP)

        await rig.store.submit(fill)
        kept = await rig.store.read(lambda db: usage.history(db, since=0))
        assert len(kept) == usage.KEEP // 24 + 1


async def test_an_execution_that_is_had_run_again_adds_what_is_new(open_rig, clock):
    async with open_rig(clock=clock, running=False) as rig:
        first = Statistics(completed=2, failed=1, skipped=3, cancelled=0, duration=5.0, nodes=3, output_bytes=70)
        second = Statistics(completed=6, failed=0, skipped=0, cancelled=0, duration=9.0, nodes=6, output_bytes=90)

        def fill(tx):
            usage.book(tx, "w", clock.now(), first, None, failed=True)
            usage.book(tx, "w", clock.now(), second, first, failed=False)

        await rig.store.submit(fill)
        [found] = await rig.store.read(lambda db: usage.history(db, since=0))
        assert (found.executions, found.failed, found.nodes, found.seconds, found.output_bytes) == (2, 1, 6, 9.0, 90)
