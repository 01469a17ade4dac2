"""Kills a real process at every named point of the engine and looks, from outside, at what the files say.

In one chain of lives on the same files, life n dies at the n-th passing of the point, until a life ends by itself.
"""

import os
import sqlite3
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from tests import warm

pytestmark = pytest.mark.crash

HERE = Path(__file__).parent
COUNT = 6
POINTS = {
    # How often a life must have died there at least: the work has many passings.
    "before-commit": 4,
    "after-commit": 4,
    "checkpoint-before-commit": 4,
    "effect-before-result": 4,
    "intent-after-commit": 2,
    "inbox-after-insert": 2,
    "intake-after-commit": 2,
}
SETTLED_NODES = {
    "first": "completed",
    "square": "completed",
    "way": "completed",
    "pay": "completed",
    "never": "skipped",
    "tell": "completed",
    "wait": "completed",
    "last": "completed",
}
EFFECTS = {"first", "tell", "last"}


def live(folder: Path, crash_at: str) -> int:
    """One life; its return code."""
    done = warm.run([HERE / "driver.py", folder, str(COUNT)], env={**os.environ, "GANGLION_CRASH_AT": crash_at})
    assert done.returncode in (0, -9), done.stderr
    return done.returncode


@pytest.mark.parametrize("point", POINTS)
def test_kill_at_every_passing_of(point, tmp_path):
    deaths = 0
    while live(tmp_path, f"{point}:{deaths + 1}") == -9:
        deaths += 1
        assert deaths < 60, "it dies and dies, and does not get on"
    assert deaths >= POINTS[point], "the point was not passed: nothing was tested"

    examine(tmp_path)


def test_run_without_a_kill_passes_the_examination(tmp_path):
    assert live(tmp_path, "") == 0

    examine(tmp_path)
    assert len(lines(tmp_path / "sink")) == COUNT * (len(EFFECTS) + 1)


def lines(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text().splitlines()]


def examine(folder: Path) -> None:
    db = sqlite3.connect(folder / "ganglion.db")
    try:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        ids = examine_executions(folder, db)
        examine_facts(db, ids)
        examine_publications(db, ids)
        examine_effects(folder, ids)
    finally:
        db.close()


def examine_executions(folder: Path, db: sqlite3.Connection) -> dict[str, int]:
    """Every acknowledged message became exactly one execution, and each came to its right end."""
    rows = db.execute("SELECT id, status, outputs, trigger FROM executions").fetchall()
    ids = {id: msgspec.json.decode(trigger)["data"]["x"] for id, _, _, trigger in rows}
    assert sorted(ids.values()) == list(range(COUNT)), "lost or doubled"
    for id, status, outputs, _ in rows:
        assert (status, msgspec.json.decode(outputs)) == ("completed", ids[id] ** 2 + 1)
    for message, execution in lines(folder / "acknowledged"):
        assert ids[execution] == int(message.removeprefix("id-")), "an acknowledged message became another execution"
    nodes = db.execute("SELECT execution, path, status FROM nodes").fetchall()
    assert Counter(id for id, _, _ in nodes) == dict.fromkeys(ids, len(SETTLED_NODES))
    assert all(SETTLED_NODES[path] == status for _, path, status in nodes)
    return ids


def examine_facts(db: sqlite3.Connection, ids: dict[str, int]) -> None:
    """Each fact once, numbered without a gap."""
    facts = db.execute("SELECT seq, kind, execution, node FROM facts ORDER BY seq").fetchall()
    assert [seq for seq, *_ in facts] == list(range(1, len(facts) + 1))
    told = Counter((kind, execution, node) for _, kind, execution, node in facts)
    for id in ids:
        assert told["workflow.started", id, ""] == told["workflow.completed", id, ""] == 1
        for path, state in SETTLED_NODES.items():
            assert told[f"node.{state}", id, path] == 1
    assert not any(kind in ("node.failed", "workflow.failed") for _, kind, _, _ in facts)


def examine_publications(db: sqlite3.Connection, ids: dict[str, int]) -> None:
    """Sent with the result: exactly once each."""
    rows = db.execute("SELECT execution, body FROM publications").fetchall()
    assert sorted(rows) == sorted((id, str(x**2).encode()) for id, x in ids.items())


def examine_effects(folder: Path, ids: dict[str, int]) -> None:
    """Effects repeat only under the same key; those of at_most_once never."""
    keys: dict[tuple[str, str], set[str]] = {}
    times: Counter[tuple[str, str]] = Counter()
    for execution, path, _, key in lines(folder / "sink"):
        keys.setdefault((execution, path), set()).add(key)
        times[execution, path] += 1
    assert all(len(found) == 1 for found in keys.values())
    assert len({key for found in keys.values() for key in found}) == len(keys)
    assert {(execution, path) for execution, path in keys if path != "pay"} == {
        (id, path) for id in ids for path in EFFECTS
    }
    assert all(times[id, "pay"] <= 1 for id in ids), "an at_most_once effect happened twice"
