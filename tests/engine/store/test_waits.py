"""Rows of waits and kept messages: begun, answered, ended, bounded."""

import pytest

from engine.states import ExecutionState
from engine.store import executions, kept, waits
from engine.store.executions import ExecutionRow
from engine.store.housekeeping import Housekeeper, Retention
from engine.store.waits import EXECUTION, FORM, MESSAGE, WaitRow

NOW = 1_795_000_000_000_000


def row(execution: str, path: str = "a", kind: str = MESSAGE, key: str = "k", **more) -> WaitRow:
    return WaitRow(
        execution=execution, path=path, kind=kind, key=key, workflow="w", node=path, created_at=NOW, **more
    )  # fmt: skip


def create(tx, name: str, status: ExecutionState = ExecutionState.QUEUED, **more) -> None:
    fields = {"workflow": "w", "version": 1, "root": name, "trigger": b"{}", "created_at": NOW} | more
    executions.create(tx, ExecutionRow(id=name, status=status, **fields))
    executions.move(tx, name, status)


async def told(store, unit) -> list:
    """What a commit tells of answers, after it."""
    seen = []
    store.writer.answered = seen.extend
    await store.submit(unit)
    await store.submit(lambda tx: None)
    return seen


async def test_an_answer_reaches_all_that_wait_and_makes_the_parked_due(store):
    def begin(tx):
        for name in ("x", "y"):
            create(tx, name, ExecutionState.WAITING)
            assert waits.begin(tx, row(name)) is None
        create(tx, "z", ExecutionState.PAUSED)
        waits.begin(tx, row("z", key="other"))

    await store.submit(begin)

    assert await told(store, lambda tx: waits.answer(tx, MESSAGE, "k", b"7", NOW + 1)) == [
        ("x", "a", b"7"), ("y", "a", b"7"),
    ]  # fmt: skip
    assert await store.read(lambda db: executions.due(db, NOW + 1, 10)) == ["x", "y"]
    assert await store.read(lambda db: waits.open_of(db, "x")) == {"a": b"7"}
    assert await store.read(lambda db: waits.open_of(db, "z")) == {"a": None}
    assert await told(store, lambda tx: waits.answer(tx, MESSAGE, "k", b"8", NOW + 2)) == []


async def test_only_the_oldest_is_answered_where_that_is_asked_for(store):
    def unit(tx):
        create(tx, "x")
        waits.begin(tx, row("x", "b"))
        waits.begin(tx, row("x", "a"))
        return waits.answer(tx, MESSAGE, "k", b"1", NOW, first=True)

    assert await store.submit(unit) == [("x", "a")]


async def test_a_unit_that_fails_tells_nobody(store):
    await store.submit(lambda tx: (create(tx, "x"), waits.begin(tx, row("x"))))

    def fails(tx):
        waits.answer(tx, MESSAGE, "k", b"1", NOW)
        raise LookupError

    seen = []
    store.writer.answered = seen.extend
    with pytest.raises(LookupError):
        await store.submit(fails)
    assert seen == []
    assert await store.read(lambda db: waits.open_of(db, "x")) == {"a": None}


async def test_a_wait_that_ends_before_its_child_leaves_an_orphan(store):
    def unit(tx):
        create(tx, "parent", ExecutionState.WAITING)
        create(tx, "child", parent="parent", parent_path="a", depth=1)
        waits.begin(tx, row("parent", kind=EXECUTION, key="child"))

    await store.submit(unit)
    assert await store.read(waits.orphans) == []
    orphans = []
    store.writer.orphaned = orphans.extend
    await store.submit(lambda tx: waits.end(tx, "parent", "a", NOW))
    await store.submit(lambda tx: None)

    assert orphans == ["child"]
    assert await store.read(waits.orphans) == ["child"]


async def test_the_end_of_an_execution_that_came_before_the_wait_is_the_answer(store):
    large = b'"' + b"x" * 100_000 + b'"'

    def unit(tx):
        create(tx, "other")
        create(tx, "x")
        executions.finish(tx, "other", ExecutionState.COMPLETED, now=NOW, outputs=large, error=None)
        return waits.begin(tx, row("x", kind=EXECUTION, key="other")), waits.begin(
            tx, row("x", "b", EXECUTION, "nobody")
        )

    ended, unknown = await store.submit(unit)
    assert ended == b'{"execution":"other","status":"completed","outputs":' + large + b',"error":null}'
    assert b'"status":"unknown"' in unknown


async def test_a_form_stays_after_its_end_and_is_no_answer_any_more(store):
    def unit(tx):
        create(tx, "x")
        waits.begin(tx, row("x", kind=FORM, key="form1", detail=b'{"title":"t"}'))
        waits.answer(tx, FORM, "form1", b"{}", NOW)
        assert waits.has_answered(tx, "x")
        waits.end(tx, "x", "a", NOW)
        assert not waits.has_answered(tx, "x")

    await store.submit(unit)
    assert await store.read(lambda db: waits.listing(db, FORM)) == []
    [past] = await store.read(lambda db: waits.listing(db, FORM, key="for", ended=True))
    assert past.answer == b"{}"
    assert await store.read(lambda db: waits.open_of(db, "x")) == {}


async def test_kept_messages_are_bounded_by_bytes_and_go_with_their_time(store, clock, monkeypatch):
    monkeypatch.setattr(kept, "MAX_BYTES", 10)

    def unit(tx):
        for body in (b"1111", b"2222", b"3333"):
            kept.keep(tx, workflow="w", key="k", body=body, now=clock.now(), seconds=60)
        kept.keep(tx, workflow="other", key="k", body=b"4444444444", now=clock.now(), seconds=60)

    await store.submit(unit)
    assert await store.submit(lambda tx: kept.take(tx, "k", clock.now(), "x")) == b"2222"
    clock.advance(61)
    assert await store.submit(lambda tx: kept.take(tx, "k", clock.now(), "x")) is None
    await Housekeeper(store, Retention()).tidy()
    assert await store.read(lambda db: db.execute("SELECT COUNT(*) FROM kept_messages").fetchone()) == (0,)
