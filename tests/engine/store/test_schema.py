"""Migrations: each whole or not at all, and never backwards."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from engine.store import Store, StoreNewer, schema
from engine.store.schema import MIGRATIONS, migrate

ROOT = Path(__file__).parents[3]


def tables(db: sqlite3.Connection) -> set[str]:
    return {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def content(path: Path) -> list[str]:
    db = sqlite3.connect(path)
    try:
        return list(db.iterdump())
    finally:
        db.close()


@pytest.fixture
def db(tmp_path):
    connection = sqlite3.connect(tmp_path / "s.db", isolation_level=None)
    yield connection
    connection.close()


def test_migrations_are_remembered_by_name_and_run_once(db):
    migrate(db, 7)
    migrate(db, 8)

    rows = db.execute("SELECT name, applied_at FROM migrations").fetchall()
    assert rows == [(name, 7) for name, _ in MIGRATIONS]


def test_later_migration_is_added_to_a_file_with_the_earlier_ones(db, monkeypatch):
    migrate(db, 7)
    monkeypatch.setattr(schema, "MIGRATIONS", (*MIGRATIONS, ("more", "CREATE TABLE more (x); CREATE TABLE most (x)")))
    migrate(db, 8)

    assert {"more", "most"} <= tables(db)


async def test_store_of_a_newer_version_is_refused_untouched(tmp_path):
    async with Store.open(tmp_path / "s.db") as store:
        await store.submit(lambda tx: tx.execute("INSERT INTO migrations VALUES ('from-the-future', 1)"))
    before = content(tmp_path / "s.db")

    with pytest.raises(StoreNewer, match=r"from-the-future.*run that version, or restore a backup"):
        async with Store.open(tmp_path / "s.db"):
            pass

    assert content(tmp_path / "s.db") == before


def test_migration_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    db = sqlite3.connect(tmp_path / "s.db", isolation_level=None)
    migrate(db, 7)
    monkeypatch.setattr(schema, "MIGRATIONS", (*MIGRATIONS, ("bad", "CREATE TABLE half (x); CREATE NONSENSE")))
    with pytest.raises(sqlite3.OperationalError):
        migrate(db, 8)
    db.close()

    again = sqlite3.connect(tmp_path / "s.db")
    assert "half" not in tables(again)
    assert again.execute("SELECT name FROM migrations ORDER BY rowid").fetchall() == [(name,) for name, _ in MIGRATIONS]
    again.close()


def whole_steps():
    """What tables there may be when each migration is whole or undone."""
    steps = [set(), {"migrations"}]
    for count in range(1, len(MIGRATIONS) + 1):
        db = sqlite3.connect(":memory:", isolation_level=None)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(schema, "MIGRATIONS", MIGRATIONS[:count])
            migrate(db, 1)
        steps.append(tables(db))
        db.close()
    return steps


@pytest.mark.crash
@pytest.mark.parametrize("statement", range(0, 40, 3))
def test_kill_in_the_middle_of_a_migration_leaves_it_whole_or_undone(tmp_path, statement):
    code = """
import os, signal, sqlite3, sys
from engine.store.schema import migrate
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA journal_mode = WAL")
left = int(sys.argv[2])
def trace(sql):
    global left
    if sql.startswith(("CREATE", "INSERT", "COMMIT")):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
db.set_trace_callback(trace)
migrate(db, 1)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "s.db", str(statement)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
        timeout=30,
    )
    assert done.returncode in (0, -9)
    db = sqlite3.connect(tmp_path / "s.db", isolation_level=None)
    assert tables(db) in whole_steps() or done.returncode == 0
    migrate(db, 2)
    assert {"executions", "nodes", "facts"} <= tables(db)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


async def test_settings_that_make_the_file_safe_are_on(tmp_path):
    async with Store.open(tmp_path / "s.db") as store:

        def settings(db):
            names = ("journal_mode", "synchronous", "auto_vacuum", "foreign_keys", "mmap_size", "busy_timeout")
            return {name: db.execute(f"PRAGMA {name}").fetchone()[0] for name in names}

        assert await store.maintain(settings) == {
            "journal_mode": "wal",
            "synchronous": 2,
            "auto_vacuum": 2,
            "foreign_keys": 1,
            "mmap_size": 0,
            "busy_timeout": 10_000,
        }
