"""`cache`: a node completes with what was kept, without an attempt."""

import pytest

from engine.contract import Done, Effect, Fail, Retry, Wait
from engine.definition import InvalidWorkflow
from engine.events import Kind
from engine.states import ExecutionState

ASK = """
name: w
nodes:
  ask: {type: act, data: "{{ trigger.data }}", cache: {ttl: 1h}}
outputs: "{{ nodes.ask }}"
"""


async def completed(rig, execution, path="ask"):
    (fact,) = [f for f in await rig.facts(execution) if f.kind is Kind.NODE_COMPLETED and f.node == path]
    return fact


async def test_the_same_parameters_give_what_was_kept(rig, decoded):
    await rig.run(ASK, {"a": 1})
    row = await rig.run(ASK, {"a": 1})
    assert (decoded(row.outputs), rig.ran()) == ({"a": 1}, ["ask"])
    fact = decoded((await completed(rig, row.id)).data)
    assert (fact["cached"], fact["attempt"]) == (True, 0)
    assert (await rig.nodes(row.id))["ask"].attempt == 0


async def test_other_parameters_run(rig, decoded):
    await rig.run(ASK, 1)
    row = await rig.run(ASK, 2)
    assert (decoded(row.outputs), rig.called("ask")) == (2, 2)
    assert "cached" not in decoded((await completed(rig, row.id)).data)


async def test_what_is_kept_is_used_for_its_time_and_through_restarts(open_rig, clock):
    async with open_rig(clock=clock) as rig:
        await rig.run(ASK, 1)
    clock.advance(3599)
    async with open_rig(clock=clock) as rig:
        await rig.run(ASK, 1)
        assert rig.ran() == []
        clock.advance(1)
        await rig.run(ASK, 1)
        assert rig.ran() == ["ask"]


async def test_a_key_says_what_is_the_same(rig, decoded):
    text = ASK.replace("{ttl: 1h}", '{ttl: 1h, key: "{{ trigger.data.device }}"}')
    first = await rig.run(text, {"device": "f1", "n": 1})
    again = await rig.run(text, {"device": "f1", "n": 2})
    other = await rig.run(text, {"device": "f2", "n": 3})
    assert [decoded(row.outputs)["n"] for row in (first, again, other)] == [1, 1, 3]


async def test_a_key_stands_for_its_node_as_it_is_written(rig, decoded):
    text = ASK.replace("{ttl: 1h}", "{ttl: 1h, key: same}")
    await rig.run(text, 1)
    row = await rig.run(text.replace('data: "{{ trigger.data }}"', "data: new"), 1)
    assert decoded(row.outputs) == "new"


async def test_nodes_of_one_type_share_results_in_an_execution(rig, decoded):
    text = """
name: w
nodes:
  scan:
    type: foreach
    items: "[1, 2, 1, 1]"
    nodes: {ask: {type: act, data: "{{ item }}", cache: {ttl: 1m}}}
outputs: "{{ nodes.scan }}"
"""
    row = await rig.run(text)
    assert decoded(row.outputs) == [1, 2, 1, 1]
    assert rig.ran() == ["scan[0]/ask", "scan[1]/ask"]


async def test_a_branch_takes_the_port_it_took(rig, decoded):
    async def right(ctx, data):
        return Done("x", port="right")

    rig.acts["way"] = right
    text = """
name: w
nodes:
  way: {type: ways, cache: {ttl: 1h}}
  r: {type: transform, needs: way.right, data: went right}
outputs: "{{ nodes.r }}"
"""
    assert [decoded((await rig.run(text)).outputs) for _ in "ab"] == ["went right"] * 2
    assert rig.called("way") == 1


async def test_only_what_completed_is_kept(rig, decoded):
    async def sometimes(ctx, data):
        return [Fail("no"), Retry("busy"), Done("yes"), Done("again")][len(rig.calls) - 1]

    rig.acts["ask"] = sometimes
    text = ASK.replace("cache:", "retry: {max: 1, delay: 1ms}, cache:")
    first = await rig.run(text, 1)
    assert first.status is ExecutionState.FAILED
    second, third = await rig.run(text, 1), await rig.run(text, 1)
    assert (decoded(second.outputs), decoded(third.outputs), rig.called("ask")) == ("yes", "yes", 3)


async def test_a_default_in_place_of_a_failure_is_not_kept(rig, decoded):
    async def fail(ctx, data):
        return Fail("no")

    rig.acts["ask"] = fail
    text = ASK.replace("cache:", "default: none, cache:")
    for _ in "ab":
        assert decoded((await rig.run(text, 1)).outputs) == "none"
    assert rig.called("ask") == 2


async def test_a_node_that_waited_is_kept_at_its_end(rig, decoded):
    async def wait(ctx, data):
        return Wait(ctx.now + 1000) if ctx.wake is None else Done("slept")

    rig.acts["ask"] = wait
    for _ in "ab":
        assert decoded((await rig.run(ASK, 1)).outputs) == "slept"
    assert rig.called("ask") == 2


async def test_a_large_output_is_given_but_not_kept(rig, decoded):
    for _ in "ab":
        assert decoded((await rig.run(ASK, "x" * 70_000)).outputs) == "x" * 70_000
    assert rig.called("ask") == 2


async def test_a_pure_node_may_be_kept_and_stays_pure(rig, decoded):
    async def calc(ctx, data):
        with pytest.raises(RuntimeError, match="a pure node has no publish"):
            ctx.publish("x", b"")
        return Done(data * 2)

    rig.acts["ask"] = calc
    text = ASK.replace("type: act", "type: calc")
    assert [decoded((await rig.run(text, 4)).outputs) for _ in "ab"] == [8, 8]
    assert rig.called("ask") == 1


async def test_nothing_of_a_key_stands_in_the_store(open_rig, secrets, tmp_path):
    async with open_rig(secrets=secrets) as rig:
        await rig.run(ASK.replace("data:", 'token: "{{ secrets.KEY }}", data:'), "visible-parameter")
        keys = await rig.store.read(lambda db: db.execute("SELECT key FROM cache").fetchall())
    assert [len(key) for (key,) in keys] == [32]
    for file in tmp_path.glob("ganglion.db*"):
        assert secrets.values["KEY"].encode() not in file.read_bytes()


async def test_a_key_that_can_not_be_evaluated_fails_the_node(rig, decoded):
    row = await rig.run(ASK.replace("{ttl: 1h}", '{ttl: 1h, key: "{{ trigger.data.nope }}"}'), {"a": 1})
    assert decoded(row.error)["message"].startswith("cache.key: ")


async def test_secrets_are_told_apart_by_their_names(open_rig, secrets):
    async with open_rig(secrets=secrets) as rig:
        for token in ("{{ secrets.KEY }}", "{{ secrets.LONG }}", "[secret KEY]", "{{ secrets.KEY }}"):
            await rig.run(ASK.replace("data:", f'token: "{token}", data:'), 1)
        assert rig.called("ask") == 3


async def test_a_key_makes_an_edge(rig):
    text = "name: w\nnodes:\n  a: {type: act}\n  b: {type: act, cache: {ttl: 1h, key: '{{ nodes.a }}'}}\n"
    await rig.deploy(text)
    workflow = rig.engine.catalogue.active["w"].workflow
    assert workflow.nodes["b"].references == ("a",)
    assert workflow.nodes["b"].effect is Effect.AT_LEAST_ONCE


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("type: act, cache: 1h", 'nodes.n.cache: expected an object, got "1h"'),
        ("type: act, cache: {}", "nodes.n.cache: ttl is missing (add `ttl: …`, a duration such as 1h)"),
        ("type: act, cache: {ttl: soon}", 'nodes.n.cache.ttl: expected a duration such as 30s, got "soon"'),
        ("type: act, cache: {ttl: 0s}", "nodes.n.cache.ttl: expected more than 0s"),
        ("type: act, cache: {ttl: '{{ trigger.data }}'}", "nodes.n.cache.ttl: trigger is not known when this is read"),
        ("type: act, cache: {ttl: 1h, kee: 1}", "nodes.n.cache.kee: there is no field kee (did you mean key?)"),
        ("type: act, cache: {ttl: 1h, key: '{{ secrets.X }}'}", "nodes.n.cache.key: a secret must not go here"),
        ("type: once, cache: {ttl: 1h}", "nodes.n.cache: what must happen once is not answered from a cache"),
        ("type: foreach, items: [], nodes: {m: {type: act}}, cache: {ttl: 1h}", "nodes.n.cache: a node of type"),
    ],
)  # fmt: skip
async def test_a_wrong_cache_is_refused_at_load(rig, fields, message):
    with pytest.raises(InvalidWorkflow) as caught:
        await rig.deploy(f"name: w\nnodes: {{n: {{{fields}}}}}")
    assert message in str(caught.value)
