"""The group commit: what shares a transaction, what rolls back alone, and what is told."""

import asyncio
import sqlite3
import threading

import pytest

from engine.events import Event, Kind
from engine.store import Store, StoreBroken, outbox
from engine.store.writer import MAX_UNITS


def note(key: str, value: str = ""):
    def unit(tx):
        tx.execute("INSERT INTO meta VALUES (?, ?)", (key, value))
        return key

    return unit


def fact(kind: Kind = Kind.AGENT_STARTED, **data):
    return lambda tx: tx.fact(Event(kind=kind, time=1, data=data))


async def keys(store) -> set[str]:
    rows = await store.read(lambda db: db.execute("SELECT key FROM meta").fetchall())
    return {key for (key,) in rows} - {"epoch", "clean", "probe"}


async def test_units_that_are_pending_share_one_commit(store):
    before = store.writer.commits
    results = await asyncio.gather(*(store.submit(note(f"k{i}")) for i in range(100)))

    assert results == [f"k{i}" for i in range(100)]
    assert store.writer.commits == before + 1


async def test_no_commit_grows_beyond_a_bound(store):
    before = store.writer.commits
    await asyncio.gather(*(store.submit(note(f"k{i}")) for i in range(MAX_UNITS + 1)))

    assert store.writer.commits == before + 2


async def test_failing_unit_rolls_back_alone_and_its_caller_gets_the_error(store):
    def failing(tx):
        note("half")(tx)
        raise ValueError("no")

    good, bad, also_good = store.submit(note("a")), store.submit(failing), store.submit(note("b"))

    assert await good == "a"
    with pytest.raises(ValueError, match="no"):
        await bad
    assert await also_good == "b"
    assert await keys(store) == {"a", "b"}


@pytest.mark.parametrize(
    "statement",
    [
        ("INSERT INTO meta VALUES ('epoch', 'again')",),
        ("INSERT INTO nowhere VALUES (1)",),
        ("INSERT INTO meta VALUES (?, ?)", ("k", {})),
        ("INSERT INTO meta VALUES (?)", ()),
        ("INSERT INTO meta VALUES ('k', ?)", (2**70,)),
        ("INSERT INTO meta VALUES ('k', ?)", ("\ud800",)),
        ("INSERT INTO meta VALUES ('k', zeroblob(2000000000))",),
    ],
    ids=lambda statement: statement[0],
)
async def test_mistake_of_one_unit_stops_nobody(store, statement):
    bad, good = store.submit(lambda tx: tx.execute(*statement)), store.submit(note("a"))

    with pytest.raises((sqlite3.Error, OverflowError, UnicodeEncodeError)):
        await bad
    assert await good == "a"


async def test_facts_have_numbers_without_gaps_also_after_failed_units(store):
    def failing(tx):
        fact(n=1)(tx)
        fact(n=2)(tx)
        raise ValueError

    futures = [store.submit(unit) for unit in (fact(n=0), failing, fact(n=3), failing, fact(n=4))]
    await asyncio.gather(*futures, return_exceptions=True)
    await store.submit(fact(n=5))

    facts = await store.read(lambda db: outbox.history(db, after=0, limit=100))
    assert [(f.seq, bytes(f.data)) for f in facts] == [
        (1, b'{"n":0}'),
        (2, b'{"n":3}'),
        (3, b'{"n":4}'),
        (4, b'{"n":5}'),
    ]


async def test_facts_are_told_after_their_commit_in_order_and_failed_ones_never(store):
    def failing(tx):
        fact(n="lost")(tx)
        raise ValueError

    told = []
    store.listeners.append(lambda facts: told.extend(facts))
    with store.bus.subscribe() as events:
        bad = store.submit(failing)
        await asyncio.gather(*(store.submit(fact(n=i)) for i in range(5)))

        assert [event.seq for event in await events.wait()] == [1, 2, 3, 4, 5]
    assert [event.seq for event in told] == [1, 2, 3, 4, 5]
    assert isinstance(bad.exception(), ValueError)


async def test_units_run_in_the_order_of_submission(store):
    order: list[int] = []
    await asyncio.gather(*(store.submit(lambda tx, i=i: order.append(i)) for i in range(50)))

    assert order == list(range(50))


async def test_cancelled_submitter_leaves_no_open_transaction(store):
    inside, release = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slow(tx):
        note("slow")(tx)
        loop.call_soon_threadsafe(inside.set)
        release.wait(10)

    async def submitting():
        await store.submit(slow)

    task = asyncio.create_task(submitting())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    release.set()

    assert await store.submit(note("next")) == "next"
    assert await keys(store) == {"slow", "next"}
    assert await store.maintain(lambda db: db.in_transaction) is False


async def test_read_sees_every_commit_that_was_reported(store):
    for i in range(20):
        await store.submit(note(f"k{i}"))
        assert len(await keys(store)) == i + 1


async def test_reader_can_not_write(store):
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await store.read(lambda db: db.execute("DELETE FROM meta"))


async def test_what_is_pending_at_the_end_is_committed(tmp_path):
    async with Store.open(tmp_path / "s.db") as store:
        future = store.submit(note("last"))
    assert await future == "last"
    async with Store.open(tmp_path / "s.db") as store:
        assert store.was_clean
        assert await keys(store) == {"last"}
    with pytest.raises(StoreBroken, match="closed"):
        await store.submit(note("too late"))


async def test_writer_that_was_cut_off_refuses_what_it_did_not_write(tmp_path):
    with pytest.raises(ExceptionGroup):  # noqa: PT012
        async with Store.open(tmp_path / "s.db") as store:
            future = store.submit(note("lost"))
            raise RuntimeError("the process ends in disorder")

    with pytest.raises(StoreBroken):
        await asyncio.wait_for(future, 5)
    with pytest.raises(StoreBroken):
        await asyncio.wait_for(store.submit(note("later")), 5)
    async with Store.open(tmp_path / "s.db") as store:
        assert not store.was_clean


async def test_lock_of_somebodys_tool_is_waited_out(store, tmp_path):
    await store.maintain(lambda db: db.execute("PRAGMA busy_timeout = 1"))
    tool = sqlite3.connect(store.path, isolation_level=None)
    tool.execute("BEGIN IMMEDIATE")
    future = store.submit(note("patient"), patient=False)
    for _ in range(3):
        await store.maintain(lambda db: None)
    assert not future.done()

    tool.execute("COMMIT")
    tool.close()

    assert await future == "patient"


async def test_a_lazy_unit_goes_with_the_one_that_follows_it_and_alone_if_none_does(store):
    before = store.writer.commits
    lazy = store.submit(lambda tx: "lazy", lazy=True)
    assert await store.submit(lambda tx: "next") == "next"
    assert lazy.done()
    assert store.writer.commits == before + 1

    assert await store.submit(lambda tx: "alone", lazy=True) == "alone"
    assert store.writer.commits == before + 2
