"""What `ganglion doctor` tells of a machine that is not as it should be."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.agent.conftest import Shell
from tests.warm import GANGLION

ROOT = os.geteuid() == 0
WITHOUT_RIGHTS = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if ROOT else []
"""To root no folder is closed, unless these are taken away."""


def as_stranger(shell: Shell, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """A command of somebody to whom folders can be closed."""
    command = [*WITHOUT_RIGHTS, sys.executable, *GANGLION, *map(str, arguments)]
    return subprocess.run(command, cwd="/", env=shell.environ, capture_output=True, text=True, check=False)


@pytest.mark.skipif(ROOT and shutil.which("setpriv") is None, reason="nothing is closed to root without setpriv")
def test_a_data_directory_of_another_user_is_one_finding_of_many(shell: Shell, tmp_path: Path) -> None:
    data = tmp_path / "closed" / "data"
    data.mkdir(parents=True)
    for place in (data, data.parent):  # of the folder itself, and of what is above it
        place.chmod(0)
        try:
            done = as_stranger(shell, "doctor", "--data-dir", data, "--json")
        finally:
            place.chmod(0o700)
        assert (done.returncode, done.stderr) == (1, "")
        found = {finding["check"]: finding for finding in json.loads(done.stdout)["findings"]}
        assert found["data directory"] == {
            "check": "data directory",
            "verdict": "fail",
            "message": f"{data} can't be looked into by this user",
            "remedy": "look as its owner (`sudo -u`) or as root, or name another one with --data-dir",
        }
        assert found["agent"]["message"] == f"whether one runs on {data} can't be told"
        assert {"python", "cache", "clock", "agent"} <= set(found)
        assert not {"store", "secrets", "disk"} & set(found)
