"""kill -9 at each named point of a migration: the file is of the version before, or of this one."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from engine.fleet.schema import MIGRATIONS as FLEET
from engine.store.schema import MIGRATIONS, Migrations, migrate
from engine.store.versions import versions
from tests import warm

CODE = """
import asyncio, sys
from pathlib import Path
from engine.fleet import store as fleet
from engine.fleet.store import FleetStore
from engine.store import Store, schema

more = (("second", "CREATE TABLE second (x); CREATE TABLE third (x)"), ("fourth", "ALTER TABLE second ADD COLUMN y"))
schema.MIGRATIONS += more
fleet.MIGRATIONS += more

async def main():
    path = Path(sys.argv[1])
    opened = FleetStore.open if path.name == "fleet.db" else Store.open
    async with opened(path, program="ganglion 0.9.0"):
        pass

asyncio.run(main())
"""
POINTS = (
    "migration-statement:1",
    "migration-statement:3",
    "migration-added:1",
    "migration-added:2",
    "migration-before-commit:1",
    "migration-committed:1",
)


def tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as db:
        return {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


@pytest.mark.crash
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize(("name", "known"), [("ganglion.db", MIGRATIONS), ("fleet.db", FLEET)])
def test_killed_migration_leaves_either_versions_file(tmp_path: Path, name: str, known: Migrations, point: str) -> None:
    path = tmp_path / name
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        migrate(db, 1, known, program="ganglion 0.1.0")
    before = tables(path)

    done = warm.run(["-c", CODE, path], env={**os.environ, "GANGLION_CRASH_AT": point})
    assert done.returncode == -9, done.stderr

    found = versions(path)
    assert found is not None
    if point == "migration-committed:1":
        assert (found.program, tables(path)) == ("ganglion 0.9.0", before | {"second", "third"})
        assert found.migrations[-2:] == ("second", "fourth")
    else:
        assert (found.program, tables(path)) == ("ganglion 0.1.0", before)
        assert found.migrations == tuple(name for name, _ in known)

    again = warm.run(["-c", CODE, path], env=dict(os.environ))
    assert again.returncode == 0, again.stderr
    assert tables(path) == before | {"second", "third"}
