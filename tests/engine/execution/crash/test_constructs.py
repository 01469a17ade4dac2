"""Kills a real process inside each control-flow construct, again and again, also while it recovers.

The oracle is a life that nobody disturbed: whatever is killed must come to the same rows, outputs and effects. Effects
repeat only under the same key, those of at_most_once never; what had ended is not run again.
"""

import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests import warm

pytestmark = pytest.mark.crash

HERE = Path(__file__).parent
COUNT = 2
CONSTRUCTS = {
    "foreach": """
  scan:
    type: foreach
    items: "[10, 20, 30, 40]"
    concurrency: 2
    nodes:
      fetch: {type: effect, data: "{{ item + trigger.data.x }}"}
      pay: {type: once, data: "{{ nodes.fetch * 2 }}"}
      wait: {type: sleep, needs: pay, duration: 1ms}
      tell: {type: effect, needs: wait, data: {publish: "{{ nodes.fetch }}"}}
    output: "{{ nodes.fetch }}"
  last: {type: effect, data: "{{ nodes.scan | sum }}"}
""",
    "pages": """
  scan:
    type: foreach
    pages:
      nodes: {list: {type: effect, data: [1, 2]}}
      items: nodes.list
      next: "page + 1 if page < 2 else none"
    on_item_error: continue
    nodes: {fetch: {type: effect, data: "{{ 'refuse' if index == 3 else item * 10 }}"}}
  last: {type: effect, data: "{{ nodes.scan }}"}
""",
    "while": """
  poll:
    type: while
    condition: vars.tries < 4
    nodes:
      count: {type: set, vars: {tries: "{{ vars.tries + 1 }}"}}
      ask: {type: effect, needs: count, data: "{{ vars.tries }}"}
      pay: {type: once, data: "{{ nodes.ask }}"}
  last: {type: effect, data: "{{ nodes.poll.count }}"}
""",
    "repeat": """
  again:
    type: repeat
    times: 9
    until: nodes.ask >= 20
    nodes: {ask: {type: effect, data: "{{ 5 + (last if index > 0 else trigger.data.x) }}"}}
  last: {type: effect, data: "{{ nodes.again }}"}
""",
    "cache": """
  again:
    type: repeat
    times: 4
    nodes:
      ask: {type: effect, data: "{{ trigger.data.x }}", cache: {ttl: 1h, key: "{{ trigger.data.x }}"}}
      tell: {type: effect, data: "{{ nodes.ask + index }}"}
    output: "{{ nodes.tell }}"
  last: {type: effect, data: "{{ nodes.again }}"}
""",
    "try": """
  safe:
    type: try
    nodes:
      make: {type: effect, data: made}
      risky: {type: effect, needs: make, data: refuse}
    catch:
      nodes:
        handle: {type: effect, data: "{{ error.message }}"}
        pay: {type: once, needs: handle, data: "{{ nodes.make }}"}
      output: "{{ nodes.handle }}"
    finally:
      nodes:
        clean: {type: effect, data: "{{ nodes.make }}"}
        wait: {type: sleep, needs: clean, duration: 1ms}
        shut: {type: effect, needs: wait, data: {publish: shut}}
  last: {type: effect, data: "{{ nodes.safe }}"}
""",
    "nested": """
  outer:
    type: foreach
    items: "[1, 2]"
    as: row
    concurrency: 2
    nodes:
      guard:
        type: try
        nodes:
          inner:
            type: repeat
            times: 3
            nodes: {step: {type: effect, data: "{{ 'refuse' if row == 2 and index == 1 else row * 10 + index }}"}}
        output: "{{ nodes.inner.last }}"
        catch: {nodes: {handle: {type: effect, data: handled}}}
        finally: {nodes: {clean: {type: effect, data: clean}}}
  last: {type: effect, data: "{{ nodes.outer }}"}
""",
}
HEAD = 'name: w\ntriggers: [{nats: {subject: "in.>"}}]\nvars: {tries: 0}\nnodes:'
POINTS = ("effect-before-result", "after-commit", "checkpoint-before-commit", "before-commit")


def kills() -> Iterator[str]:
    """Where each life dies: later and later, at another point each time; and after each death comes a life that dies at
    its first commit, while it recovers."""
    for life in count():
        yield f"{POINTS[life % len(POINTS)]}:{life + 2}"
        yield "after-commit:1"


def live(folder: Path, workflow: Path, crash_at: str = "") -> int:
    """One life; its return code."""
    done = warm.run(
        [HERE / "driver.py", folder, str(COUNT), workflow], env={**os.environ, "GANGLION_CRASH_AT": crash_at}
    )
    assert done.returncode in (0, -9), done.stderr
    return done.returncode


def written(folder: Path, construct: str) -> Path:
    path = folder / "w.yaml"
    path.write_text(f'{HEAD}{CONSTRUCTS[construct]}outputs: "{{{{ nodes.last }}}}"\n')
    return path


def lines(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text().splitlines()]


def examine(folder: Path) -> dict[str, object]:
    """What the files say, without what differs from run to run."""
    db = sqlite3.connect(folder / "ganglion.db")
    try:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        order = dict(db.execute("SELECT id, trigger ->> '$.data.x' FROM executions"))
        facts = db.execute("SELECT seq, kind, execution, node FROM facts ORDER BY seq").fetchall()
        assert [seq for seq, *_ in facts] == list(range(1, len(facts) + 1))
        kept = {"node.completed", "node.failed", "node.skipped", "iteration.failed", "workflow.started"}
        return {
            "executions": sorted((order[id], status, outputs) for id, status, outputs in db.execute(
                "SELECT id, status, outputs FROM executions")),
            "nodes": sorted((order[id], *row) for id, *row in db.execute(
                "SELECT execution, path, status, output, error FROM nodes")),
            "facts": Counter((order[id], kind, node) for _, kind, id, node in facts
                             if kind in kept or kind.startswith("workflow.c")),
            "publications": sorted((order[id], body) for id, body in db.execute(
                "SELECT execution, body FROM publications")),
            "effects": {(order[id], path) for id, path, _, _ in lines(folder / "sink")},
        }  # fmt: skip
    finally:
        db.close()


def undisturbed(construct: str, base: Path) -> dict[str, object]:
    folder = base / "calm"
    folder.mkdir()
    assert live(folder, written(base, construct)) == 0
    return examine(folder)


@pytest.mark.parametrize("construct", CONSTRUCTS)
def test_kill_inside_a_construct_repeats_nothing_that_had_ended(construct, tmp_path):
    calm = undisturbed(construct, tmp_path)
    folder = tmp_path / "killed"
    folder.mkdir()
    workflow = written(tmp_path, construct)
    deaths = 0
    for kill in kills():
        if live(folder, workflow, kill) == 0:
            break
        deaths += 1
        assert deaths < 80, "it dies and dies, and does not get on"
    assert deaths >= 4, "the points were not passed: nothing was tested"

    found = examine(folder)
    resolved = {path for _, path, *_ in found["nodes"] if path.endswith("pay")}
    for part in ("executions", "publications"):
        assert found[part] == calm[part]
    assert [row[:3] for row in found["nodes"]] == [row[:3] for row in calm["nodes"]]
    assert found["facts"] == calm["facts"]
    assert {effect for effect in found["effects"] if effect[1] not in resolved} == {
        effect for effect in calm["effects"] if effect[1] not in resolved
    }
    keys: dict[tuple[str, str], set[str]] = {}
    times: Counter[tuple[str, str]] = Counter()
    for execution, path, _, key in lines(folder / "sink"):
        keys.setdefault((execution, path), set()).add(key)
        times[execution, path] += 1
    assert all(len(one) == 1 for one in keys.values())
    assert all(amount == 1 for (_, path), amount in times.items() if path.endswith("pay"))
    repeated = sum(amount - 1 for amount in times.values())
    assert repeated <= deaths * 4 * COUNT, "more was repeated than was under way"
