import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from engine.store import StoreFull
from engine.triggers.message import Fate, Message, Receipt
from mesh.connection import Connection
from mesh.intake import Pump


class Inbox:
    """An engine that takes everything in, in memory, and has as many slots as it is told."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.fate = Fate.ACCEPTED
        self.slots = 100
        self.full = 0
        self.largest = 0
        self.taken = asyncio.Event()
        self.freed = asyncio.Event()

    async def accept(self, messages: Sequence[Message]) -> list[Receipt]:
        if self.full:
            self.full -= 1
            raise StoreFull
        self.messages += messages
        self.largest = max(self.largest, len(messages))
        self.taken.set()
        return [Receipt(self.fate) for _ in messages]

    def free_slots(self) -> int:
        return self.slots

    async def wait_for_slots(self) -> None:
        self.freed.clear()
        await self.freed.wait()

    async def wait_for(self, count: int) -> list[Message]:
        async with asyncio.timeout(15):
            while len(self.messages) < count:
                self.taken.clear()
                await self.taken.wait()
        return self.messages

    async def wait_for_body(self, body: bytes) -> None:
        """Until this message came; others may come again meanwhile."""
        async with asyncio.timeout(15):
            while body not in {message.body for message in self.messages}:
                self.taken.clear()
                await self.taken.wait()


@pytest.fixture
def short_ack_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the server sends to a request in the moment in which that ends comes again soon."""
    monkeypatch.setattr("mesh.intake.consumer.ACK_WAIT_SECONDS", 2.0)


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@asynccontextmanager
async def _pumping(connection: Connection, inbox: Inbox, **options: Any) -> AsyncIterator[Pump]:
    pump = Pump(connection, inbox, options.pop("slots", inbox), agent=options.pop("agent", "edge"), **options)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(pump.run())
        await asyncio.sleep(0)  # it has begun: what is wanted from now on is waited for
        try:
            yield pump
        finally:
            running.cancel()


@pytest.fixture
def pumping() -> Callable[..., AbstractAsyncContextManager[Pump]]:
    """`async with pumping(connection, inbox) as pump`."""
    return _pumping


@pytest.fixture
async def pump(connection: Connection, inbox: Inbox) -> AsyncIterator[Pump]:
    await connection.link()
    async with _pumping(connection, inbox) as pump:
        yield pump
