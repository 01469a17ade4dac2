"""SIGTERM under load: what runs may end, the rest goes on at the next start."""

import asyncio
import signal
import time

import pytest

pytestmark = [pytest.mark.nats, pytest.mark.crash]


async def test_sigterm_under_load_drains_and_the_next_start_does_the_rest(siege) -> None:
    agent = siege.agent
    siege.sink.slow_seconds = 0.3
    assert await agent.start()
    siege.publish(200)
    await siege.sink.wait_for(50)
    begun = time.monotonic()
    assert await agent.stop() == 0, agent.said()
    took = time.monotonic() - begun
    done = siege.sink.calls.total()
    assert took < 10, "the grace time"
    assert done < 200 * 3, "it stopped when all was done: this says nothing"
    print(f"drained in {took:.1f} s after {done} of 600 calls")
    siege.sink.slow_seconds = 0
    assert await agent.start()
    await siege.check()
    assert siege.sink.repeats == 0, "an attempt that was under way had the time to end"
    assert "did not stop in an orderly way" not in agent.said()


async def test_a_second_signal_stops_at_once_and_nothing_is_lost(siege) -> None:
    agent = siege.agent
    siege.sink.slow_seconds = 60
    assert await agent.start()
    messages = siege.publish(10)
    await siege.sink.wait_for(20)
    agent.process.send_signal(signal.SIGTERM)
    await agent.has_said("stopping; a second signal stops at once")
    begun = time.monotonic()
    code = await asyncio.wait_for(agent.stop(), 8)
    assert code == 1
    print(f"stopped {time.monotonic() - begun:.1f} s after the second signal")
    siege.sink.slow_seconds = 0
    assert await agent.start()
    assert await siege.done(messages)
    await siege.check()
    assert siege.sink.repeats > 0
