"""kill -9 of the embedded nats-server under load, and what a killed agent leaves of it."""

import os
import signal

import psutil
import pytest

from tests.faults.patience import until

pytestmark = [pytest.mark.nats, pytest.mark.crash]

KILLS = 6
"""Each restart waits longer: 0.1 s, 0.2 s, … for a server that dies again and again."""


async def test_a_server_that_is_killed_again_and_again_comes_back_and_nothing_is_lost(siege) -> None:
    agent = siege.agent
    assert await agent.start()
    killed: list[int] = []
    busy = 0
    for number in range(1, KILLS + 1):
        siege.publish(30)
        await siege.sink.wait_for(30 * len(killed) + 5)  # it works
        busy += siege.sink.calls.total() < 90 * number
        victim = agent.server_pid
        os.kill(victim, signal.SIGKILL)
        killed.append(victim)
        await until(comes_back, agent, victim, seconds=30)
        assert agent.is_running, agent.said()
    siege.publish(10)
    print(f"{KILLS} kills of the server, {siege.publisher.refused} attempts to publish failed")
    assert len(set(killed)) == KILLS
    assert busy >= KILLS / 2, "the kills came when all was done"
    assert agent.starts == 1
    await siege.check()
    assert siege.sink.repeats == 0


async def test_a_killed_agent_leaves_no_server_and_starts_again_at_once(siege) -> None:
    agent = siege.agent
    assert await agent.start()
    for _ in range(5):
        server = psutil.Process(agent.server_pid)
        await agent.kill()
        await agent.spawn()  # at once, whatever the old server is still doing
        server.wait(5)
        assert await agent.is_ready(), agent.said()
        await until(agent.ask, "status", seconds=10)  # the client may still hold its link to the killed server
    siege.publish(5)
    await siege.check()


async def test_a_second_agent_on_the_same_directory_is_refused(siege) -> None:
    assert await siege.agent.start()
    siege.publish(20)
    refused = await siege.agent.command("up", "--listen", "127.0.0.1:0")
    assert refused.code == 1
    assert f"is in use by the process {siege.agent.process.pid}" in refused.err
    assert "Traceback" not in refused.err
    await siege.check()


async def comes_back(agent, victim) -> bool:
    return agent.server_pid != victim and await agent.ask("status") is not None
