"""kill -9 in an execution that asks a model twice: what was committed is never generated again."""

import os
import sqlite3
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from tests import warm

pytestmark = pytest.mark.crash

HERE = Path(__file__).parent
PROMPTS = {
    "first": "fridge-07 temperature 14.2 C, limit 8 C",
    "second": "Explain: fridge-09 temperature 9.4 C, limit 8 C",
}


def live(folder: Path, crash_at: str) -> int:
    """One life; its return code."""
    done = warm.run([HERE / "driver.py", folder], env={**os.environ, "GANGLION_CRASH_AT": crash_at})
    assert done.returncode in (0, -9), done.stderr
    return done.returncode


def committed(folder: Path) -> set[str]:
    db = sqlite3.connect(folder / "ganglion.db")
    try:
        return {path for (path,) in db.execute("SELECT path FROM nodes WHERE status = 'completed'")}
    finally:
        db.close()


def asked(folder: Path) -> Counter[str]:
    file = folder / "asked"
    return Counter(file.read_text().splitlines() if file.exists() else ())


@pytest.mark.parametrize(("point", "least"), [("effect-before-result", 1), ("after-commit", 2)])
def test_what_is_committed_is_never_generated_again(point, least, tmp_path) -> None:
    deaths = 0
    done: set[str] = set()
    while True:
        before = asked(tmp_path) if deaths else Counter()
        code = live(tmp_path, f"{point}:{deaths + 1}")
        assert all(asked(tmp_path)[PROMPTS[path]] == before[PROMPTS[path]] for path in done), "paid for twice"
        if code == 0:
            break
        done, deaths = committed(tmp_path), deaths + 1
        assert deaths < 30, "it dies and dies, and does not get on"
    assert deaths >= least, "the point was not passed: nothing was tested"
    assert asked(tmp_path).total() <= len(PROMPTS) + deaths

    db = sqlite3.connect(tmp_path / "ganglion.db")
    [(outputs,)] = db.execute("SELECT outputs FROM executions")
    db.close()
    assert msgspec.json.decode(outputs)[1] == "fridge-09: temperature 9.4 C is above the limit of 8 C (warning)."
