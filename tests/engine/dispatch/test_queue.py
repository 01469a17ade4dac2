"""The queue in memory and the rest of it in the store: nobody is forgotten between the two."""

import asyncio

import pytest

from engine.dispatch.queue import Queue
from engine.states import ExecutionState
from engine.store import Store, executions
from engine.store.executions import ExecutionRow


@pytest.fixture
async def store(tmp_path):
    async with Store.open(tmp_path / "ganglion.db", synchronous="off") as opened:
        yield opened


async def commit(store: Store, *ids: str) -> list[ExecutionRow]:
    rows = [
        ExecutionRow(id=id, workflow="w", version=1, status=ExecutionState.QUEUED, root=id, trigger=b"{}", created_at=1)
        for id in ids
    ]
    for row in rows:
        await store.submit(lambda tx, row=row: executions.create(tx, row))
    return rows


async def drained(queue: Queue) -> list[str]:
    """Everything that the queue gives until it says that there is no more."""
    found: list[str] = []
    while True:
        while (entry := queue.take()) is not None:
            found.append(entry[0])
        if not queue.more_in_store:
            return found
        for id, num in await queue.fetch():
            if id not in found:
                queue.add(id, num=num)


@pytest.mark.parametrize("limit", [1, 2, 10])
async def test_one_that_is_told_after_its_successors_is_not_forgotten(store, limit):
    """A failed execution tells of the one that handles it only when it has let go; intake was faster."""
    queue = Queue(store, limit)
    await drained(queue)
    first, second, third = await commit(store, "first", "second", "third")
    for row in (second, third, first):
        queue.admit(row)

    assert sorted(await drained(queue)) == ["first", "second", "third"]


async def test_one_that_is_told_while_the_store_is_asked_is_not_forgotten(store):
    queue = Queue(store, 1)
    await drained(queue)
    first, *others = await commit(store, "first", "second", "third", "fourth")
    queue.admit(others[0])
    queue.admit(others[1])
    asking = asyncio.create_task(queue.fetch())
    await asyncio.sleep(0)
    queue.admit(first)
    for id, num in await asking:
        queue.add(id, num=num)

    assert sorted(await drained(queue)) == ["first", "fourth", "second", "third"]
