"""Kills a real process at every step of a loop of model turns and tool calls: the real store, the real model.

What was finished is never generated or called again: however often it dies, all lives together generate as often as one
life that nobody disturbed, and once more for each death at most.
"""

import asyncio
import importlib.util
import os
import sqlite3
from collections import Counter
from itertools import count
from pathlib import Path

import msgspec
import pytest

from tests import warm

pytestmark = pytest.mark.crash

HERE = Path(__file__).parent
ROOT = HERE.parents[4]
GGUF = ROOT / "examples/models/triage-tiny-q8_0.gguf"
POINTS = ("effect-before-result", "checkpoint-before-commit", "after-commit")
ENDS = {
    "act/turn[0]/model", "act/turn[0]", "act/tool[0]/read_sensor", "act/tool[0]", "act/stop[0]",
    "act/turn[1]/model", "act/turn[1]", "act/tool[1]/set_relay", "act/tool[1]", "act/stop[1]",
    "act/turn[2]/model", "act/turn[2]", "act", "last",
}  # fmt: skip
TURNS = 3
"""Of a life that nobody disturbs: two with calls, and the answer."""


def live(folder: Path, crash_at: str = "") -> int:
    """One life; its return code."""
    folder.mkdir(exist_ok=True)
    done = warm.run([HERE / "driver.py", folder, GGUF], env={**os.environ, "GANGLION_CRASH_AT": crash_at})
    assert done.returncode in (0, -9), done.stderr
    return done.returncode


def recover(folder: Path) -> None:
    """A life that nobody disturbs, in this process."""
    spec = importlib.util.spec_from_file_location("driver", HERE / "driver.py")
    driver = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(driver)
    asyncio.run(driver.main(folder, GGUF))


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def check(folder: Path, deaths: int) -> None:
    """What the files say after the last life."""
    db = sqlite3.connect(folder / "ganglion.db")
    try:
        [(status, outputs)] = db.execute("SELECT status, outputs FROM executions").fetchall()
        rows = db.execute("SELECT path, status, attempt FROM nodes").fetchall()
        facts = Counter(db.execute("SELECT kind, node FROM facts WHERE kind = 'node.completed'").fetchall())
    finally:
        db.close()
    assert status == "completed"
    found = msgspec.json.decode(outputs)
    assert (found["answer"], found["steps"]) == ("fridge-07 is at 14.2 C, relay-3 is on", TURNS)
    assert [entry["role"] for entry in found["transcript"]] == ["user", *("assistant", "tool") * 2, "assistant"]
    assert {path for path, *_ in rows} == ENDS
    assert {status for _, status, _ in rows} == {"completed"}
    assert set(facts.values()) == {1}, "each finished turn and call is told once"
    generations = lines(folder / "generations")
    assert TURNS <= len(generations) <= TURNS + deaths
    assert len(set(generations)) == TURNS, "a turn that was generated again is the same"
    effects = [line.split() for line in lines(folder / "effects")]
    assert {path for path, _ in effects} == {"act/tool[0]/read_sensor", "act/tool[1]/set_relay", "last"}
    assert len({key for _, key in effects}) == 3, "a repeated effect has the same key"
    assert len(effects) <= 3 + deaths
    assert len(generations) + len(effects) <= TURNS + 3 + deaths, "a death costs what was under way, and no more"


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_any_step_pays_for_nothing_twice(point, tmp_path):
    for n in count(1):
        folder = tmp_path / str(n)
        died = live(folder, f"{point}:{n}") != 0
        if died:
            recover(folder)
        check(folder, deaths=int(died))
        if not died:
            break
    assert n > 4, "the point was not passed: nothing was tested"


def test_killed_again_and_again_also_while_it_recovers_it_gets_on(tmp_path):
    deaths = 0
    for life in count():
        kill = f"{POINTS[life // 2 % len(POINTS)]}:{life // 2 + 2}" if life % 2 == 0 else "after-commit:1"
        if live(tmp_path, kill) == 0:
            break
        deaths += 1
        assert deaths < 60, "it dies and dies, and does not get on"
    assert deaths >= 4
    check(tmp_path, deaths)
