"""Retention: what goes, what stays, and that the space comes back."""

import sqlite3

import msgspec
import pytest

from engine.events import Event, Kind
from engine.states import ExecutionState, NodeState
from engine.store import checkpoints, deadletters, executions, housekeeping, inbox, outbox, space
from engine.store.checkpoints import NodeRow
from engine.store.deadletters import DeadLetter
from engine.store.executions import ExecutionRow
from engine.store.housekeeping import Housekeeper, Retention
from engine.store.outbox import Cursor, Outbox

DAY = 86_400.0
FOREVER = Retention(age=None, count=None, bytes=None, outbox_age=None)


def keeping(**fields) -> Retention:
    return Retention(**{"age": None, "count": None, "bytes": None, "outbox_age": None} | fields)


async def add(store, name: str, *, ended: bool = True, size: int = 10) -> None:
    now = store.clock.now()

    def unit(tx):
        row = ExecutionRow(
            id=name, workflow="w", version=1, status=ExecutionState.QUEUED, root=name, trigger=b"{}", created_at=now
        )
        executions.create(tx, row)
        checkpoints.write(
            tx, name, NodeRow(path="a", status=NodeState.COMPLETED, attempt=1, output=b'"' + b"x" * size + b'"')
        )
        if ended:
            executions.finish(tx, name, ExecutionState.COMPLETED, now=now, outputs=None, error=None)

    await store.submit(unit)


async def tidy(store, retention: Retention) -> None:
    keeper = Housekeeper(store, retention)
    while await keeper.tidy():
        pass


async def left(store) -> list[str]:
    rows = await store.read(lambda db: executions.listing(db, limit=10_000))
    nodes = await store.read(lambda db: db.execute("SELECT DISTINCT execution FROM nodes").fetchall())
    assert {row.id for row in rows} == {id for (id,) in nodes}
    return sorted(row.id for row in rows)


async def test_finished_executions_go_by_age_and_open_ones_stay(store, clock):
    await add(store, "old")
    await add(store, "open", ended=False)
    clock.advance(2 * DAY)
    await add(store, "new")

    await tidy(store, keeping(age=DAY))

    assert await left(store) == ["new", "open"]


async def test_the_oldest_go_where_there_are_too_many(store, clock):
    for i in range(1200):
        clock.advance(1)
        await add(store, f"e{i:04}")

    await tidy(store, keeping(count=100))

    assert await left(store) == [f"e{i:04}" for i in range(1100, 1200)]


async def test_the_oldest_go_where_the_file_is_too_large_and_the_space_comes_back(store, clock):
    for i in range(1500):
        clock.advance(1)
        await add(store, f"e{i:04}", size=2000)
    await store.maintain(lambda db: db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
    before = store.path.stat().st_size

    await tidy(store, keeping(bytes=1_000_000))
    await store.maintain(lambda db: db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())

    assert store.path.stat().st_size < before / 2
    remaining = await left(store)
    assert 100 < len(remaining) < 500
    assert remaining == [f"e{i:04}" for i in range(1500 - len(remaining), 1500)]


async def test_nothing_goes_that_is_to_be_kept_for_ever(store, clock):
    await add(store, "old")
    clock.advance(10_000 * DAY)

    await tidy(store, FOREVER)

    assert await left(store) == ["old"]


async def test_executions_with_many_nodes_go_in_several_steps_the_oldest_first(store, clock, monkeypatch):
    monkeypatch.setattr(housekeeping, "NODES", 100)
    for i in range(5):
        clock.advance(1)
        await add(store, f"e{i}")
        await store.submit(
            lambda tx, i=i: [
                checkpoints.write(tx, f"e{i}", NodeRow(path=f"scan[{n}]", status=NodeState.COMPLETED, attempt=1))
                for n in range(60)
            ]
        )
    keeper = Housekeeper(store, keeping(count=0))

    assert await keeper.tidy()
    assert await left(store) == ["e1", "e2", "e3", "e4"]
    await tidy(store, keeping(count=0))
    assert await left(store) == []


async def test_what_belongs_to_an_execution_goes_with_it_in_every_table(store, clock):
    """A table with a column `execution` that housekeeping does not know would grow for ever."""
    known = {*housekeeping.WITH_EXECUTIONS, *housekeeping.ELSEWHERE}

    def tables(db):
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name for name in names if any(row[1] == "execution" for row in db.execute(f"PRAGMA table_info({name})"))
        }

    assert not await store.read(tables) - known, "name it in engine/store/housekeeping.py"


async def test_wal_is_begun_anew_when_it_has_grown(store, monkeypatch):
    monkeypatch.setattr(space, "WAL_BYTES", 40_000)
    await store.maintain(lambda db: db.execute("PRAGMA wal_autocheckpoint = 0").fetchall())
    for i in range(50):
        await add(store, f"e{i}", size=5000)
    wal = store.path.with_name(store.path.name + "-wal")
    assert wal.stat().st_size > 100_000

    await tidy(store, FOREVER)

    assert wal.stat().st_size == 0
    assert await store.maintain(lambda db: db.execute("PRAGMA busy_timeout").fetchone()) == (10_000,)


async def test_reader_that_holds_the_wal_does_not_hold_up_the_house(store, monkeypatch):
    monkeypatch.setattr(space, "WAL_BYTES", 40_000)
    reader = sqlite3.connect(f"file:{store.path}?mode=ro", uri=True, isolation_level=None)
    try:
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM executions").fetchone()
        for i in range(50):
            await add(store, f"e{i}", size=5000)
        await tidy(store, FOREVER)
        await add(store, "after")
    finally:
        reader.close()
    await tidy(store, FOREVER)
    assert store.path.with_name(store.path.name + "-wal").stat().st_size == 0


async def test_messages_are_remembered_for_the_dedupe_window(store, clock):
    def claim(name: str):
        now = clock.now()
        return lambda tx: inbox.claim(tx, workflow="w", scope="s", id="7", execution=name, now=now)

    assert await store.submit(claim("first")) is None
    clock.advance(DAY - 1)
    await tidy(store, keeping(dedupe=DAY))
    assert await store.submit(claim("second")) == "first"
    clock.advance(2)
    await tidy(store, keeping(dedupe=DAY))
    assert await store.submit(claim("third")) is None
    assert await store.read(inbox.size) == 1


async def test_dead_letters_go_by_age(store, clock):
    def bury(tx):
        letter = DeadLetter(origin="intake", subject="s", reason="r", body=b"", size=0, received_at=clock.now())
        deadletters.bury(tx, letter)

    await store.submit(bury)
    clock.advance(2 * DAY)
    await store.submit(bury)
    await tidy(store, keeping(age=DAY))

    assert len(await store.read(deadletters.listing)) == 1


# --- facts ----------------------------------------------------------------------------------------------------------


async def tell(store, count: int, size: int = 10) -> None:
    now = store.clock.now()

    def unit(tx):
        for _ in range(count):
            tx.fact(Event(kind=Kind.AGENT_STARTED, time=now, data={"x": "x" * size}))

    await store.submit(unit)


async def seqs(store) -> list[int]:
    return [fact.seq for fact in await store.read(lambda db: outbox.history(db, after=0, limit=1_000_000))]


async def test_facts_stay_until_every_stream_has_them_and_a_while_longer(store, clock):
    box = Outbox(store)
    await tell(store, 10)
    clock.advance(1000)
    await tidy(store, keeping(outbox_keep=600))
    assert await seqs(store) == list(range(1, 11))  # nobody reads them: nothing counts as sent

    await box.advance(Cursor(name="local", seq=8))
    await box.advance(Cursor(name="hub", seq=5))
    await tidy(store, keeping(outbox_keep=2000))
    assert await seqs(store) == list(range(1, 11))

    await tidy(store, keeping(outbox_keep=600))
    assert await seqs(store) == [6, 7, 8, 9, 10]


@pytest.mark.parametrize("why", [{"outbox_bytes": 200_000}, {"outbox_age": 500.0}])
async def test_facts_that_can_not_be_kept_leave_a_fact_that_closes_the_gap(store, clock, why):
    box = Outbox(store)
    await tell(store, 5000)
    await box.advance(Cursor(name="local", seq=100))
    clock.advance(1000)
    await tell(store, 10)

    await tidy(store, keeping(outbox_keep=1e9, **why))

    facts = await store.read(lambda db: outbox.history(db, after=0, limit=1_000_000))
    dropped = [data_of(fact) for fact in facts if fact.kind is Kind.OUTBOX_DROPPED]
    assert dropped
    seen = {fact.seq for fact in facts} | set(range(1, 101))
    for told in dropped:
        assert told["epoch"] == store.epoch
        seen |= set(range(told["from"], told["to"] + 1))
    assert seen == set(range(1, facts[-1].seq + 1)), "a reader would see a gap"


def data_of(fact):
    return msgspec.json.decode(fact.data)


async def test_reader_that_keeps_up_never_sees_a_gap(store, clock):
    box = Outbox(store)
    position, seen = 0, []
    for _ in range(20):
        await tell(store, 300)
        clock.advance(100)
        await tidy(store, keeping(outbox_bytes=50_000))
        while facts := await box.facts_after(position, 128):
            for fact in facts:
                if fact.seq != position + 1:
                    gaps = [data_of(f) for f in seen + facts if f.kind is Kind.OUTBOX_DROPPED]
                    assert any(gap["from"] <= position + 1 and fact.seq - 1 <= gap["to"] for gap in gaps)
                position = fact.seq
            seen = [*seen, *facts][-5000:]
    assert position == box.last_seq
