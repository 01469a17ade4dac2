"""Kills a real process while executions wait for messages, people and children, and looks at the files from outside."""

import os
import sqlite3
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from tests import warm

pytestmark = pytest.mark.crash

HERE = Path(__file__).parent
COUNT = 3
POINTS = {
    # How often a life must have died there at least. Behind a commit lie the answer that nobody was told of yet, and
    # the child's end that its parent does not know of.
    "before-commit": 6,
    "after-commit": 6,
    "checkpoint-before-commit": 6,
    "effect-before-result": 6,
    "message-kept": 1,
    "inbox-after-insert": 2,
}


def live(folder: Path, crash_at: str) -> int:
    """One life; its return code."""
    done = warm.run([HERE / "waiting_driver.py", folder, str(COUNT)], env={**os.environ, "GANGLION_CRASH_AT": crash_at})
    assert done.returncode in (0, -9), done.stderr
    return done.returncode


@pytest.mark.parametrize("point", POINTS)
def test_kill_while_waiting_at_every_passing_of(point: str, tmp_path: Path) -> None:
    deaths = 0
    while live(tmp_path, f"{point}:{deaths + 1}") == -9:
        deaths += 1
        assert deaths < 80, "it dies and dies, and does not get on"
    assert deaths >= POINTS[point], "the point was not passed: nothing was tested"

    examine(tmp_path)


def examine(folder: Path) -> None:
    db = sqlite3.connect(folder / "ganglion.db")
    try:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        orders = db.execute("SELECT id, status, outputs FROM executions WHERE workflow = 'order'").fetchall()
        expected = sorted([n * 100, "ann", n * 10] for n in range(1, COUNT + 1))
        assert sorted(msgspec.json.decode(outputs) for _, _, outputs in orders) == expected
        assert {status for _, status, _ in orders} == {"completed"}

        children = db.execute("SELECT parent, parent_path, status, depth FROM executions WHERE workflow = 'pack'")
        assert sorted(children) == sorted((id, "sub", "completed", 1) for id, _, _ in orders), "lost or doubled"

        assert db.execute("SELECT COUNT(*) FROM kept_messages").fetchone() == (0,)
        waits = db.execute("SELECT kind, path, answered_at IS NOT NULL, ended_at IS NOT NULL FROM waits").fetchall()
        assert waits == [("form", "ask", 1, 1)] * COUNT

        told = Counter(db.execute("SELECT kind, execution FROM facts").fetchall())
        for id, *_ in orders:
            for kind in ("workflow.started", "form.opened", "form.submitted", "workflow.completed"):
                assert told[kind, id] == 1
        assert not any(kind == "form.expired" for kind, _ in told)
        lines = [line.split() for line in (folder / "sink").read_text().splitlines()]
        keys = {(execution, path): key for execution, path, key in lines}
        assert len(set(keys.values())) == len(keys) == COUNT * 3
        assert all(keys[execution, path] == key for execution, path, key in lines)
    finally:
        db.close()
