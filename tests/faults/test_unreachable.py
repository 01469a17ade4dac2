"""NATS is away for the whole life of an agent that has work; then it is there."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from mesh.server.binary import find_server
from tests.faults.agent import Agent
from tests.faults.patience import until

pytestmark = [pytest.mark.nats, pytest.mark.crash]

NAPS = 40
NAP = """\
name: nap
triggers: [{{nats: {{subject: "nap.*"}}}}]
nodes:
  nap: {{type: sleep, duration: 2s}}
  act: {{type: http, needs: nap, method: POST, url: "{sink}",
         json: {{workflow: nap, node: act, message: "{{{{ trigger.data.message }}}}"}}}}
outputs: {{message: "{{{{ trigger.data.message }}}}"}}
"""


@asynccontextmanager
async def somebodys_server(agent: Agent) -> AsyncIterator[asyncio.subprocess.Process]:
    """A NATS server that is not the agent's, where the agent looks for one."""
    process = await asyncio.create_subprocess_exec(
        str(find_server()), "--jetstream", "--store_dir", str(agent.directory / "theirs"),
        "--addr", "127.0.0.1", "--port", str(agent.port),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.wait()


async def test_all_events_arrive_in_order_and_once_when_nats_was_away_for_a_whole_life(siege) -> None:
    agent, sink = siege.agent, siege.sink
    assert await agent.start()
    file = agent.directory / "nap.yaml"
    file.write_text(NAP.format(sink=sink.url))
    assert (await agent.command("deploy", str(file))).code == 0
    for message in range(NAPS):
        assert await siege.publisher.once("nap.x", b'{"message": %d}' % message, id=str(message))
    await until(taken_in, agent)
    assert await agent.stop() == 0
    assert not sink.calls
    # From here on there is no NATS. The naps end, the work is done, and nobody can hear of it.
    agent.settings |= {"GANGLION_MESH__MODE": "external", "GANGLION_MESH__URL": agent.url}
    await agent.spawn()
    async with asyncio.timeout(20):
        await sink.wait_for(NAPS // 4)
    await agent.kill()
    await agent.spawn()
    async with asyncio.timeout(20):
        await sink.wait_for(NAPS)
    assert await agent.is_ready()
    assert "can't be reached" in agent.said()
    assert await agent.stop() == 0
    # Now there is one. It dies while the events arrive, and comes back with what it had.
    async with somebodys_server(agent):
        assert await agent.start()
        await until(agent.ask, "status")
    async with somebodys_server(agent):
        await siege.check()
    assert sorted(siege.completed["nap"]) == list(range(NAPS))
    assert [fact["type"] for fact in siege.facts].count("ganglion.agent.started") == 4


async def taken_in(agent: Agent) -> bool:
    return await agent.waiting() == 0
