"""`list` and `show` tell what running attempts wait for with others."""

import asyncio

from engine.contract import Done
from engine.execution.waiting import Waits

WORKFLOW = """\
name: w
nodes:
  first: {type: act}
  second: {type: act}
"""


async def test_running_execution_tells_what_its_attempts_wait_for_while_they_do(rig):
    began, go_on = asyncio.Event(), asyncio.Event()

    async def wait(ctx, data):
        with ctx.waiting("model m, 3 before it"), ctx.waiting("model m, 2 before it"):
            began.set()
            await go_on.wait()
        return Done(data)

    rig.acts["second"] = wait
    await rig.deploy(WORKFLOW)
    id = await rig.start()
    await began.wait()

    [info] = (await rig.ask("list"))["executions"]
    shown = await rig.ask("show", execution=id)

    assert (info["waits_in"], info["waits_for"]) == ("second", "model m, 2 before it")
    assert (shown["info"]["waits_in"], shown["info"]["waits_for"]) == ("second", "model m, 2 before it")
    assert {node["path"]: node["waits_for"] for node in shown["nodes"]} == {
        "first": "",
        "second": "model m, 2 before it",
    }
    go_on.set()
    await rig.end(id)
    [info] = (await rig.ask("list"))["executions"]
    assert (info["waits_in"], info["waits_for"]) == ("", "")
    assert rig.engine.services.waits.of(id) == {}


def test_blocks_may_end_in_any_order_and_the_newest_that_is_open_counts():
    waits = Waits()
    first = waits.waiting("e", "a", "one")
    second = waits.waiting("e", "a", "two")
    first.__enter__()
    second.__enter__()
    assert waits.of("e") == {"a": "two"}
    first.__exit__(None, None, None)
    assert waits.of("e") == {"a": "two"}
    second.__exit__(None, None, None)
    assert waits.of("e") == {}
