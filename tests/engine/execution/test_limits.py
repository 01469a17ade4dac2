"""Limits of executions and of nodes: warned of once, kept exactly, and the reason is told."""

import asyncio

import pytest

from engine.contract import Done, Fail, LimitReached, Retry
from engine.events import Kind
from engine.execution.services import Services
from engine.ports import Response

CHAIN = "  a: {type: act}\n  b: {type: act, needs: a}\n  c: {type: act, needs: b}\n  d: {type: act, needs: c}\n"


class Http:
    """Answers at once."""

    def __init__(self) -> None:
        self.sent = 0

    async def send(self, method, url, **options) -> Response:
        self.sent += 1
        return Response(status=200, headers={}, body=b"")


async def call(ctx, times):
    for _ in range(times or 1):
        await ctx.http.send(
            "GET", "http://x", headers={}, body=None, timeout=1, max_bytes=1, follow_redirects=False, verify=True
        )
    return Done()


@pytest.fixture
def http(rig) -> Http:
    services: Services = rig.engine.services
    services.http = Http()
    return services.http


async def warnings(rig, execution, decoded):
    return [
        (fact.node, decoded(fact.data)["limit"])
        for fact in await rig.facts(execution)
        if fact.kind is Kind.LIMIT_WARNING
    ]


# --- what an execution may use


async def test_the_node_that_is_one_too_many_is_not_run(rig, decoded):
    row = await rig.run(f"name: w\nlimits: {{nodes: 3}}\nnodes:\n{CHAIN}")

    assert row.status == "failed"
    assert decoded(row.error) == {
        "kind": "limit",
        "message": "nodes: the limit of 3 nodes is reached; raise limits.nodes of the workflow w, or let it need less",
        "node": "d",
    }
    assert rig.ran() == ["a", "b", "c"]
    assert await warnings(rig, row.id, decoded) == [("", "nodes")]


async def test_a_retry_is_no_new_node(rig):
    async def once_more(ctx, data):
        return Retry("again") if ctx.attempt < 3 else Done()

    rig.acts["a"] = once_more
    row = await rig.run("name: w\nlimits: {nodes: 1}\nnodes: {a: {type: act, retry: {max: 5, delay: 0}}}")
    assert row.status == "completed"


async def test_nodes_of_iterations_count(rig, decoded):
    row = await rig.run(
        "name: w\nlimits: {nodes: 5}\nnodes:\n"
        "  scan: {type: foreach, items: '[1,2,3,4,5,6,7,8]', nodes: {look: {type: act, on_error: continue}}}\n"
    )
    assert row.status == "failed"
    assert decoded(row.error)["kind"] == "limit"
    assert len(rig.calls) == 4, "the loop is a node too"


async def test_a_loop_of_pure_nodes_ends_at_the_limit(rig, decoded):
    row = await rig.run(
        "name: w\nlimits: {nodes: 50}\nnodes:\n"
        "  scan: {type: foreach, items: 'range(1000)', nodes: {look: {type: calc, on_error: continue}}}\n"
    )
    assert row.status == "failed"
    assert decoded(row.error)["kind"] == "limit"
    assert len(rig.calls) == 49


async def test_finally_runs_when_the_limit_is_reached(rig, decoded):
    row = await rig.run(
        "name: w\nlimits: {nodes: 3}\nnodes:\n"
        "  safe:\n    type: try\n    nodes: {a: {type: act}, b: {type: act, needs: a}, c: {type: act, needs: b}}\n"
        "    catch: {nodes: {mend: {type: act}}}\n    finally: {nodes: {clean: {type: act}, more: {type: calc}}}\n"
    )
    assert row.status == "failed"
    assert decoded(row.error)["kind"] == "limit"
    assert rig.called("safe/finally/clean") == rig.called("safe/finally/more") == 1
    assert rig.called("safe/catch/mend") == 0
    assert rig.called("safe/try/c") == 0


async def test_output_beyond_the_limit_fails_the_execution(rig, decoded):
    row = await rig.run(
        "name: w\nlimits: {output_bytes: 1000}\nnodes:\n  a: {type: act, data: x}\n"
        f"  b: {{type: act, needs: a, data: {'y' * 1500}}}\n  c: {{type: act, needs: b}}\n"
    )
    assert row.status == "failed"
    assert decoded(row.error)["message"].startswith("output_bytes: 1.47KiB are over the limit of 1000B; raise limits.")
    assert (await rig.states(row.id))["b"] == "completed", "what is there is kept"
    assert rig.called("c") == 0


async def test_calls_are_counted_and_the_one_too_many_is_not_made(rig, http, decoded):
    rig.acts |= {"a": call, "b": call}
    row = await rig.run(
        "name: w\nlimits: {api_calls: 5}\nnodes:\n  a: {type: act, data: 4}\n  b: {type: act, needs: a, data: 2}\n"
    )
    assert row.status == "failed"
    assert http.sent == 5
    assert decoded(row.error)["node"] == "b"
    assert await warnings(rig, row.id, decoded) == [("", "api_calls")]
    nodes = await rig.nodes(row.id)
    assert (decoded(nodes["a"].usage), decoded(nodes["b"].usage)) == ({"api_calls": 4}, {"api_calls": 1})
    assert decoded(row.statistics)["api_calls"] == 5


async def test_wall_time_stops_what_runs(rig, decoded):
    async def forever(ctx, data):
        await asyncio.Event().wait()
        return Done()

    rig.acts["a"] = forever
    row = await rig.run("name: w\nlimits: {wall_time: 50ms}\nnodes: {a: {type: act}}")
    assert row.status == "failed"
    assert decoded(row.error) == {
        "kind": "limit",
        "message": "wall_time: the limit of 50ms is over; raise limits.wall_time of the workflow w, "
        "or let it need less",
        "node": None,
    }
    assert await warnings(rig, row.id, decoded) == [("", "wall_time")]


async def test_wall_time_goes_on_while_an_execution_waits(open_rig, clock, decoded):
    async with open_rig(clock=clock, park_seconds=0.0) as rig:
        await rig.deploy("name: w\nlimits: {wall_time: 1h}\nnodes: {a: {type: sleep, duration: 5h}}")
        id = await rig.start()
        await rig.kind(Kind.NODE_WAITING, id)
        clock.advance(48 * 60)
        rig.executor.wake()
        await rig.kind(Kind.LIMIT_WARNING, id)
        clock.advance(12 * 60)
        rig.executor.wake()
        row = await rig.end(id)
    assert row.status == "failed"
    assert decoded(row.error)["kind"] == "limit"


async def test_a_warning_comes_with_80_percent_and_the_execution_completes(rig, decoded):
    row = await rig.run(f"name: w\nlimits: {{nodes: 4}}\nnodes:\n{CHAIN}")
    assert row.status == "completed"
    facts = [fact for fact in await rig.facts(row.id) if fact.kind is Kind.LIMIT_WARNING]
    assert [decoded(fact.data) for fact in facts] == [{"limit": "nodes", "used": 4, "of": 4}]


async def test_without_limits_what_is_used_is_known_too(rig, http, decoded):
    rig.acts["a"] = call
    row = await rig.run("name: w\nnodes: {a: {type: act, data: 3}}")
    found = decoded(row.statistics)
    assert (found["api_calls"], found["nodes"], found["output_bytes"]) == (3, 1, 4)


# --- what a node may use


async def test_a_nodes_own_limit_fails_the_node_alone(rig, http, decoded):
    rig.acts["a"] = call
    row = await rig.run(
        "name: w\nnodes:\n  a: {type: act, data: 3, on_error: continue, limits: {api_calls: 2}}\n"
        "  b: {type: act, needs: a}\n"
    )
    assert row.status == "completed"
    assert http.sent == 2
    error = decoded((await rig.nodes(row.id))["a"].error)
    assert error["kind"] == "limit"
    assert "raise limits.api_calls of the node a" in error["message"]


async def test_a_nodes_limit_covers_all_its_attempts_and_is_not_tried_again(rig, http, decoded):
    async def call_and_fail(ctx, data):
        await call(ctx, 1)
        return Retry("no luck")

    rig.acts["a"] = call_and_fail
    row = await rig.run("name: w\nnodes: {a: {type: act, retry: {max: 9, delay: 0}, limits: {api_calls: 3}}}")
    assert row.status == "failed"
    assert http.sent == 3
    assert rig.called("a") == 4
    assert decoded(row.error)["kind"] == "limit"


async def test_too_large_an_output_of_a_node_is_not_kept(rig, decoded):
    row = await rig.run(
        f"name: w\nnodes: {{a: {{type: act, data: {'y' * 200}, on_error: continue, limits: {{output_bytes: 100}}}}}}"
    )
    node = (await rig.nodes(row.id))["a"]
    assert (node.status, node.output) == ("failed", None)
    assert decoded(node.error)["message"].startswith("output_bytes: 202B are over the limit of 100B")


async def test_the_wall_time_of_a_node_covers_its_attempts(open_rig, clock, decoded):
    async def slow(ctx, data):
        clock.advance(20)
        return Retry("slow")

    async with open_rig(clock=clock) as rig:
        rig.acts["a"] = slow

        async def hang(ctx, data):
            clock.advance(20)
            await asyncio.Event().wait()
            return Done()

        rig.acts["b"] = hang
        row = await rig.run("name: w\nnodes: {b: {type: act, on_error: continue, limits: {wall_time: 20ms}}}")
        error = decoded((await rig.nodes(row.id))["b"].error)
    assert error["kind"] == "limit"
    assert error["message"].startswith("wall_time: the limit of 20ms is over; raise limits.wall_time of the node b")


async def test_a_limit_on_a_loop_stops_the_loop_and_nothing_else(rig, http, decoded):
    rig.acts |= {f"scan[{i}]/look": call for i in range(9)}
    row = await rig.run(
        "name: w\nnodes:\n"
        "  scan: {type: foreach, items: 'range(9)', on_error: continue, limits: {api_calls: 4},"
        " nodes: {look: {type: act, on_error: continue}}}\n"
        "  after: {type: act, needs: scan}\n"
    )
    assert row.status == "completed"
    assert http.sent == 4
    nodes = await rig.nodes(row.id)
    assert nodes["scan"].status == "failed"
    assert decoded(nodes["scan"].error)["kind"] == "limit"
    assert nodes["after"].status == "completed"


async def test_code_that_swallows_the_refusal_does_not_pass(rig, http, decoded):
    async def stubborn(ctx, data):
        for _ in range(5):
            try:
                await call(ctx, 1)
            except LimitReached:
                continue
        return Done("all fine")

    rig.acts["a"] = stubborn
    row = await rig.run("name: w\nnodes: {a: {type: act, limits: {api_calls: 2}}}")
    assert row.status == "failed"
    assert http.sent == 2
    assert decoded(row.error)["kind"] == "limit"


# --- tokens


def spend(reserved: int, used: int | None):
    async def run(ctx, data):
        reservation = await ctx.reserve_tokens(reserved)
        if used is not None:
            reservation.settle(used)
        return Done()

    return run


async def test_tokens_are_reserved_and_settled(rig, decoded):
    rig.acts |= {"a": spend(80, 30), "b": spend(60, 50), "c": spend(30, 5)}
    row = await rig.run(f"name: w\nlimits: {{llm_tokens: 100}}\nnodes:\n{CHAIN}")
    assert row.status == "failed"
    assert "80 llm tokens are used of 100, and 30 more were asked for" in decoded(row.error)["message"]
    assert decoded(row.statistics)["llm_tokens"] == 80
    assert await warnings(rig, row.id, decoded) == [("", "llm_tokens")]


async def test_what_is_not_settled_counts_in_full(rig, decoded):
    rig.acts["a"] = spend(70, None)
    row = await rig.run("name: w\nlimits: {llm_tokens: 100}\nnodes: {a: {type: act}}")
    assert decoded(row.statistics)["llm_tokens"] == 70
    assert decoded((await rig.nodes(row.id))["a"].usage) == {"llm_tokens": 70}


async def test_a_reservation_waits_for_those_beside_it(rig, decoded):
    release = asyncio.Event()
    asked = asyncio.Event()

    async def hold(ctx, data):
        reservation = await ctx.reserve_tokens(90)
        await asked.wait()
        await release.wait()
        reservation.settle(10)
        return Done()

    async def ask(ctx, data):
        asked.set()
        asyncio.get_running_loop().call_soon(release.set)
        (await ctx.reserve_tokens(60)).settle(20)
        return Done()

    rig.acts |= {"a": hold, "b": ask}
    row = await rig.run("name: w\nlimits: {llm_tokens: 100}\nnodes: {a: {type: act}, b: {type: act}}")
    assert row.status == "completed"
    assert decoded(row.statistics)["llm_tokens"] == 30


async def test_an_attempt_that_fails_has_used_what_it_used(rig, decoded):
    async def waste(ctx, data):
        (await ctx.reserve_tokens(40)).settle(25)
        return Retry("bad answer") if ctx.attempt < 3 else Fail("bad answers")

    rig.acts["a"] = waste
    row = await rig.run("name: w\nnodes: {a: {type: act, retry: {max: 5, delay: 0}}}")
    assert decoded((await rig.nodes(row.id))["a"].usage) == {"llm_tokens": 75}
    assert decoded(row.statistics)["llm_tokens"] == 75


# --- memory


async def test_growth_of_the_process_is_measured_between_nodes(rig, monkeypatch, decoded):
    sizes = iter([1000, 1500, 2600, 9999, 9999])
    monkeypatch.setattr("engine.execution.metering.resident_bytes", lambda: next(sizes))
    row = await rig.run(f"name: w\nlimits: {{memory_growth: 1000B}}\nnodes:\n{CHAIN}")
    assert row.status == "failed"
    assert decoded(row.error)["message"].startswith("memory_growth: 1.562KiB are over the limit of 1000B")
    assert rig.ran() == ["a", "b"]


# --- restarts


async def test_a_restart_counts_nothing_twice_and_warns_of_nothing_twice(open_rig, acting, clock, decoded):
    text = (
        "name: w\nlimits: {nodes: 5, llm_tokens: 100}\nnodes:\n  a: {type: act}\n"
        "  scan: {type: foreach, needs: a, items: '[1,2]', nodes: {look: {type: act}}}\n"
        "  nap: {type: sleep, duration: 1h, needs: scan}\n  z: {type: act, needs: nap}\n"
    )
    acting.acts["a"] = spend(90, 90)
    async with open_rig(acting=acting, clock=clock) as rig:
        await rig.deploy(text)
        id = await rig.start()
        await rig.kind(Kind.NODE_WAITING, id)
        assert await warnings(rig, id, decoded) == [("", "llm_tokens"), ("", "nodes")]
    async with open_rig(acting=acting, clock=clock) as rig:
        clock.advance(4000)
        row = await rig.end(id)
        assert row.status == "failed"
        assert decoded(row.error)["node"] == "z"
        assert rig.called("z") == 0
        assert await warnings(rig, id, decoded) == [("", "llm_tokens"), ("", "nodes")]
        found = decoded(row.statistics)
        assert (found["llm_tokens"], found["completed"], found["failed"]) == (90, 5, 1)


async def test_a_node_in_a_restarted_execution_has_what_is_left_of_its_limit(open_rig, acting, clock, decoded):
    async def again(ctx, data):
        (await ctx.reserve_tokens(40)).settle(40)
        return Retry("later", after=3600) if ctx.attempt < 9 else Done()

    acting.acts["a"] = again
    async with open_rig(acting=acting, clock=clock) as rig:
        await rig.deploy("name: w\nnodes: {a: {type: act, retry: {max: 9}, limits: {llm_tokens: 100}}}")
        id = await rig.start()
        await rig.kind(Kind.NODE_RETRY, id)
    for _ in range(2):
        clock.advance(3601)
        async with open_rig(acting=acting, clock=clock) as rig:
            await rig.event(lambda e: e.kind in (Kind.NODE_RETRY, Kind.WORKFLOW_FAILED) and e.execution == id)
            row = await rig.row(id)
    assert row.status == "failed"
    assert decoded(row.statistics)["llm_tokens"] == 80
