"""What the executable says of itself, and what really runs of it."""

import json
import os
import subprocess
from pathlib import Path

import pytest

FILE = os.environ.get("GANGLION_EXECUTABLE", "")
LIMIT_BYTES = 90_000_000
pytestmark = pytest.mark.skipif(not FILE, reason="$GANGLION_EXECUTABLE names no executable")


def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [FILE, *arguments], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", "HOME": str(home)}
    )


def test_it_is_no_larger_than_promised() -> None:
    assert Path(FILE).stat().st_size <= LIMIT_BYTES


def test_every_fact_about_it_is_known(tmp_path: Path) -> None:
    facts = json.loads(run(tmp_path, "--version", "--json").stdout)
    assert all(facts.values()), facts
    assert facts["architecture"] in Path(FILE).name
    assert tuple(map(int, facts["sqlite"].split("."))) >= (3, 51, 3)
    said = run(tmp_path, "--version").stdout
    assert all(value in said for value in facts.values())


def test_webassembly_runs_in_it(tmp_path: Path) -> None:
    found = {one["check"]: one for one in json.loads(run(tmp_path, "doctor", "--json").stdout)["findings"]}
    assert found["wasmtime"]["message"].endswith(": runs WebAssembly")
    assert found["sqlite"]["message"].endswith("without the WAL-reset bug")


def test_init_writes_what_it_takes(tmp_path: Path) -> None:
    folder = tmp_path / "farm"
    assert run(tmp_path, "init", str(folder), "--all").returncode == 0
    found = json.loads(run(tmp_path, "doctor", "--json", "--config", str(folder / "ganglion.toml")).stdout)["findings"]
    assert {"check": "configuration", "message": str(folder / "ganglion.toml")}.items() <= found[2].items()
