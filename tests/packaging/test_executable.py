"""The executable as a person has it: one file, no Python, a user without rights, no file of this checkout.

Slow, and nothing to try without a build: $GANGLION_EXECUTABLE names the file (`make package-test`).
"""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.packaging.machine import why_not

FILE = os.environ.get("GANGLION_EXECUTABLE", "")
NOBODY = 65534
PATIENCE_SECONDS = 60.0

pytestmark = pytest.mark.skipif(not FILE, reason="$GANGLION_EXECUTABLE names no executable")


class Machine:
    """A folder of a user without rights, with the executable in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = folder / "ganglion"
        self.cache = folder / "cache"
        self.environ = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "TMPDIR": str(folder / "tmp")}
        shutil.copy(FILE, self.program)
        self.program.chmod(0o755)
        (folder / "tmp").mkdir()
        self._user = NOBODY if os.geteuid() == 0 else None
        if self._user is not None:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, NOBODY, NOBODY)

    def start(self, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self.program), *arguments], env=self.environ | environ, cwd=self.folder, text=True, umask=0o022,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            user=self._user, group=self._user, extra_groups=None if self._user is None else [],
        )  # fmt: skip

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, **environ)
        out, error = process.communicate(timeout=120)
        return subprocess.CompletedProcess(arguments, process.returncode, out, error)

    def up(self) -> tuple[subprocess.Popen[str], dict[str, object]]:
        """An agent, and its ready file."""
        ready = self.folder / "ready.json"
        ready.unlink(missing_ok=True)
        process = self.start(
            "up", "--data-dir", str(self.folder / "data"), "--ready-file", str(ready),
            "--listen", "127.0.0.1:0", "--mqtt", "127.0.0.1:0",
        )  # fmt: skip
        until(ready.exists, process)
        return process, json.loads(ready.read_text())

    @property
    def builds(self) -> list[Path]:
        return sorted((self.folder / ".cache/ganglion/executable").iterdir())


@pytest.fixture
def machine() -> Iterator[Machine]:
    folder = Path(tempfile.mkdtemp(prefix="ganglion-test-"))
    folder.chmod(0o755)
    yield Machine(folder)
    shutil.rmtree(folder)


def until(is_so, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < end
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def test_the_version_names_what_is_inside(machine: Machine) -> None:
    said = machine.run("--version")
    assert said.stderr == ""
    for part in ("ganglion ", "commit ", "Python ", "SQLite ", "NATS ", "llama.cpp ", "glibc "):
        assert part in said.stdout


def test_it_is_unpacked_once_for_the_user_alone(machine: Machine) -> None:
    machine.run("--version")
    (build,) = machine.builds
    first = build.stat()
    machine.run("--version")
    assert machine.builds == [build]
    assert build.stat().st_ino == first.st_ino
    assert first.st_mode & 0o777 == 0o700
    assert build.parent.stat().st_mode & 0o777 == 0o700


def test_what_was_damaged_or_left_unfinished_is_made_anew(machine: Machine) -> None:
    machine.run("--version")
    (build,) = machine.builds
    os.truncate(next(build.rglob("libpython*.so*")), 1000)
    (build.parent / ".unpacking-1").mkdir()
    assert machine.run("--version").returncode == 0
    assert machine.builds == [build]


def test_starts_at_the_same_time_share_one_build(machine: Machine) -> None:
    started = [machine.start("--version") for _ in range(5)]
    assert {process.communicate(timeout=120) for process in started} == {(machine.run("--version").stdout, "")}
    assert len(machine.builds) == 1


def test_where_nothing_can_be_kept_it_runs_and_leaves_nothing(machine: Machine) -> None:
    said = machine.run("--version", HOME="", GANGLION_CACHE_DIR="/proc/nowhere")
    assert said.returncode == 0
    assert "for this run only" in said.stderr
    assert "/proc/nowhere: it can't be made: " in said.stderr
    end = time.monotonic() + PATIENCE_SECONDS
    while any((machine.folder / "tmp").iterdir()):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_build_that_runs_is_not_removed_for_another(machine: Machine) -> None:
    agent, _ = machine.up()
    (build,) = machine.builds
    other = build.with_name("0" * 32)
    build.rename(other)  # as if another version were the one that runs
    machine.run("--version")
    assert machine.builds == [other, build]
    agent.terminate()
    agent.communicate(timeout=30)


def test_an_agent_is_one_process_and_its_server_and_both_are_gone_when_it_is_killed(machine: Machine) -> None:
    agent, ready = machine.up()
    assert ready["pid"] == agent.pid
    children = psutil.Process(agent.pid).children(recursive=True)
    assert [child.name() for child in children] == ["nats-server"]
    assert "LD_LIBRARY_PATH" not in children[0].environ()  # ours are not for programs that it starts
    agent.send_signal(signal.SIGKILL)
    agent.communicate(timeout=30)
    psutil.wait_procs(children, timeout=10)
    assert not any(child.is_running() for child in children)
    again, _ = machine.up()
    again.terminate()
    again.communicate(timeout=30)
    assert again.returncode == 0


def test_it_does_without_standard_streams(machine: Machine) -> None:
    (machine.folder / "closed").write_text("#!/bin/sh\nexec ./ganglion --version <&- >&- 2>&-\n")
    (machine.folder / "closed").chmod(0o755)
    machine.program = machine.folder / "closed"
    assert machine.run().returncode == 0


@pytest.mark.skipif(not why_not(), reason="it plays in test_minimal_root_work.py")
def test_the_demonstration_holds_with_a_local_model(machine: Machine) -> None:
    said = machine.run("demo")
    assert said.returncode == 0, said.stdout[-2000:] + said.stderr
    assert "Every claim was checked" in said.stdout
