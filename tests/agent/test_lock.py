import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.lock import holder, locked
from engine.store.errors import StoreInUse


def test_a_second_process_is_refused_and_told_who_holds_the_directory(tmp_path: Path) -> None:
    with locked(tmp_path):
        script = f"from pathlib import Path\nfrom agent.lock import locked\nwith locked(Path({str(tmp_path)!r})): pass"
        other = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        assert other.returncode == 1
        assert f"{tmp_path} is in use by the process {os.getpid()}: stop it, or give another one" in other.stderr
        assert holder(tmp_path) == os.getpid()
    assert holder(tmp_path) is None


def test_the_lock_is_free_again_after_the_block(tmp_path: Path) -> None:
    with locked(tmp_path):
        pass
    with locked(tmp_path) as descriptor:
        assert descriptor > 2


def test_a_child_that_inherits_the_descriptor_keeps_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.lock.PATIENCE", 0.1)
    script = "import sys; print(flush=True); sys.stdin.read()"
    with locked(tmp_path) as descriptor:
        child = subprocess.Popen(
            [sys.executable, "-c", script], pass_fds=[descriptor], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
    with child:
        assert child.stdout is not None
        child.stdout.readline()
        (tmp_path / "lock").write_text("999999999\n")  # the agent itself is dead
        with pytest.raises(StoreInUse, match="a process that a dead agent left"), locked(tmp_path):
            pass
        child.communicate()
    with locked(tmp_path):
        pass
