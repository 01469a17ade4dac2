"""Kills a real process again and again while executions come to their limits: what was used is counted once, warnings
come once, and the limit is reached at the same node as in a life that nobody disturbed."""

import json
import os
import sqlite3
from collections import Counter
from itertools import count
from pathlib import Path

import pytest

from tests import warm

pytestmark = pytest.mark.crash

HERE = Path(__file__).parent
COUNT = 2
WORKFLOW = """\
name: w
triggers: [{nats: {subject: "in.>"}}]
limits: {nodes: 8, llm_tokens: 62}
nodes:
  a: {type: ask, data: 1}
  scan: {type: foreach, needs: a, items: "[1, 2, 3]", nodes: {look: {type: ask, limits: {llm_tokens: 30}}}}
  b: {type: ask, needs: scan}
  c: {type: ask, needs: b}
  d: {type: ask, needs: c}
"""
POINTS = ("effect-before-result", "after-commit", "checkpoint-before-commit", "before-commit")


def live(folder: Path, crash_at: str) -> int:
    workflow = folder / "w.yaml"
    workflow.write_text(WORKFLOW)
    done = warm.run(
        [HERE / "limits_driver.py", folder, str(COUNT), workflow], env={**os.environ, "GANGLION_CRASH_AT": crash_at}
    )
    assert done.returncode in (0, -9), done.stderr
    return done.returncode


def examine(folder: Path) -> dict[str, object]:
    db = sqlite3.connect(folder / "ganglion.db")
    try:
        ends = db.execute("SELECT status, error, statistics FROM executions").fetchall()
        statistics = [{**json.loads(text), "duration": 0} for _, _, text in ends]
        return {
            "ends": [(status, json.loads(error)["kind"], json.loads(error)["node"]) for status, error, _ in ends],
            "statistics": statistics,
            "usage": sorted(db.execute("SELECT path, usage FROM nodes WHERE usage IS NOT NULL")),
            "warnings": Counter(db.execute("SELECT node, data ->> '$.limit' FROM facts WHERE kind = 'limit.warning'")),
            "history": db.execute(
                "SELECT SUM(executions), SUM(failed), SUM(nodes), SUM(llm_tokens) FROM usage_history"
            ).fetchone(),
        }
    finally:
        db.close()


def test_kills_count_nothing_twice_and_warn_of_nothing_twice(tmp_path):
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    calm.mkdir()
    killed.mkdir()
    assert live(calm, "") == 0
    deaths = 0
    for life in count():
        if live(killed, f"{POINTS[life % len(POINTS)]}:{life // 2 + 1}") == 0:
            break
        deaths += 1
        assert deaths < 80, "it dies and dies, and does not get on"
    assert deaths >= 4, "the points were not passed: nothing was tested"

    expected = examine(calm)
    assert expected["ends"] == [("failed", "limit", "c")] * COUNT
    assert [one["llm_tokens"] for one in expected["statistics"]] == [50] * COUNT
    assert expected["warnings"] == {("", "llm_tokens"): COUNT, ("", "nodes"): COUNT}
    assert expected["history"] == (COUNT, COUNT, 7 * COUNT, 50 * COUNT)
    assert examine(killed) == expected
