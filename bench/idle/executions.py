"""Executions through an agent as it is installed: messages in, completed facts out; and what was written for them."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec
import nats
from nats.aio.msg import Msg

from idle.agent import Agent, running
from idle.process import Counted, counted

SUBJECT = "bench.messages"
COMPLETED = "ganglion.event.*.*.chain.workflow.completed"
BODY_BYTES = 256
WARM_UP = 50
PATIENCE_SECONDS = 120.0
_WORKFLOW = """\
name: chain
triggers: [{nats: {subject: "bench.>"}}]
durability: %s
nodes:
  a: {type: transform, effect: at_least_once, data: "{{ trigger.data.x + 1 }}"}
  b: {type: transform, effect: at_least_once, data: "{{ nodes.a + 1 }}"}
  c: {type: transform, effect: at_least_once, data: "{{ nodes.b + 1 }}"}
outputs: "{{ nodes.c }}"
"""
"""Three steps; each counts as an effect, so it waits for the commit of what it was built from."""


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """How durable they are."""

    name: str
    durability: str = "sync"
    config: str = ""


class Cost(msgspec.Struct, frozen=True):
    """What was written for some executions."""

    executions: int
    agent: int
    """Bytes."""
    server: int


async def cost(program: Path, directory: Path, setting: Setting, count: int, *, at_once: int) -> Cost:
    """Of so many executions, of which so many are under way at the same time."""
    with running(program, directory, config=setting.config) as agent:
        workflow = directory / "chain.yaml"
        workflow.write_text(_WORKFLOW % setting.durability)
        await asyncio.to_thread(agent.command, "deploy", str(workflow))
        async with asyncio.timeout(PATIENCE_SECONDS):
            await _through(agent, WARM_UP, at_once)
            before = _written(agent)
            await _through(agent, count, at_once)
        mine, servers = (new - old for new, old in zip(_written(agent), before, strict=True))
    return Cost(count, mine, servers)


def _written(agent: Agent) -> Sequence[int]:
    return counted(agent.pid).written, (counted(agent.server) if agent.server else Counted()).written


async def _through(agent: Agent, count: int, at_once: int) -> None:
    """Send messages, each acknowledged by the stream, and see the end of each execution."""
    client = await nats.connect(agent.nats)
    under_way, done = asyncio.Semaphore(at_once), asyncio.Event()
    ended = 0

    async def see(_: Msg) -> None:
        nonlocal ended
        ended += 1
        under_way.release()
        if ended == count:
            done.set()

    await client.subscribe(COMPLETED, cb=see)
    stream = client.jetstream(publish_async_max_pending=at_once)
    for number in range(count):
        await under_way.acquire()
        head = b'{"x":%d,"padding":"' % number
        await stream.publish_async(SUBJECT, head + b"." * (BODY_BYTES - len(head) - 2) + b'"}')
    await done.wait()
    await client.close()
