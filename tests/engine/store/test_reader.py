"""Questions to the store: grouped, each with its own answer."""

import asyncio
import sqlite3

import pytest

from engine.store import Store, StoreBroken, StoreCorrupt
from engine.store.reader import Reader

DEAD = "INSERT INTO deadletters VALUES (?, '', '', '', '', '', ?, 0, 0, 0)"


def one(value: int):
    return lambda db: db.execute("SELECT ?", (value,)).fetchone()[0]


class Counted:
    """A connection that counts its visits."""

    def __init__(self, connection) -> None:
        self.connection = connection
        self.visits = 0

    async def run(self, work):
        self.visits += 1
        return await self.connection.run(work)


async def test_questions_that_come_together_go_together(store):
    reader = store._reader
    counted = reader._connection = Counted(reader._connection)

    answers = await asyncio.gather(*(store.read(one(i)) for i in range(100)))

    assert answers == list(range(100))
    assert counted.visits <= 2


async def test_a_question_that_fails_does_not_touch_the_others(store):
    def wrong(db):
        raise KeyError("mine")

    answers = await asyncio.gather(
        store.read(one(1)), store.read(wrong), store.read(lambda db: db.execute("NONSENSE")), store.read(one(2)),
        return_exceptions=True,
    )  # fmt: skip

    assert [answers[0], answers[3]] == [1, 2]
    assert isinstance(answers[1], KeyError)
    assert isinstance(answers[2], sqlite3.OperationalError)


async def test_a_read_sees_every_commit_that_was_reported_before(store):
    for i in range(20):
        await store.submit(lambda tx, i=i: tx.execute("INSERT INTO meta VALUES (?, '')", (f"k{i}",)))
        assert await store.read(lambda db: db.execute("SELECT COUNT(*) FROM meta WHERE key LIKE 'k%'").fetchone()) == (
            i + 1,
        )


async def test_caller_that_is_cancelled_takes_nobody_with_it(store):
    gone = asyncio.ensure_future(store.read(one(1)))
    other = asyncio.ensure_future(store.read(one(2)))
    await asyncio.sleep(0)
    gone.cancel()

    assert await other == 2
    assert gone.cancelled() or gone.done()


async def test_after_the_end_nothing_is_read_and_nobody_waits_for_ever(tmp_path):
    async with Store.open(tmp_path / "s.db") as store:
        pass

    with pytest.raises(StoreBroken, match="closed"):
        await store.read(one(1))


async def test_reader_that_is_cancelled_lets_go_of_who_waits(store):
    reader = Reader(store._reader._connection, store.path)
    running = asyncio.create_task(reader.run())
    await asyncio.sleep(0)
    waiting = asyncio.ensure_future(reader.read(one(1)))
    await asyncio.sleep(0)
    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_damaged_page_is_told_with_the_remedy_and_the_rest_is_read(tmp_path, damage_leaf):
    path = tmp_path / "s.db"
    async with Store.open(path) as store:
        for i in range(300):
            await store.submit(lambda tx, i=i: tx.execute(DEAD, (i, bytes(900))))
        await store.submit(lambda tx: tx.execute("INSERT INTO cursors VALUES ('local', 1, '', 1, 1)"))
    damage_leaf(path, "deadletters")

    async with Store.open(path) as store:
        with pytest.raises(StoreCorrupt, match=r"(?s)is damaged .*everything else goes on.*`ganglion restore FILE`"):
            await store.read(lambda db: db.execute("SELECT id, body FROM deadletters").fetchall())
        assert await store.read(lambda db: db.execute("SELECT seq FROM cursors").fetchone()) == (1,)
