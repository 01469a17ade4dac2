"""Kills a real process while an execution is had run again: the order is carried out whole, once, or not at all."""

import os
import sqlite3
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from tests import warm

pytestmark = pytest.mark.crash

HERE = Path(__file__).parent
POINTS = {"before-commit": 4, "after-commit": 4, "checkpoint-before-commit": 2, "effect-before-result": 2}
"""How often a life must have died there at least."""
ALL = {"list", "last", *(f"scan[{n}]/{node}" for n in range(4) for node in ("fetch", "pay"))}


def live(folder: Path, order: str, crash_at: str = "") -> int:
    """One life; its return code."""
    done = warm.run([HERE / "rerun_driver.py", folder, order], env={**os.environ, "GANGLION_CRASH_AT": crash_at})
    assert done.returncode in (0, -9), done.stderr
    return done.returncode


@pytest.mark.parametrize("order", ["retry", "fork"])
@pytest.mark.parametrize("point", POINTS)
def test_kill_at_every_passing_of(point, order, tmp_path):
    assert live(tmp_path, order) == 0
    before = effects(tmp_path)
    deaths = 0
    while live(tmp_path, order, f"{point}:{deaths + 1}") == -9:
        deaths += 1
        assert deaths < 60, "it dies and dies, and does not get on"
    assert deaths >= POINTS[point], "the point was not passed: nothing was tested"

    examine(tmp_path, order, before)


def effects(folder: Path) -> Counter[tuple[str, str, str]]:
    """How often each (execution, path, key) was seen."""
    lines = (line.split() for line in (folder / "sink").read_text().splitlines())
    return Counter((execution, path, key) for execution, path, _, key in lines)


def examine(folder: Path, order: str, before: Counter[tuple[str, str, str]]) -> None:
    db = sqlite3.connect(folder / "ganglion.db")
    try:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = db.execute("SELECT id, status, outputs, forked_from FROM executions ORDER BY num").fetchall()
        facts = Counter(kind for (kind,) in db.execute("SELECT kind FROM facts"))
        nodes = {
            id: {path for (path,) in db.execute("SELECT path FROM nodes WHERE execution = ?", (id,))} for id, *_ in rows
        }
    finally:
        db.close()
    first = rows[0][0]
    last, status, outputs, forked_from = rows[-1]
    assert (status, msgspec.json.decode(outputs)) == ("completed", [10, 20, 30, 40])
    assert nodes[last] == {*ALL, "scan", *(f"scan[{n}]" for n in range(4))}
    after = effects(folder)
    assert len({key for _, _, key in after}) == len({(id, path) for id, path, _ in after}), (
        "a key changed, or is shared"
    )
    if order == "retry":
        assert (len(rows), facts["workflow.retried"]) == (1, 1)
        assert all(after[done] == count for done, count in before.items()), "what had completed was repeated"
        assert {path for _, path, _ in after} == ALL
    else:
        assert (len(rows), forked_from, rows[0][1]) == (2, first, "failed")
        assert facts["workflow.forked"] == 1
        again = {path for id, path, _ in after if id == last}
        assert {"last", "scan[1]/fetch", "scan[1]/pay"} <= again
        assert not {"list", "scan[0]/fetch", "scan[0]/pay"} & again
