"""A reader or a peer that is gone: nothing that works for others may die of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SIGPIPE_BIT = 1 << 12
COMMAND = [sys.executable, "-c", "from agent.cli import main; main()"]


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


@pytest.mark.parametrize("arguments", ["--version", "--version --json", "--help", "schema", "licences"])
@pytest.mark.parametrize("buffered", [True, False], ids=["buffered", "unbuffered"])
def test_output_that_finds_no_room_is_one_line_and_a_failure(arguments: str, buffered: bool) -> None:
    environ = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    if not buffered:
        environ["PYTHONUNBUFFERED"] = "1"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, *arguments.split()], env=environ, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert (done.returncode, done.stderr) == (1, "ganglion: No space left on device\n")


def test_output_into_a_closed_stream_is_no_failure() -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *COMMAND, "check", "examples/act-on-it.yaml"],
        stderr=subprocess.PIPE, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_a_limit_of_open_files_is_one_line_that_names_it() -> None:
    limited = """
import resource
import agent.cli.root, agent.collector
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
agent.cli.main()
"""
    done = subprocess.run([sys.executable, "-c", limited, "schema"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith("ganglion: ")
    assert done.stderr.endswith("Too many open files: let it open more (ulimit -n)\n")
    assert done.stderr.count("\n") == 1
