"""What the intake needs from the engine."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from engine.store import StoreFull
from engine.triggers.message import Message, Receipt

_logger = logging.getLogger("ganglion.mesh")
ROOM_SECONDS = 1.0
"""How often a full disk is tried again."""


class Sink(Protocol):
    """Takes messages in."""

    async def accept(self, messages: Sequence[Message]) -> list[Receipt]:
        """One receipt per message, true on the disk. Raises StoreFull when nothing was accepted."""
        ...


class Slots(Protocol):
    """How much there is room for; one object for each source that is fetched from, or one for all."""

    def free_slots(self) -> int:
        """Messages that may be fetched now."""
        ...

    async def wait_for_slots(self) -> None:
        """Until there may be some."""
        ...


async def accept_when_there_is_room(sink: Sink, messages: Sequence[Message]) -> list[Receipt]:
    """The receipts. A full disk is waited out, with the messages in hand: nothing is acknowledged, nothing fetched."""
    waiting = False
    while True:
        try:
            receipts = await sink.accept(messages)
        except StoreFull as error:
            if not waiting:
                _logger.error("%s; messages wait in their streams", error)
                waiting = True
            await asyncio.sleep(ROOM_SECONDS)
        else:
            if waiting:
                _logger.info("there is room on the disk again: messages are taken in")
            return receipts
