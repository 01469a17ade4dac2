"""A node that must not be called twice, and an agent that dies under it."""

import asyncio
import signal

import pytest

from tests.faults.patience import until
from tests.faults.sink import Effect

pytestmark = [pytest.mark.nats, pytest.mark.crash]

ONCE = """\
name: once
params: {{sink: {{type: string, default: "{sink}"}}}}
triggers: [{{nats: {{subject: "once.*"}}}}]
nodes:
  pay: {{type: http, method: POST, url: "{{{{ params.sink }}}}", effect: at_most_once,
         json: {{workflow: once, node: pay, message: "{{{{ trigger.data.message }}}}"}}}}
  after: {{type: http, method: POST, url: "{{{{ params.sink }}}}", needs: pay,
           json: {{workflow: once, node: after, message: "{{{{ trigger.data.message }}}}"}}}}
outputs: {{message: "{{{{ trigger.data.message }}}}"}}
"""


@pytest.mark.parametrize(("point", "called"), [("intent-after-commit", 0), ("effect-before-result", 1)])
async def test_it_is_never_called_twice_and_a_person_says_what_became_of_it(siege, point, called) -> None:
    agent, sink = siege.agent, siege.sink
    file = agent.directory / "once.yaml"
    file.write_text(ONCE.format(sink=sink.url))
    assert await agent.start()
    assert (await agent.command("deploy", str(file))).code == 0
    assert await agent.stop() == 0
    in_doubt: dict[int, str] = {}
    for message in range(3):
        sending = asyncio.create_task(siege.publisher.send("once", [message]))
        await agent.start(crash_at=f"{point}:1")
        assert await asyncio.wait_for(agent.ended(), 20) == -signal.SIGKILL
        assert await agent.start()
        await sending
        waiting = await until(executions, agent, message + 1, "waiting")
        in_doubt[message] = next(id for id in waiting if id not in in_doubt.values())
        if message < 2:
            await agent.kill()  # and it stays in doubt
    assert len(in_doubt) == 3
    assert {effect: count for effect, count in sink.calls.items() if effect.workflow == "once"} == (
        {Effect("once", message, "pay"): 1 for message in range(3)} if called else {}
    )
    for id, said in zip(
        in_doubt.values(), (["--completed", '"paid"'], ["--failed", "no money"], ["--retry"]), strict=True
    ):
        done = await agent.command("resolve", id, "pay", *said)
        assert done.code == 0, done.err
    ended = await until(executions, agent, 3, "completed", "failed")
    assert [ended[id] for id in in_doubt.values()] == ["completed", "failed", "completed"]
    assert [sink.calls[Effect("once", message, "pay")] for message in range(3)] == [called, called, called + 1]
    assert [sink.calls[Effect("once", message, "after")] for message in range(3)] == [1, 0, 1]
    assert all(len(keys) == 1 for keys in sink.keys.values())
    assert await agent.stop() == 0


async def executions(agent, count, *status) -> dict[str, str] | None:
    """Id and state of all executions in one of these states, once there are so many."""
    answer = await agent.ask("list", workflow="once", status=list(status))
    found = {info["execution"]: info["status"] for info in answer["executions"]} if answer else {}
    return found if len(found) >= count else None
