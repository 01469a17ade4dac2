import os
import subprocess
import sys
from pathlib import Path

from agent.lock import holder, locked


def test_a_second_process_is_refused_and_told_who_holds_the_directory(tmp_path: Path) -> None:
    with locked(tmp_path):
        script = f"from pathlib import Path\nfrom agent.lock import locked\nwith locked(Path({str(tmp_path)!r})): pass"
        other = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        assert other.returncode == 1
        assert f"{tmp_path} is in use by the process {os.getpid()}: stop it, or give another one" in other.stderr
        assert holder(tmp_path) == os.getpid()
    assert holder(tmp_path) is None


def test_the_lock_is_free_again_after_the_block(tmp_path: Path) -> None:
    for _ in range(2):
        with locked(tmp_path):
            pass


def test_a_killed_process_leaves_the_directory_free(tmp_path: Path) -> None:
    script = (
        "import time\nfrom pathlib import Path\nfrom agent.lock import locked\n"
        f"with locked(Path({str(tmp_path)!r})): print(flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert holder(tmp_path) == child.pid
        child.kill()
        with locked(tmp_path):
            assert holder(tmp_path) == os.getpid()
