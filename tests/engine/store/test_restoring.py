"""A backup in the place of the store: the old one or the new one, whatever happens."""

import sqlite3

import pytest

from engine.events import Event, Kind
from engine.states import ExecutionState
from engine.store import Store, StoreNewer, executions, outbox, schema
from engine.store.backup import back_up
from engine.store.executions import ExecutionRow
from engine.store.restoring import RestoreRefused, complete, restore

NOW = 1_795_000_000_000_000


def made(name: str):
    def unit(tx):
        executions.create(
            tx,
            ExecutionRow(
                id=name, workflow="w", version=1, status=ExecutionState.QUEUED, root=name, trigger=b"{}", created_at=1
            ),
        )
        tx.fact(Event(kind=Kind.AGENT_STARTED, time=1, data={"name": name}))

    return unit


async def names(path) -> list[str]:
    async with Store.open(path) as store:
        return sorted(row.id for row in await store.read(executions.listing))


@pytest.fixture
async def saved(tmp_path):
    """A store with `before` and `after`, and a backup from between."""
    async with Store.open(tmp_path / "ganglion.db") as store:
        await store.submit(made("before"))
        back_up(store.path, tmp_path / "b.db")
        await store.submit(made("after"))
    return tmp_path / "b.db"


async def test_restored_store_is_the_backup_and_the_old_one_is_kept_aside(tmp_path, saved):
    done = restore(saved, tmp_path / "ganglion.db", now=NOW)

    assert (done.executions, done.open, done.damaged) == (1, 1, {})
    assert await names(tmp_path / "ganglion.db") == ["before"]
    assert done.replaced.startswith(str(tmp_path / "ganglion.db.replaced-"))
    assert await names(tmp_path / done.replaced) == ["after", "before"]
    left = {file.name for file in tmp_path.iterdir()} - {"b.db", "ganglion.db"}
    assert all(".replaced-" in name for name in left)


async def test_facts_are_never_numbered_alike_in_the_same_epoch(tmp_path, saved):
    async def facts() -> set[tuple[str, int]]:
        async with Store.open(tmp_path / "ganglion.db") as store:
            await store.submit(made("more"))
            found = await store.read(lambda db: outbox.history(db, after=0, limit=100))
            return {(store.epoch, fact.seq) for fact in found[1:]}

    before = await facts()
    done = restore(saved, tmp_path / "ganglion.db", now=NOW)
    after = await facts()

    assert not before & after
    assert {epoch for epoch, _ in after} == {done.epoch}


async def test_restore_to_an_empty_directory(tmp_path, saved):
    (tmp_path / "new").mkdir()
    done = restore(saved, tmp_path / "new" / "ganglion.db", now=NOW)

    assert done.replaced == ""
    assert await names(tmp_path / "new" / "ganglion.db") == ["before"]


async def test_what_was_put_aside_can_be_restored_with_its_wal(tmp_path, saved):
    """The process died: what it committed last is in the WAL only."""
    path = tmp_path / "ganglion.db"
    crashed = tmp_path / "crashed.db"
    async with Store.open(path) as store:
        await store.submit(made("in the wal"))

        def copy(_) -> None:
            for suffix in ("", "-wal"):
                source = path.with_name(path.name + suffix)
                crashed.with_name(crashed.name + suffix).write_bytes(source.read_bytes())

        await store.maintain(copy)
    crashed.replace(path)
    crashed.with_name("crashed.db-wal").replace(tmp_path / "ganglion.db-wal")

    first = restore(saved, path, now=NOW)
    assert await names(path) == ["before"]
    restore(tmp_path / first.replaced, path, now=NOW)

    assert await names(path) == ["after", "before", "in the wal"]


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (b"", "is no backup"),
        (b"Dear all," * 1000, "is no backup"),
        (None, "is no file"),
        (b"SQLite format 3\0" + b"\xff" * 5000, r"can't be restored: .*nothing was changed"),
    ],
)
async def test_what_is_no_backup_is_refused_and_nothing_changes(tmp_path, saved, write, message):
    bad = tmp_path / "bad.db"
    if write is not None:
        bad.write_bytes(write)

    with pytest.raises(RestoreRefused, match=message):
        restore(bad, tmp_path / "ganglion.db", now=NOW)

    assert await names(tmp_path / "ganglion.db") == ["after", "before"]
    assert not [file for file in tmp_path.iterdir() if ".rest" in file.name]


async def test_database_of_another_program_is_refused(tmp_path, saved):
    db = sqlite3.connect(tmp_path / "other.db")
    db.execute("CREATE TABLE t (x)")
    db.close()

    with pytest.raises(RestoreRefused, match="another program's database"):
        restore(tmp_path / "other.db", tmp_path / "ganglion.db", now=NOW)


async def test_damaged_backup_is_refused(tmp_path, damage_leaf):
    async with Store.open(tmp_path / "ganglion.db") as store:
        for i in range(200):
            await store.submit(made(f"number-{i:04}"))
        back_up(store.path, tmp_path / "b.db")
    damage_leaf(tmp_path / "b.db", "facts")

    with pytest.raises(RestoreRefused, match=r"is damaged .*restore another backup; nothing was changed"):
        restore(tmp_path / "b.db", tmp_path / "ganglion.db", now=NOW)

    assert len(await names(tmp_path / "ganglion.db")) == 50


async def test_damaged_row_is_told_and_restored(tmp_path, saved):
    db = sqlite3.connect(saved)
    with db:
        db.execute("UPDATE executions SET trigger = x'00'")
    db.close()

    done = restore(saved, tmp_path / "ganglion.db", now=NOW)

    assert list(done.damaged) == ["before"]
    assert await names(tmp_path / "ganglion.db") == ["before"]


async def test_backup_of_a_newer_version_is_refused(tmp_path, saved):
    db = sqlite3.connect(saved)
    with db:
        db.execute("INSERT INTO migrations VALUES ('from-the-future', 1)")
    db.close()

    with pytest.raises(StoreNewer):
        restore(saved, tmp_path / "ganglion.db", now=NOW)


async def test_backup_of_an_older_version_is_brought_up_to_date(tmp_path, monkeypatch):
    with monkeypatch.context() as older:
        older.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:1])
        db = sqlite3.connect(tmp_path / "old.db", isolation_level=None)
        schema.migrate(db, 1)
        db.execute("INSERT INTO meta VALUES ('epoch', 'old')")
        db.close()

    done = restore(tmp_path / "old.db", tmp_path / "ganglion.db", now=NOW)

    assert done.epoch != "old"
    assert await names(tmp_path / "ganglion.db") == []


async def test_store_of_an_older_version_can_be_backed_up_before_the_new_one_starts(tmp_path, monkeypatch):
    with monkeypatch.context() as older:
        older.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:1])
        db = sqlite3.connect(tmp_path / "ganglion.db", isolation_level=None)
        schema.migrate(db, 1)
        db.close()

    assert back_up(tmp_path / "ganglion.db", tmp_path / "b.db").executions == 0


async def test_two_restores_keep_both_old_stores(tmp_path, saved):
    first = restore(saved, tmp_path / "ganglion.db", now=NOW)
    second = restore(saved, tmp_path / "ganglion.db", now=NOW)

    assert first.replaced != second.replaced
    assert await names(tmp_path / second.replaced) == ["before"]


async def test_without_a_restore_there_is_nothing_to_complete(tmp_path, saved):
    assert complete(tmp_path / "ganglion.db") is None
    assert await names(tmp_path / "ganglion.db") == ["after", "before"]
