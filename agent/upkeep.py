"""Keeps the store within its bounds, now and then."""

import asyncio

from agent.config import Config
from engine.store.housekeeping import Housekeeper, Retention

PAUSE_SECONDS = 60.0
BREATH_SECONDS = 0.1
"""Between two steps while there is more to do: executions go first."""


def retention(config: Config) -> Retention:
    """What is kept, as the store wants to know it."""
    keep, outbox = config.store.retention, config.outbox
    return Retention(
        age=keep.age,
        count=keep.count,
        bytes=keep.bytes,
        dedupe=config.engine.dedupe,
        outbox_keep=outbox.keep,
        outbox_bytes=outbox.max_bytes,
        outbox_age=outbox.max_age,
    )


async def keep_house(housekeeper: Housekeeper) -> None:
    """The service: runs until it is cancelled."""
    while True:
        more = await housekeeper.tidy()
        await asyncio.sleep(BREATH_SECONDS if more else PAUSE_SECONDS)
