"""kill -9 at any moment: while it boots, recovers, takes in, works, publishes, stops.

`make chaos` runs this file for long: GANGLION_CHAOS_KILLS=500 GANGLION_CHAOS_EXECUTIONS=10000, with a new seed each
time. A seed repeats the kills of a run, though not what the machine was doing then: GANGLION_CHAOS_SEED=7.
"""

import asyncio
import os
import random
import time

import pytest

pytestmark = [pytest.mark.nats, pytest.mark.crash]

KILLS = int(os.environ.get("GANGLION_CHAOS_KILLS", "50"))
EXECUTIONS = int(os.environ.get("GANGLION_CHAOS_EXECUTIONS", "2000"))
SEED = int(os.environ.get("GANGLION_CHAOS_SEED", "20260101"))
BOOT_SECONDS = 1.0
"""About as long as a start takes."""


async def test_random_kills_lose_nothing(siege, record_property) -> None:
    dice = random.Random(SEED)
    begun = time.monotonic()
    messages = EXECUTIONS // 2  # each starts two
    early = 0
    for number in range(KILLS):
        siege.publish(messages * (number + 1) // KILLS - messages * number // KILLS)
        if dice.random() < 0.25:
            await siege.agent.spawn()
            await asyncio.sleep(dice.uniform(0, BOOT_SECONDS))  # the nemesis, not a wait for something
            early += not siege.agent.ready_file.exists()
        else:
            assert await siege.agent.start()
            await asyncio.sleep(dice.uniform(0, 0.5))
        await siege.agent.kill()
    busy = siege.sink.calls.total()
    assert await siege.agent.start()
    await siege.check()
    took = time.monotonic() - begun
    print(
        f"seed {SEED}: {KILLS} kills ({early} of them before it was ready) over {messages * 2} executions, "
        f"{siege.sink.repeats} repeated calls, {siege.publisher.refused} attempts to publish failed, {took:.0f} s"
    )
    record_property("seed", SEED)
    assert len(siege.publisher.acked) == messages
    assert busy > messages, "the kills came when little was going on"
    assert siege.sink.repeats > 0, "no kill hit a call"
    assert early > 0
