"""Kills a real process around changes of state: each is made once, and given once."""

import os
import sqlite3
from itertools import count
from pathlib import Path

import pytest

from tests import warm

pytestmark = pytest.mark.crash

HERE = Path(__file__).parent
MESSAGES, EACH = 2, 3
WORKFLOW = """\
name: w
triggers: [{nats: {subject: "in.>"}}]
nodes:
  scan:
    type: foreach
    items: "[1, 2, 3]"
    concurrency: 2
    nodes:
      count: {type: state, op: incr, key: n}
      seen: {type: state, op: set, key: "seen.{{ nodes.count }}", value: "{{ trigger.data.x }}"}
      tell: {type: effect, needs: seen, data: "{{ nodes.count }}"}
    output: "{{ nodes.count }}"
  swap: {type: state, op: compare_and_set, needs: scan, key: first, value: "{{ trigger.data.x }}"}
outputs: "{{ nodes.scan }}"
"""
POINTS = ("effect-before-result", "after-commit", "checkpoint-before-commit", "before-commit")


def live(folder: Path, crash_at: str = "") -> int:
    done = warm.run(
        [HERE / "driver.py", folder, str(MESSAGES), folder / "w.yaml"],
        env={**os.environ, "GANGLION_CRASH_AT": crash_at},
    )
    assert done.returncode in (0, -9), done.stderr
    return done.returncode


@pytest.mark.parametrize("point", POINTS)
def test_every_count_is_made_once_whenever_it_is_killed(point, tmp_path):
    (tmp_path / "w.yaml").write_text(WORKFLOW)
    deaths = 0
    for life in count(1, 2):
        if live(tmp_path, f"{point}:{life}") == 0:
            break
        deaths += 1
        assert deaths < 80, "it dies and dies, and does not get on"
    assert deaths >= 3, "the point was hardly passed: nothing was tested"

    db = sqlite3.connect(tmp_path / "ganglion.db")
    try:
        given = [int(output) for (output,) in db.execute("SELECT output FROM nodes WHERE path LIKE '%/count'")]
        kept = {key: int(value) for key, value in db.execute("SELECT key, value FROM state")}
        swapped = [output for (output,) in db.execute("SELECT output FROM nodes WHERE path = 'swap'")]
        remembered = db.execute("SELECT COUNT(*) FROM state_operations").fetchone()
    finally:
        db.close()
    total = MESSAGES * EACH
    assert sorted(given) == list(range(1, total + 1))
    assert kept["n"] == total
    assert {key for key in kept if key.startswith("seen.")} == {f"seen.{n}" for n in range(1, total + 1)}
    assert sorted(swapped) == [b"false", b"true"]
    assert remembered == (0,)
