"""A reader or a peer that is gone: nothing that works for others may die of it."""

import subprocess
import sys
from pathlib import Path

SIGPIPE_BIT = 1 << 12


def test_an_agent_outlives_a_link_that_breaks_while_it_writes(start) -> None:
    agent = start()
    status = Path(f"/proc/{agent.ready['pid']}/status").read_text()
    [ignored] = [line.split()[1] for line in status.splitlines() if line.startswith("SigIgn")]
    assert int(ignored, 16) & SIGPIPE_BIT


def test_output_that_nobody_reads_is_no_traceback() -> None:
    command = f"{sys.executable} -c 'from agent.cli import main; main()' schema | head -c 5"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout
    assert "Traceback" not in done.stderr
