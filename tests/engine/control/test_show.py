"""What `show`, `list` and `checkpoints` answer about executions whose nodes hold nodes."""

import asyncio

import msgspec
import pytest

from engine.contract import Done, Fail, Retry
from engine.control import Refused
from engine.control.shortening import shortened
from engine.control.showing_verbs import MAX_ANSWER
from engine.events import Kind
from engine.states import ExecutionState
from engine.values import encode_json

SCAN = """\
name: w
params: {factor: {type: integer, default: 10}}
nodes:
  list: {type: act, data: "{{ trigger.data }}"}
  scan:
    type: foreach
    items: nodes.list
    as: row
    concurrency: 4
    on_item_error: continue
    max_failures: 0
    max_iterations: 20000
    nodes:
      fetch: {type: act, data: {url: "http://{{ row }}", n: "{{ row * params.factor }}"}, token: "{{ secrets.KEY }}"}
      keep: {type: calc, data: "{{ nodes.fetch }}"}
    output: "{{ nodes.keep.n }}"
  after: {type: act, data: "{{ nodes.scan }}"}
"""


async def refuse_three(ctx, data):
    return Fail("no such row", kind="http_404") if data["n"] == 30 else Done(data)


async def failed(rig, count=12) -> str:
    rig.acts |= {f"scan[{n}]/fetch": refuse_three for n in range(count)}
    row = await rig.run(SCAN, list(range(count)))
    assert row.status is ExecutionState.FAILED
    return row.id


async def shown(rig, id, **fields):
    return await rig.ask("show", execution=id, **fields)


def named(infos, path):
    return next(info for info in infos if info["path"] == path)


async def test_failed_iteration_is_expanded_and_the_completed_ones_are_counted(rig):
    id = await failed(rig)
    scan = named((await shown(rig, id))["nodes"], "scan")

    assert scan["status"] == "failed"
    assert scan["counts"]["failed"] == 1
    assert [body["path"] for body in scan["bodies"] if body["status"] == "failed"] == ["scan[3]"]
    [body] = [body for body in scan["bodies"] if body["path"] == "scan[3]"]
    assert body["names"] == {"row": 3, "index": 3}
    assert [(node["path"], node["status"]) for node in body["nodes"]] == [
        ("scan[3]/fetch", "failed"),
        ("scan[3]/keep", "skipped"),
    ]
    assert body["nodes"][0]["error"]["kind"] == "http_404"
    assert scan["more"] + len(scan["bodies"]) == sum(scan["counts"].values())


async def test_inputs_are_what_the_attempt_saw_and_no_secret_is_among_them(open_rig, secrets):
    async with open_rig(secrets=secrets) as rig:
        id = await failed(rig)
        answer = await shown(rig, id)
        body = named(named(answer["nodes"], "scan")["bodies"], "scan[3]")
        detail = (await shown(rig, id, node="scan[1]/fetch"))["nodes"][0]

    assert body["nodes"][0]["inputs"] == {"data": {"url": "http://3", "n": 30}, "token": "[secret KEY]"}
    assert detail["inputs"]["data"] == {"url": "http://1", "n": 10}
    assert detail["output"] == {"url": "http://1", "n": 10}
    assert b"canary" not in msgspec.json.encode(answer)


async def test_inputs_that_can_not_be_evaluated_are_shown_as_the_file_has_them(rig):
    text = "name: w\nnodes:\n  a: {type: act}\n  b: {type: act, needs: a, data: '{{ nodes.a.x.y }}'}\n"
    row = await rig.run(text)
    b = named((await shown(rig, row.id))["nodes"], "b")

    assert (b["error"]["kind"], b["inputs"]) == ("expression", {"data": "{{ nodes.a.x.y }}"})


async def test_skipped_node_says_why(rig):
    id = await failed(rig)
    answer = await shown(rig, id)

    assert named(answer["nodes"], "after")["reason"] == "the execution is failing"
    text = "name: w\nnodes:\n  a: {type: act}\n  b: {type: act, needs: a, when: 'false'}\n"
    row = await rig.run(text)
    assert named((await shown(rig, row.id))["nodes"], "b")["reason"] == "its `when` was false"


async def test_statistics_count_nodes_iterations_and_retries(rig):
    async def second(ctx, data):
        return Done(data) if ctx.attempt > 1 else Retry("busy")

    rig.acts["a"] = second
    row = await rig.run("name: w\nnodes:\n  a: {type: act, retry: {max: 2, delay: 1ms}}\n  b: {type: act, needs: a}\n")
    statistics = (await shown(rig, row.id))["statistics"]
    a = named((await shown(rig, row.id))["nodes"], "a")

    assert statistics == {"nodes": {"completed": 2}, "bodies": {}, "attempts": 3, "retried": 1, "checkpoint": 3}
    assert (a["attempt"], a["retries"]) == (2, 2)


async def test_many_iterations_fit_into_an_answer_and_are_paged(rig):
    count = 3000
    await rig.deploy(SCAN.replace("{type: act, data: {url", "{type: calc, data: {url").replace(
        ', token: "{{ secrets.KEY }}"', ""))  # fmt: skip
    id = await rig.start(data=list(range(count)))
    await rig.end(id)
    answer = await shown(rig, id)
    assert len(encode_json(answer)) <= MAX_ANSWER
    assert named(answer["nodes"], "scan")["counts"] == {"completed": count}
    paths: list[str] = []
    while True:
        page = await shown(rig, id, node="scan", all=True, after=len(paths))
        assert len(encode_json(page)) <= MAX_ANSWER
        [scan] = page["nodes"]
        paths += [body["path"] for body in scan["bodies"]]
        if not scan["more"]:
            break

    assert paths == [f"scan[{n}]" for n in range(count)]


async def test_wide_workflow_is_paged_too(rig):
    nodes = "".join(f"  n{i}: {{type: calc, data: {i}}}\n" for i in range(2500))
    row = await rig.run(f"name: w\nnodes:\n{nodes}")
    answer = await shown(rig, row.id)
    rest = await shown(rig, row.id, all=True, after=len(answer["nodes"]))

    assert len(answer["nodes"]) + answer["more"] == 2500
    assert rest["nodes"][0]["path"] == f"n{len(answer['nodes'])}"


async def test_large_values_are_cut_and_one_node_is_shown_whole(rig):
    row = await rig.run("name: w\nnodes:\n  a: {type: act, data: '{{ trigger.data }}'}\n", "x" * 200_000)
    a = (await shown(rig, row.id))["nodes"][0]
    whole = (await shown(rig, row.id, node="a"))["nodes"][0]

    assert (a["cut"], a["output"]) == (True, "… (a large value)")
    assert len(whole["output"]) == 200_000
    assert len(encode_json(await shown(rig, row.id))) < 40_000


async def test_place_that_is_none_is_refused(rig):
    id = await failed(rig)
    for place, code in (("scan[99]", 404), ("nobody", 404), ("scan[", 400), ("scan[99]/fetch", 404)):
        with pytest.raises(Refused) as refused:
            await shown(rig, id, node=place)
        assert refused.value.code == code


async def test_running_iterations_and_what_waits_are_seen(rig):
    hold, entered = asyncio.Event(), asyncio.Event()

    async def held(ctx, data):
        entered.set()
        await hold.wait()
        return Done(data)

    rig.acts["scan[0]/fetch"] = held
    await rig.deploy(SCAN)
    await rig.deploy("name: v\nnodes:\n  a: {type: act}\n  s: {type: sleep, duration: 1h, needs: a}\n")
    id = await rig.start("w", [0])
    await entered.wait()
    scan = named((await shown(rig, id))["nodes"], "scan")
    assert (scan["status"], scan["counts"]) == ("running", {"running": 1})
    assert [node["status"] for node in scan["bodies"][0]["nodes"]] == ["running", "pending"]
    other = await rig.start("v")
    await rig.kind(Kind.NODE_WAITING, other)
    while (await rig.row(other)).status is not ExecutionState.WAITING:
        await rig.settled()
    info = named_info(await rig.ask("list"), other)
    assert (info["settled"], info["total"], info["waits_in"], info["due"] is not None) == (1, 2, "s", True)
    hold.set()
    await rig.end(id)


async def test_children_stand_below_their_parents(rig):
    await rig.deploy("name: inner\nnodes:\n  a: {type: act, data: 1}\noutputs: '{{ nodes.a }}'\n")
    await rig.deploy("name: outer\nnodes:\n  sub: {type: workflow, workflow: inner}\n")
    row = await rig.end(await rig.start("outer"))
    answer = await shown(rig, row.id)
    [child] = answer["children"]
    info = (await shown(rig, child["execution"]))["info"]

    assert (child["workflow"], child["path"], child["status"]) == ("inner", "sub", "completed")
    assert named(answer["nodes"], "sub")["child"] == child["execution"]
    assert (info["parent"], info["parent_path"]) == (row.id, "sub")
    listed = (await rig.ask("list", workflow="outer", tree=True))["executions"]
    assert {one["execution"] for one in listed} == {row.id, child["execution"]}


async def test_checkpoints_are_listed_in_their_order_and_paged(rig):
    id = await failed(rig, 4)
    points = (await rig.ask("checkpoints", execution=id))["checkpoints"]
    seqs = [point["seq"] for point in points]

    assert seqs == sorted(seqs)
    assert points[0]["node"] == "list"
    assert (await rig.ask("checkpoints", execution=id, after=seqs[1], limit=2))["checkpoints"] == points[2:4]


async def test_retry_and_fork_are_verbs_with_refusals(rig):
    id = await failed(rig, 4)
    for fields, code in (({"node": "nobody"}, 404), ({"node": "scan["}, 400)):
        for verb in ("retry", "fork"):
            with pytest.raises(Refused) as refused:
                await rig.ask(verb, execution=id, **fields)
            assert refused.value.code == code
    with pytest.raises(Refused) as refused:
        await rig.ask("fork", execution=id, params={"factor": "x"})
    assert refused.value.code == 422
    rig.acts.clear()
    rig.seen.clear()
    answer = await rig.ask("fork", execution=id, params={"factor": 2}, node="list")
    assert (answer["kept"], answer["changed"]) == (0, [])
    assert (await rig.end(answer["execution"])).status is ExecutionState.COMPLETED
    assert "run again" in (await rig.ask("retry", execution=id))["message"]
    assert (await rig.end(id)).status is ExecutionState.COMPLETED
    with pytest.raises(Refused, match="it has completed") as refused:
        await rig.ask("retry", execution=id)
    assert refused.value.code == 409


@pytest.mark.parametrize(
    "value", [None, 1, "x" * 5000, ["y" * 300] * 100, {f"k{i}": list(range(50)) for i in range(200)}, [[["z" * 9000]]]]
)
def test_value_is_cut_to_its_limit_and_stays_json(value):
    for limit in (120, 500, 4000, 10**6):
        cut, is_cut = shortened(value, limit)

        assert len(encode_json(cut)) <= max(limit, 120)
        assert is_cut == (cut != value)


def named_info(answer, id):
    return next(info for info in answer["executions"] if info["execution"] == id)
