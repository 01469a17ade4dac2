"""The small program around the packed one, with a script for the latter: what it meets, and what it hands on."""

import os
import resource
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.packaging.variants import pack, why_not

NOBODY = 65534
SCRIPT = "#!/bin/sh\numask\ngrep SigIgn /proc/self/status\n"
PAYLOAD_BYTES = 100_000
TOO_LONG = 1 << (signal.SIGXFSZ - 1)
"""Its bit in SigIgn."""


@pytest.fixture(scope="module")
def program() -> Iterator[Path]:
    if reason := why_not():
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="ganglion-launcher-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "tree" / "_internal").mkdir(parents=True)
        (folder / "tree" / "_internal" / "data").write_bytes(os.urandom(PAYLOAD_BYTES))
        script = folder / "tree" / "ganglion"
        script.write_text(SCRIPT)
        script.chmod(0o755)
        pack(folder / "tree", folder / "packed", folder / "ganglion")
        yield folder / "ganglion"


class Home:
    """Of a user without rights: `cache` keeps what is unpacked, `tmp` for one run."""

    def __init__(self, folder: Path, program: Path) -> None:
        self.cache, self.tmp = folder / "cache", folder / "tmp"
        self._program = program
        self._user = NOBODY if os.geteuid() == 0 else None
        for path in (folder, self.tmp):
            path.mkdir(exist_ok=True)
            if self._user is not None:
                os.chown(path, NOBODY, NOBODY)

    def run(
        self, *, kept: bool = True, umask: int = 0o022, before: Callable[[], object] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """With a cache, or without; `before` is called in the new process."""
        return subprocess.run(
            [self._program], env={"TMPDIR": str(self.tmp)} | ({"GANGLION_CACHE_DIR": str(self.cache)} if kept else {}),
            umask=umask, preexec_fn=before, text=True, capture_output=True, check=False, timeout=30,
            user=self._user, group=self._user, extra_groups=None if self._user is None else [],
        )  # fmt: skip

    @property
    def left(self) -> list[str]:
        """What is in both folders, but a finished build."""
        found = [*self.tmp.iterdir(), *(self.cache.iterdir() if self.cache.exists() else ())]
        return [path.name for path in found if len(path.name) != 32]


@pytest.fixture
def home(program: Path) -> Iterator[Home]:
    with tempfile.TemporaryDirectory(prefix="ganglion-home-") as folder:
        yield Home(Path(folder), program)


@pytest.mark.parametrize("umask", [0o777, 0o022, 0o000], ids=oct)
def test_folders_are_ours_whatever_the_umask_which_the_program_gets_as_it_was(home: Home, umask: int) -> None:
    done = home.run(umask=umask)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == f"{umask:04o}"
    assert home.cache.stat().st_mode & 0o777 == 0o700
    assert home.left == []


def test_for_one_run_the_umask_does_not_matter_either(home: Home) -> None:
    done = home.run(kept=False, umask=0o777)
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == "0777"
    assert f"unpacked into {home.tmp}" in done.stderr


def test_where_files_may_not_get_long_each_place_says_so_and_nothing_is_left(home: Home) -> None:
    done = home.run(before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (PAYLOAD_BYTES // 2,) * 2))
    first, *places, _ = done.stderr.splitlines()
    assert done.returncode == 1
    assert first.startswith("ganglion: there is no place to unpack into (")
    said = "files may not get as long as ours (ulimit -f): File too large"
    assert places[:2] == [f"  {home.cache}: {said}", f"  {home.tmp}: {said}"]
    assert home.left == []


@pytest.mark.parametrize("handler", [signal.SIG_DFL, signal.SIG_IGN], ids=["default", "ignored"])
def test_the_program_gets_the_signal_of_long_files_as_it_was(home: Home, handler: signal.Handlers) -> None:
    done = home.run(before=lambda: signal.signal(signal.SIGXFSZ, handler))
    ignored = int(done.stdout.splitlines()[1].split()[1], 16) & TOO_LONG
    assert bool(ignored) == (handler is signal.SIG_IGN)


@pytest.mark.parametrize("files", range(3, 10))
def test_without_descriptors_each_place_says_why_and_nothing_is_left(home: Home, files: int) -> None:
    done = home.run(kept=False, before=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files)))
    if done.returncode == 1:
        _, *places, _ = done.stderr.splitlines()
        assert all(place.endswith(": Too many open files") for place in places)
        assert home.left == []
    else:
        assert "for this run only" in done.stderr
