"""A few seconds of the fuzzer in each run; `fuzz.py` runs it for as long as you like."""

import subprocess
import sys
from pathlib import Path

import pytest


def test_the_fuzzer_finds_nothing_in_a_few_seconds(tmp_path: Path) -> None:
    pytest.importorskip("atheris")
    fuzz = Path(__file__).with_name("fuzz.py")
    done = subprocess.run(
        [sys.executable, str(fuzz), "-max_total_time=5", "-max_len=64", "-timeout=5", "-rss_limit_mb=1024", "-seed=7"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "Done" in done.stderr
