"""Kills a real process in a backup, in a restore, and in retention, and looks at the files it leaves."""

import asyncio
import os
import sqlite3
import textwrap
from pathlib import Path

import pytest

from engine.store import Store, executions
from engine.store.backup import back_up
from engine.store.check import damaged_rows
from tests import warm

pytestmark = pytest.mark.crash

ROOT = Path(__file__).parents[3]
FILL = """
import asyncio, sys
from pathlib import Path
from engine.states import ExecutionState, NodeState
from engine.store import Store, checkpoints, executions
from engine.store.checkpoints import NodeRow
from engine.store.executions import ExecutionRow
from engine.store.housekeeping import Housekeeper, Retention

def made(name, value):
    body = b'"' + value.encode() * 80_000 + b'"'
    def unit(tx):
        if executions.get(tx.db, name) is not None:
            return
        executions.create(tx, ExecutionRow(id=name, workflow="w", version=1, status=ExecutionState.QUEUED, root=name,
                                           trigger=b"{}", created_at=1))
        checkpoints.write(tx, name, NodeRow(path="own", status=NodeState.COMPLETED, attempt=1, output=body))
        checkpoints.write(tx, name, NodeRow(path="shared", status=NodeState.COMPLETED, attempt=1,
                                                output=b'"' + b"s" * 80_000 + b'"'))
        executions.finish(tx, name, ExecutionState.COMPLETED, now=int(name[1:]), outputs=body, error=None)
    return unit
"""


def live(code: str, *arguments: object, crash_at: str = "") -> int:
    """One process; its return code."""
    done = warm.run(
        ["-c", FILL + textwrap.dedent(code), *map(str, arguments)], env={**os.environ, "GANGLION_CRASH_AT": crash_at}
    )
    assert done.returncode in (0, -9), done.stderr
    return done.returncode


def deaths(code: str, *arguments: object, point: str) -> int:
    """Lives on the same files, the n-th killed at the n-th passing, until one ends by itself; how many were killed."""
    killed = 0
    while live(code, *arguments, crash_at=f"{point}:{killed + 1}") == -9:
        killed += 1
        assert killed < 40, "it dies and dies, and does not get on"
    return killed


def names(path: Path) -> list[str]:
    async def read() -> list[str]:
        async with Store.open(path) as store:
            return sorted(row.id for row in await store.read(executions.listing))

    return asyncio.run(read())


@pytest.mark.parametrize("point", ["retention-before-commit", "before-commit", "after-commit"])
def test_kill_in_retention_loses_no_value_and_leaves_none_behind(tmp_path, point):
    code = """
    async def main(path):
        async with Store.open(path) as store:
            for i in range(9):
                await store.submit(made(f"e{i}", "abc"[i % 3]))
                keeper = Housekeeper(store, Retention(age=None, count=2, bytes=None))
                while await keeper.tidy():
                    pass
    asyncio.run(main(Path(sys.argv[1])))
    """
    path = tmp_path / "s.db"
    killed = 0
    while live(code, path, crash_at=f"{point}:{killed + 1}") == -9:
        killed += 1
        examine(path)
    assert killed >= 8, "the point was not passed: nothing was tested"

    examine(path)
    assert names(path) == ["e7", "e8"]


def examine(path: Path) -> None:
    """Every reference has its value, and every value a reference."""
    db = sqlite3.connect(path)
    try:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'value_uses'").fetchone():
            return
        assert damaged_rows(db) == {}
        held = {hash for (hash,) in db.execute("SELECT hash FROM large_values")}
        referred = {hash for (hash,) in db.execute("SELECT large FROM nodes WHERE large IS NOT NULL")}
        used = {hash for (hash,) in db.execute("SELECT hash FROM value_uses")}
        assert held == used == referred
        ids = {id for (id,) in db.execute("SELECT id FROM executions")}
        assert {id for (id,) in db.execute("SELECT execution FROM value_uses")} <= ids
    finally:
        db.close()


BACKUP = """
from engine.store.backup import back_up
back_up(Path(sys.argv[1]), Path(sys.argv[2]), force=True)
"""


@pytest.mark.parametrize("point", ["backup-copied", "backup-before-rename"])
def test_kill_in_a_backup_leaves_the_earlier_one_and_the_next_attempt_works(tmp_path, point):
    code = """
    async def main(path, first, last):
        async with Store.open(path) as store:
            for i in range(first, last):
                await store.submit(made(f"e{i}", "a"))
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
    """
    store, target = tmp_path / "s.db", tmp_path / "b.db"
    assert live(code, store, 0, 2) == 0
    back_up(store, target)
    assert live(code, store, 2, 4) == 0

    assert live(BACKUP, store, target, crash_at=f"{point}:1") == -9
    assert names(target) == ["e0", "e1"]

    assert live(BACKUP, store, target) == 0
    assert names(target) == names(store) == ["e0", "e1", "e2", "e3"]
    assert not [file for file in tmp_path.iterdir() if ".part" in file.name]


RESTORE = """
from engine.store.restoring import restore
restore(Path(sys.argv[2]), Path(sys.argv[1]), now=1)
"""


@pytest.mark.parametrize(
    ("point", "new"),
    [
        ("restore-before-it-counts:1", False),
        ("restore-moved-aside:1", True),
        ("restore-moved-aside:2", True),
        ("restore-moved-aside:3", True),
        ("restore-in-place:1", True),
    ],
)
@pytest.mark.parametrize("crashed", [False, True])
def test_kill_in_a_restore_leaves_the_old_store_or_the_new_one(tmp_path, point, new, crashed):
    """`crashed`: the old store has commits that are in its WAL only."""
    code = """
    import os, signal
    async def main(path):
        async with Store.open(path) as store:
            for i in range(4):
                await store.submit(made(f"e{i}", "a"))
                if i == 1:
                    from engine.store.backup import back_up
                    back_up(path, path.with_name("b.db"), force=True)
            if sys.argv[2] == "True":
                os.kill(os.getpid(), signal.SIGKILL)
    asyncio.run(main(Path(sys.argv[1])))
    """
    store, backup = tmp_path / "s.db", tmp_path / "b.db"
    assert live(code, store, crashed) == (-9 if crashed else 0)
    assert (tmp_path / "s.db-wal").exists() == crashed

    assert live(RESTORE, store, backup, crash_at=point) == -9

    assert names(store) == (["e0", "e1"] if new else ["e0", "e1", "e2", "e3"])
    aside = [file for file in tmp_path.iterdir() if ".replaced-" in file.name and not file.name.endswith("-wal")]
    assert len(aside) == (1 if new else 0)
    if aside:
        assert names(aside[0]) == ["e0", "e1", "e2", "e3"]
    assert live(RESTORE, store, backup) == 0
    assert names(store) == ["e0", "e1"]
