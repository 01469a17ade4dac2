"""kill -9 at any moment: while it boots, recovers, takes in, works, publishes, stops.

`make chaos` runs this file for long, with a new seed each time. A seed repeats the kills of a run, though not what the
machine was doing then: `make chaos KILLS=200 EXECUTIONS=4000 SEED=7`.
"""

import asyncio
import os
import random
import time
from contextlib import suppress

import pytest

pytestmark = [pytest.mark.nats, pytest.mark.crash]

KILLS = int(os.environ.get("GANGLION_CHAOS_KILLS", "20"))
EXECUTIONS = int(os.environ.get("GANGLION_CHAOS_EXECUTIONS", "800"))
SEED = int(os.environ.get("GANGLION_CHAOS_SEED", "20260101"))
BOOT_SECONDS = 1.0
"""About as long as a start takes."""


async def test_random_kills_lose_nothing(siege, record_property) -> None:
    dice = random.Random(SEED)
    begun = time.monotonic()
    rounds = max(KILLS, EXECUTIONS // 50)  # through every construct; each starts two
    messages = EXECUTIONS // 2 - rounds  # each starts two
    booting = working = 0
    for number in range(KILLS):
        siege.publish(messages * (number + 1) // KILLS - messages * number // KILLS)
        siege.rounds.publish(rounds * (number + 1) // KILLS - rounds * number // KILLS)
        before = siege.sink.calls.total()
        if dice.random() < 0.2:
            await siege.agent.spawn()
            await asyncio.sleep(dice.uniform(0, BOOT_SECONDS))  # the nemesis, not a wait for something
        else:
            assert await siege.agent.start()
            with suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await siege.sink.wait_for(before + dice.randint(1, 4 * messages // KILLS))
            await asyncio.sleep(dice.uniform(0, 0.05))
        booting += not siege.agent.ready_file.exists()
        working += siege.sink.calls.total() > before
        await siege.agent.kill()
    assert await siege.agent.start()
    await siege.check()
    took = time.monotonic() - begun
    print(
        f"seed {SEED}: {KILLS} kills, {booting} of them while it started and {working} while it worked, over "
        f"{(messages + rounds) * 2} executions, {rounds * 2} of them through every construct; "
        f"{siege.sink.repeats} repeated calls, {siege.publisher.refused} attempts to publish failed, {took:.0f} s"
    )
    record_property("seed", SEED)
    assert len(siege.publisher.acked) == messages
    assert working >= KILLS / 2, "the kills came when nothing was going on"
    assert siege.sink.repeats > 0, "no kill hit a call"
    assert booting > 0
