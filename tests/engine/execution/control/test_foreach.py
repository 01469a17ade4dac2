"""The same nodes for each item of a list."""

import asyncio

import pytest

from engine.contract import Done, Fail, Retry, Wait
from engine.events import Kind
from engine.states import ExecutionState

EACH = """
name: w
nodes:
  scan:
    type: foreach
    items: trigger.data
    as: row
    concurrency: {concurrency}
    {more}
    nodes:
      fetch: {{type: act, data: "{{{{ row * 10 + index }}}}"}}
    output: "{{{{ nodes.fetch }}}}"
outputs: "{{{{ nodes.scan }}}}"
"""


def each(concurrency: int = 1, more: str = "") -> str:
    return EACH.format(concurrency=concurrency, more=more)


async def forever(ctx, data):
    await asyncio.Event().wait()


async def test_outputs_are_listed_in_the_order_of_the_items(rig, decoded):
    gates = {f"scan[{index}]/fetch": asyncio.Event() for index in range(3)}

    async def wait_for_the_next(ctx, data):
        following = f"scan[{int(ctx.path[5]) + 1}]/fetch"
        if following in gates:
            await gates[following].wait()
        gates[ctx.path].set()
        return Done(data)

    rig.acts.update(dict.fromkeys(gates, wait_for_the_next))
    row = await rig.run(each(concurrency=3), [1, 2, 3])

    assert row.status is ExecutionState.COMPLETED
    assert decoded(row.outputs) == [10, 21, 32]
    done = [fact.node for fact in await rig.facts(row.id) if fact.kind is Kind.NODE_COMPLETED]
    assert done == ["scan[2]/fetch", "scan[1]/fetch", "scan[0]/fetch", "scan"]


async def test_no_more_iterations_run_at_once_than_asked_for(rig):
    at_once, most = 0, 0

    async def count(ctx, data):
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0)
        at_once -= 1
        return Done(data)

    rig.acts.update({f"scan[{index}]/fetch": count for index in range(9)})
    await rig.run(each(concurrency=2), list(range(9)))
    assert most == 2


async def test_empty_list_gives_an_empty_list(rig, decoded):
    row = await rig.run(each(), [])
    assert decoded(row.outputs) == []


@pytest.mark.parametrize(
    ("items", "more", "message"),
    [
        ({"a": 1}, "", "items gave object, not a list"),
        ([1, 2, 3], "max_iterations: 2", "3 items are more than max_iterations, 2: raise it, or filter the list"),
    ],
)
async def test_unfit_items_fail_the_node_before_it_begins(rig, decoded, items, more, message):
    row = await rig.run(each(more=more), items)
    assert row.status is ExecutionState.FAILED
    assert decoded(row.error) == {"kind": "invalid", "message": message, "node": "scan"}
    assert rig.calls == []


async def test_failed_iteration_ends_the_loop_and_names_its_place(rig, decoded):
    async def refuse(ctx, data):
        return Fail("no answer", kind="broken")

    rig.acts["scan[1]/fetch"] = refuse
    row = await rig.run(each(), [1, 2, 3])
    assert row.status is ExecutionState.FAILED
    assert decoded(row.error) == {"kind": "broken", "message": "scan[1]/fetch: no answer", "node": "scan"}
    assert rig.ran() == ["scan[0]/fetch", "scan[1]/fetch"]
    states = await rig.states(row.id)
    assert states["scan[0]"] == "completed"
    assert states["scan[1]"] == "failed"
    assert states["scan"] == "failed"


async def test_failed_iteration_gives_null_where_the_others_go_on(rig, decoded):
    async def refuse(ctx, data):
        return Fail("no answer")

    rig.acts["scan[1]/fetch"] = refuse
    row = await rig.run(each(more="on_item_error: continue"), [1, 2, 3])
    assert row.status is ExecutionState.COMPLETED
    assert decoded(row.outputs) == [10, None, 32]
    failed = [fact for fact in await rig.facts(row.id) if fact.kind is Kind.ITERATION_FAILED]
    assert [fact.node for fact in failed] == ["scan[1]"]


async def test_too_many_failed_iterations_fail_the_node(rig, decoded):
    async def refuse(ctx, data):
        return Fail("no answer")

    rig.acts.update({f"scan[{index}]/fetch": refuse for index in (0, 2, 3)})
    row = await rig.run(each(more="on_item_error: continue\n    max_failures: 1"), [1, 2, 3, 4])
    assert row.status is ExecutionState.FAILED
    assert decoded(row.error)["message"] == "scan[0]/fetch: no answer (and 1 more)"
    assert rig.ran() == [f"scan[{index}]/fetch" for index in range(3)]


async def test_nodes_of_an_iteration_see_what_is_around_them(rig, decoded):
    text = """
name: w
params: {factor: {type: integer, default: 2}}
nodes:
  base: {type: calc, data: 100}
  outer:
    type: foreach
    items: "[1, 2]"
    as: row
    nodes:
      inner:
        type: foreach
        items: "[row, row + 1]"
        as: cell
        nodes:
          sum: {type: calc, data: "{{ nodes.base + row * params.factor + cell }}"}
      last: {type: calc, data: "{{ nodes.inner[1] }}"}
    output: "{{ {'all': nodes.inner, 'last': nodes.last} }}"
outputs: "{{ nodes.outer }}"
"""
    row = await rig.run(text)
    assert decoded(row.outputs) == [{"all": [103, 104], "last": 104}, {"all": [106, 107], "last": 107}]
    states = await rig.states(row.id)
    assert states["outer[1]/inner[0]/sum"] == "completed"


async def test_finished_iterations_are_not_run_again_after_a_kill(open_rig, tmp_path, decoded):
    async with open_rig() as rig:
        rig.acts["scan[2]/fetch"] = forever
        await rig.deploy(each())
        execution = await rig.start(data=[1, 2, 3, 4])
        await rig.kind(Kind.NODE_STARTED, execution, "scan[2]/fetch")
        await rig.settled()
        copy = await rig.copy_to(tmp_path / "copy")
    async with open_rig(copy) as rig:
        row = await rig.end(execution)
        assert decoded(row.outputs) == [10, 21, 32, 43]
        assert rig.ran() == ["scan[2]/fetch", "scan[3]/fetch"]
        facts = await rig.facts(execution)
        done = [fact.node for fact in facts if fact.kind is Kind.NODE_COMPLETED]
        assert len(done) == len(set(done)) == 5


async def test_iterations_that_were_open_go_on_where_they_were(open_rig, tmp_path, decoded):
    text = """
name: w
nodes:
  scan:
    type: foreach
    items: trigger.data
    concurrency: 3
    nodes:
      one: {type: act, data: "{{ item }}"}
      two: {type: act, data: "{{ nodes.one + 1 }}"}
    output: "{{ nodes.two }}"
outputs: "{{ nodes.scan }}"
"""
    async with open_rig() as rig:
        rig.acts.update({"scan[0]/two": forever, "scan[1]/one": forever})
        await rig.deploy(text)
        execution = await rig.start(data=[10, 20, 30])
        await rig.kind(Kind.NODE_STARTED, execution, "scan[0]/two")
        await rig.kind(Kind.NODE_STARTED, execution, "scan[1]/one")
        await rig.kind(Kind.NODE_COMPLETED, execution, "scan[2]/two")
        await rig.settled()
        copy = await rig.copy_to(tmp_path / "copy")
    async with open_rig(copy) as rig:
        row = await rig.end(execution)
        assert decoded(row.outputs) == [11, 21, 31]
        assert sorted(rig.ran()) == ["scan[0]/two", "scan[1]/one", "scan[1]/two"]


async def test_waiting_and_retrying_nodes_of_an_iteration_survive_a_restart(open_rig, tmp_path, clock, decoded):
    async def later(ctx, data):
        return Done(data) if ctx.wake else Wait(ctx.now + 3_600_000_000)

    async def unsure(ctx, data):
        return Done(data) if ctx.attempt == 2 else Retry("not yet")

    text = each(concurrency=2).replace(
        "type: act,", "type: act, retry: {{max: 1, delay: 1h}},".replace("{{", "{").replace("}}", "}")
    )
    async with open_rig(clock=clock) as rig:
        rig.acts.update({"scan[0]/fetch": later, "scan[1]/fetch": unsure})
        await rig.deploy(text)
        execution = await rig.start(data=[1, 2])
        await rig.kind(Kind.NODE_WAITING, execution)
        await rig.kind(Kind.NODE_RETRY, execution)
        await rig.settled()
        copy = await rig.copy_to(tmp_path / "copy")
    clock.advance(7200)
    async with open_rig(copy, clock=clock) as rig:
        rig.acts.update({"scan[0]/fetch": later, "scan[1]/fetch": unsure})
        row = await rig.end(execution)
        assert decoded(row.outputs) == [10, 21]
        assert sorted(call.attempt for call in rig.calls) == [1, 2]


async def test_every_iteration_has_a_key_of_its_own(rig):
    await rig.run(each(), [1, 2, 3])
    assert len({call.key for call in rig.calls}) == 3


async def test_pause_lets_iterations_under_way_end_and_resume_goes_on(rig, decoded):
    gate = asyncio.Event()

    async def hold(ctx, data):
        await gate.wait()
        return Done(data)

    rig.acts["scan[1]/fetch"] = hold
    await rig.deploy(each())
    execution = await rig.start(data=[1, 2, 3])
    await rig.kind(Kind.NODE_STARTED, execution, "scan[1]/fetch")
    await rig.steering.pause(execution)
    gate.set()
    await rig.kind(Kind.WORKFLOW_PAUSED, execution)
    assert rig.ran() == ["scan[0]/fetch", "scan[1]/fetch"]

    await rig.steering.resume(execution)
    row = await rig.end(execution)
    assert decoded(row.outputs) == [10, 21, 32]
    assert rig.ran() == [f"scan[{index}]/fetch" for index in range(3)]


async def test_cancel_reaches_the_iterations_under_way(open_rig):
    async with open_rig(grace_seconds=0.01) as rig:
        await cancelled_in_iterations(rig)


async def cancelled_in_iterations(rig):
    rig.acts.update({"scan[0]/fetch": forever, "scan[1]/fetch": forever})
    await rig.deploy(each(concurrency=2))
    execution = await rig.start(data=[1, 2, 3])
    await rig.kind(Kind.NODE_STARTED, execution, "scan[1]/fetch")
    await rig.steering.cancel(execution)
    row = await rig.end(execution)
    assert row.status is ExecutionState.CANCELLED
    states = await rig.states(execution)
    assert set(states.values()) == {"cancelled"}
    assert len(rig.calls) == 2


async def test_failure_elsewhere_begins_no_further_iteration(rig, decoded):
    gate, began = asyncio.Event(), asyncio.Event()

    async def hold(ctx, data):
        began.set()
        await gate.wait()
        return Done(data)

    async def refuse(ctx, data):
        await began.wait()
        return Fail("broken")

    rig.acts.update({"scan[0]/fetch": hold, "other": refuse})
    await rig.deploy(each().replace("outputs:", "  other: {type: act}\noutputs:"))
    execution = await rig.start(data=[1, 2, 3])
    await rig.kind(Kind.NODE_FAILED, execution, "other")
    gate.set()
    row = await rig.end(execution)
    assert row.status is ExecutionState.FAILED
    assert decoded(row.error)["node"] == "other"
    assert rig.called("scan[0]/fetch") == 1
    assert rig.called("scan[1]/fetch") == 0
    assert (await rig.states(execution))["scan"] == "cancelled"


async def test_timeout_of_the_node_ends_its_iterations(rig, decoded):
    rig.acts["scan[0]/fetch"] = forever
    row = await rig.run(each(more="timeout: 20ms"), [1, 2])
    assert row.status is ExecutionState.FAILED
    assert decoded(row.error)["kind"] == "timeout"
    assert decoded(row.error)["node"] == "scan"


PAGES = """
name: w
nodes:
  scan:
    type: foreach
    pages:
      nodes:
        list: {type: act, data: "{{ cursor | default('start') }}"}
      items: nodes.list.rows
      next: nodes.list.next
    nodes:
      fetch: {type: act, data: "{{ item }}"}
outputs: "{{ nodes.scan }}"
"""
ALL = {None: ([1, 2], "b"), "b": ([], "c"), "c": ([3], None)}


async def page(ctx, data):
    rows, following = ALL[data]
    return Done({"rows": rows, "next": following})


async def test_list_may_come_page_by_page(rig, decoded):
    rig.acts.update({f"scan/pages[{index}]/list": page for index in range(3)})
    row = await rig.run(PAGES)
    assert decoded(row.outputs) == [1, 2, 3]
    assert rig.ran() == [
        "scan/pages[0]/list", "scan[0]/fetch", "scan[1]/fetch", "scan/pages[1]/list", "scan/pages[2]/list",
        "scan[2]/fetch",
    ]  # fmt: skip


async def test_pages_that_came_are_not_asked_for_again_after_a_kill(open_rig, tmp_path, decoded):
    acts = {f"scan/pages[{index}]/list": page for index in range(3)}
    async with open_rig() as rig:
        rig.acts.update(acts | {"scan[2]/fetch": forever})
        await rig.deploy(PAGES)
        execution = await rig.start()
        await rig.kind(Kind.NODE_STARTED, execution, "scan[2]/fetch")
        await rig.settled()
        copy = await rig.copy_to(tmp_path / "copy")
    async with open_rig(copy) as rig:
        rig.acts.update(acts)
        row = await rig.end(execution)
        assert decoded(row.outputs) == [1, 2, 3]
        assert rig.ran() == ["scan[2]/fetch"]


async def test_same_cursor_twice_is_refused(rig, decoded):
    async def stuck(ctx, data):
        return Done({"rows": [1], "next": "a"})

    rig.acts.update({f"scan/pages[{index}]/list": stuck for index in range(3)})
    row = await rig.run(PAGES)
    assert row.status is ExecutionState.FAILED
    assert "the same cursor twice" in decoded(row.error)["message"]


async def test_ten_thousand_items_resume_at_the_first_unfinished_one(open_rig, tmp_path, decoded):
    async with open_rig() as rig:
        rig.acts["scan[9000]/fetch"] = forever
        text = (
            each(more="max_iterations: 10000")
            .replace("      fetch:", "      pure: {type: calc, data: 1}\n      fetch:")
            .replace("type: act, data", "type: act, when: index >= 9000, data")
        )
        text = text.replace('output: "{{ nodes.fetch }}"', 'output: "{{ index }}"')
        await rig.deploy(text)
        execution = await rig.start(data=list(range(10_000)))
        await rig.kind(Kind.NODE_STARTED, execution, "scan[9000]/fetch")
        await rig.settled()
        copy = await rig.copy_to(tmp_path / "copy")
    async with open_rig(copy) as rig:
        row = await rig.end(execution)
        assert row.status is ExecutionState.COMPLETED
        assert decoded(row.outputs) == list(range(10_000))
        assert rig.called("scan[8999]/pure") == 0
        assert rig.called("scan[9000]/fetch") == 1
        assert rig.called("scan[9999]/pure") == 1


async def test_iteration_ends_after_all_that_happened_in_it(rig):
    text = """
name: w
nodes:
  scan:
    type: foreach
    items: "[1, 2]"
    nodes:
      way: {type: if, condition: item > 5}
      never: {type: calc, needs: way.then, data: 1}
      nor: {type: calc, needs: never, data: 1}
    output: "{{ nodes.way }}"
"""
    row = await rig.run(text)
    nodes = await rig.nodes(row.id)
    for index in range(2):
        inside = [nodes[path].seq for path in nodes if path.startswith(f"scan[{index}]/")]
        assert len(inside) == 3
        assert max(inside) < nodes[f"scan[{index}]"].seq < nodes["scan"].seq
