"""Backups: whole, verified, and never in the way."""

import asyncio
import sqlite3
import stat
import threading

import pytest

from engine.states import ExecutionState, NodeState
from engine.store import Store, backup, checkpoints, executions
from engine.store.backup import BackupRefused, Progress, back_up
from engine.store.checkpoints import NodeRow
from engine.store.executions import ExecutionRow

BIG = b'"' + b"x" * 100_000 + b'"'


def made(name: str, output: bytes = b"1"):
    def unit(tx):
        row = ExecutionRow(
            id=name, workflow="w", version=1, status=ExecutionState.QUEUED, root=name, trigger=b"{}", created_at=1
        )
        executions.create(tx, row)
        checkpoints.write(tx, name, NodeRow(path="a", status=NodeState.COMPLETED, attempt=1, output=output))

    return unit


async def filled(store, count: int = 50) -> None:
    for i in range(count):
        await store.submit(made(f"e{i:03}", BIG if i % 10 == 0 else b"%d" % i))


def content(path) -> list[tuple]:
    db = sqlite3.connect(f"file:{path}?immutable=1", uri=True)
    try:
        return db.execute("SELECT execution, path, output, large FROM nodes ORDER BY 1, 2").fetchall()
    finally:
        db.close()


async def test_backup_holds_what_was_reported_and_nothing_beside_it_is_left(store, tmp_path):
    await filled(store)
    target = tmp_path / "out" / "b.db"
    target.parent.mkdir()

    done = back_up(store.path, target)

    assert (done.path, done.executions, done.damaged) == (str(target), 50, {})
    assert done.size == target.stat().st_size
    assert len(content(target)) == 50
    assert [file.name for file in target.parent.iterdir()] == ["b.db"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


async def test_backup_is_one_moment_while_the_writer_goes_on(store, tmp_path):
    """Commits during the copy are not in it, and do not make it begin again."""
    await filled(store, 400)
    loop = asyncio.get_running_loop()
    steps: list[Progress] = []

    def told(progress: Progress) -> None:
        steps.append(progress)
        if progress.doing == "copying":
            asyncio.run_coroutine_threadsafe(commit(f"late{len(steps)}"), loop).result(10)

    async def commit(name: str) -> None:
        await store.submit(made(name, BIG[:50_000] + b'"'))

    before = backup.STEP_PAGES
    backup.STEP_PAGES = 10
    try:
        done = await asyncio.to_thread(back_up, store.path, tmp_path / "b.db", told=told)
    finally:
        backup.STEP_PAGES = before

    copied = [step for step in steps if step.doing == "copying"]
    assert len(copied) > 5
    assert len(copied) == len({step.done for step in copied}), "it began again"
    assert done.executions == 400
    assert not any(name.startswith("late") for name, *_ in content(tmp_path / "b.db"))


async def test_backup_can_be_opened_as_a_store(store, tmp_path):
    await filled(store)
    back_up(store.path, tmp_path / "b.db")

    async with Store.open(tmp_path / "b.db") as copy:
        [row] = await copy.read(lambda db: checkpoints.of(db, "e000", whole=True))
        assert row.output == BIG


async def test_file_that_is_there_is_not_overwritten_unless_told(store, tmp_path):
    await filled(store, 3)
    back_up(store.path, tmp_path / "b.db")
    await store.submit(made("more"))

    with pytest.raises(BackupRefused, match=r"is there already: name another file, or overwrite it with --force"):
        back_up(store.path, tmp_path / "b.db")
    assert len(content(tmp_path / "b.db")) == 3

    back_up(store.path, tmp_path / "b.db", force=True)
    assert len(content(tmp_path / "b.db")) == 4


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ganglion.db", "is the store itself"),
        ("ganglion.db-wal", "is the store itself"),
        ("folder", "is no file"),
        ("letter.txt", "is no backup, and is not overwritten"),
        ("nowhere/b.db", "is no directory: make it"),
    ],
)
async def test_what_is_no_backup_is_never_overwritten(store, tmp_path, name, message):
    (tmp_path / "folder").mkdir()
    (tmp_path / "letter.txt").write_text("Dear all,")

    with pytest.raises(BackupRefused, match=message):
        back_up(store.path, tmp_path / name, force=True)

    assert (tmp_path / "letter.txt").read_text() == "Dear all,"


async def test_damaged_row_is_told_and_the_rest_is_saved(store, tmp_path):
    await filled(store, 20)
    await store.submit(lambda tx: tx.execute("UPDATE nodes SET output = x'00' WHERE execution = 'e003'"))
    await store.submit(lambda tx: tx.execute("UPDATE executions SET trigger = x'00' WHERE id = 'e004'"))
    await store.submit(lambda tx: tx.execute("UPDATE large_values SET body = zeroblob(9)"))

    done = back_up(store.path, tmp_path / "b.db")

    assert set(done.damaged) == {"e003", "e004", "e000", "e010"}
    assert "checkpoint of a in execution e003 is damaged" in done.damaged["e003"]


async def test_store_with_a_damaged_page_gives_no_backup(store, tmp_path, damage_leaf):
    await filled(store, 400)
    await store.maintain(lambda db: db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
    damage_leaf(store.path, "nodes")

    with pytest.raises(BackupRefused, match="is damaged"):
        back_up(store.path, tmp_path / "b.db")
    assert not (tmp_path / "b.db").exists()
    assert not (tmp_path / ".b.db.part").exists()


async def test_no_room_is_said_so_and_leaves_nothing(store, small_disk):
    for i in range(40):
        await store.submit(made(f"e{i}", b'"%d' % i + BIG[1:]))

    with pytest.raises(BackupRefused, match=r"there is no room for .*: free some space"):
        back_up(store.path, small_disk / "b.db")
    assert list(small_disk.iterdir()) == []


async def test_copy_that_is_too_slow_for_the_wal_is_given_up(store, tmp_path, monkeypatch):
    await filled(store)
    monkeypatch.setattr(backup, "MAX_WAL", 1)

    with pytest.raises(BackupRefused, match="is too slow"):
        back_up(store.path, tmp_path / "b.db")


async def test_backup_is_given_up_when_the_teller_says_so(store, tmp_path):
    await filled(store)
    stopped = threading.Event()
    stopped.set()

    def told(progress: Progress) -> None:
        if stopped.is_set():
            raise BackupRefused("the agent stops")

    with pytest.raises(BackupRefused, match="the agent stops"):
        back_up(store.path, tmp_path / "b.db", told=told)
    assert {file.name for file in tmp_path.iterdir()} == {"ganglion.db", "ganglion.db-shm", "ganglion.db-wal"}
