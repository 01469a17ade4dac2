"""What the shell is told when it asks for what may come next."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("dep", ["deploy"]),
        ("ps --st", ["--status"]),
        ("models a", ["add"]),
        ("fleet t", ["top"]),
        ("deadletters re", ["replay"]),
    ],
)
def test_commands_of_every_depth_are_offered(shell, line: str, offered: list[str]) -> None:
    words = f"ganglion {line}"
    told = {"_GANGLION_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    command = "import sys; sys.argv[0] = 'ganglion'; from agent.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", command], env=shell.environ | told, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == offered
