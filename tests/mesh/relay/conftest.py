import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.events import Event, Identity, Kind
from engine.store import Store
from engine.store.outbox import Outbox, Publication, publish
from mesh.connection import Connection
from mesh.relay import Relay

IDENTITY = Identity("edge", "default", "e1")


class Writing:
    """What the engine does: facts and publications with a commit."""

    def __init__(self, store: Store, outbox: Outbox) -> None:
        self.store = store
        self.outbox = outbox

    async def facts(self, count: int) -> None:
        def unit(tx: Any) -> None:
            for _ in range(count):
                event = Event(kind=Kind.WORKFLOW_STARTED, time=1, workflow="cold-chain", execution="x", data={"a": 1})
                tx.fact(event)

        await self.store.submit(unit)

    async def publications(self, *messages: tuple[str, bytes], headers: dict[str, str] | None = None) -> None:
        def unit(tx: Any) -> None:
            for subject, body in messages:
                row = Publication(execution="x", path="tell", subject=subject, headers=headers or {}, body=body)
                publish(tx, row, 1)
            tx.fact(Event(kind=Kind.NODE_COMPLETED, time=1, workflow="cold-chain", execution="x", node="tell"))

        await self.store.submit(unit)

    async def until_sent(self) -> None:
        """Until no publication waits."""
        async with asyncio.timeout(15):
            while await self.outbox.publications():
                pass

    async def dead_letters(self) -> list[tuple[str, str]]:
        return await self.store.read(lambda db: db.execute("SELECT subject, reason FROM deadletters").fetchall())


@pytest.fixture
async def writing(tmp_path: Path) -> AsyncIterator[Writing]:
    async with Store.open(tmp_path / "ganglion.db", synchronous="off") as store:
        yield Writing(store, Outbox(store))


@asynccontextmanager
async def _relaying(connection: Connection, writing: Writing, **options: Any) -> AsyncIterator[Relay]:
    relay = Relay(connection, writing.outbox, IDENTITY, **options)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(relay.run())
        try:
            yield relay
        finally:
            running.cancel()


@pytest.fixture
def relaying() -> Callable[..., AbstractAsyncContextManager[Relay]]:
    """`async with relaying(connection, writing) as relay`."""
    return _relaying
