"""Keeps the store within its bounds, now and then; and what to do while the disk is full."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from agent.config import Config
from engine.store import StoreFull
from engine.store.housekeeping import Retention

PAUSE_SECONDS = 60.0
BREATH_SECONDS = 0.02
"""Between two steps while there is more to do: executions go first."""
ROOM_SECONDS = 1.0
"""How often a full disk is tried again."""
_log = logging.getLogger("ganglion.agent")


class Housekeeper(Protocol):
    """Keeps a file within its bounds."""

    async def tidy(self) -> bool:
        """One step. True if there is more to do."""
        ...


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


async def keep_house(housekeeper: Housekeeper, *, pause: float = PAUSE_SECONDS) -> None:
    """The service: runs until it is cancelled. `pause`: seconds between two looks when there is nothing more to do."""
    while True:
        more = await housekeeper.tidy()
        await asyncio.sleep(BREATH_SECONDS if more else pause)


async def when_there_is_room(work: Callable[[], Awaitable[object]]) -> None:
    """Do it as soon as the disk takes it."""
    told = False
    while True:
        try:
            await work()
        except StoreFull as error:
            if not told:
                _log.error("%s", error)
                told = True
            await asyncio.sleep(ROOM_SECONDS)
        else:
            return
