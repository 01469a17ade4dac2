"""What the next process learns of the last one's end; real processes, real signals."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent.crashes import crash_file

CODE = """
import sys, signal
from pathlib import Path
from agent.crashes import crash_file
with crash_file(Path(sys.argv[1])):
    signal.raise_signal(int(sys.argv[2]))
"""


def ended(data: Path, how: signal.Signals) -> None:
    done = subprocess.run([sys.executable, "-c", CODE, data, str(int(how))], capture_output=True, check=False)
    assert done.returncode == -how


@pytest.mark.parametrize(
    ("how", "is_native", "said"),
    [
        (signal.SIGSEGV, True, "died in native code"),
        (signal.SIGABRT, True, "died in native code"),
        (signal.SIGQUIT, False, "was ended by its watchdog, or by somebody's SIGQUIT"),
    ],
)
def test_a_native_crash_and_the_end_by_a_watchdog_are_told_apart(tmp_path, caplog, how, is_native, said) -> None:
    ended(tmp_path, how)
    with crash_file(tmp_path) as last:
        [kept] = tmp_path.glob("crash-*.log")
        assert last == (kept if is_native else None)
    assert said in caplog.text
    assert 'File "<string>"' in kept.read_text()
    assert not (tmp_path / "crash.log").exists()


def test_an_end_without_stacks_is_none_to_tell_of(tmp_path, caplog) -> None:
    ended(tmp_path, signal.SIGKILL)
    with crash_file(tmp_path) as last:
        assert last is None
    assert caplog.text == ""
