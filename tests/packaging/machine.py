"""A machine that has nothing but the executable: a root in a mount namespace of its own, and a user without rights.

The network is this machine's, so that clients outside reach an agent inside. Processes are seen from outside, too, so
that what one leaves behind is found. The namespace and all its mounts are gone with the process that holds it, which
ends with its standard input.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.packaging.equipment import FILE, USER, Equipment
from tests.packaging.minimal_root import DATA, HOME, PROGRAM

PATIENCE_SECONDS = 60.0


def why_not() -> str:
    """Why no such machine can be made here; empty if it can."""
    if not FILE:
        return "$GANGLION_EXECUTABLE names no executable"
    if os.geteuid() != 0:
        return "a root of its own needs root: sudo make package-test"
    for program in ("unshare", "nsenter", "setpriv", "mount", "chroot"):
        if not _tool(program):
            return f"there is no program {program} (util-linux, coreutils)"
    if subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode:
        return "this machine allows no mount namespaces (a container without CAP_SYS_ADMIN?)"
    return ""


class Machine:
    """On until `off`."""

    def __init__(self, root: Path, folder: Path, equipment: Equipment) -> None:
        self.home, self.data = folder / "home", folder / "data"
        """The folders HOME and DATA, as seen from outside."""
        self.environ = {"HOME": HOME}
        """All that programs have in their environment."""
        self._mounted = folder / "root"
        self._started: list[subprocess.Popen[str]] = []
        for path in (self.home, self.data, self._mounted):
            path.mkdir()
        for path in (self.home, self.data):
            os.chown(path, USER, USER)
        own_numbers = ["--pid", "--fork", "--kill-child", f"--mount-proc={self._mounted}/proc"]
        self._numbers = [_tool("unshare"), *own_numbers] if equipment.container else []
        script = "\n".join(["set -eu", *equipment.mounts(root, folder, self._mounted), "echo", "exec cat"])
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"\n", "the root can't be mounted"

    def start(self, *arguments: str, **environ: str) -> "subprocess.Popen[str]":
        """A process of the user. Its number is the program's own: each of these programs becomes the next one."""
        process = subprocess.Popen(
            [_tool("nsenter"), f"--mount=/proc/{self._holder.pid}/ns/mnt", *self._numbers,
             _tool("setpriv"), "--no-new-privs",
             _tool("chroot"), f"--userspec={USER}:{USER}", "--groups=", str(self._mounted), PROGRAM, *arguments],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, umask=0o022,
            env=self.environ | environ,
        )  # fmt: skip
        self._started.append(process)
        return process

    def run(self, *arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        process = self.start(*arguments, **environ)
        out, error = process.communicate(timeout=5 * PATIENCE_SECONDS)
        return subprocess.CompletedProcess(arguments, process.returncode, out, error)

    def __call__(self, *arguments: str, **environ: str) -> str:
        """What a command prints that is to succeed."""
        done = self.run(*arguments, **environ)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def up(self, *arguments: str, **environ: str) -> "tuple[subprocess.Popen[str], dict[str, Any]]":
        """An agent with DATA, and what its ready file says."""
        ready = self.data / "ready.json"
        ready.unlink(missing_ok=True)
        process = self.start(
            "up", "--data-dir", DATA, "--ready-file", f"{DATA}/ready.json", "--listen", "127.0.0.1:0",
            "--mqtt", "127.0.0.1:0", *arguments, **environ,
        )  # fmt: skip
        until(ready.exists, process)
        return process, json.loads(ready.read_text())

    @property
    def builds(self) -> list[Path]:
        """What is in the cache, finished or not."""
        cache = self.home / ".cache/ganglion/executable"
        return sorted(cache.iterdir()) if cache.exists() else []

    @property
    def examples(self) -> Path:
        """The folder of the examples in the package, as seen from inside."""
        (build,) = self.builds
        return Path(HOME) / build.relative_to(self.home) / "_internal/agent/examples"

    def inside(self, place: str) -> Path:
        """A folder inside, as seen from outside, its mounts included."""
        return Path(f"/proc/{self._holder.pid}/root{self._mounted}{place}")

    @property
    def processes(self) -> list[str]:
        """The names of all processes inside."""
        return [(process / "comm").read_text().strip() for process in self._processes()]

    def _processes(self) -> list[Path]:
        def namespace(process: Path) -> str:
            with suppress(OSError):
                return str((process / "ns/mnt").readlink())
            return ""

        here = namespace(Path(f"/proc/{self._holder.pid}"))
        every = (path for path in Path("/proc").iterdir() if path.name.isdigit())
        return [path for path in every if path.name != str(self._holder.pid) and namespace(path) == here]

    def off(self) -> None:
        """Power cut."""
        for process in self._processes():
            with suppress(ProcessLookupError):
                os.kill(int(process.name), signal.SIGKILL)
        for started in self._started:
            if started.poll() is None or not (started.stdout and started.stdout.closed):
                started.communicate()
        self._holder.communicate()


SwitchOn = Callable[..., Machine]
"""Makes a machine with the Equipment that its arguments say. It is off at the test's end."""


def until(is_so: Callable[[], bool], process: "subprocess.Popen[str] | None" = None) -> None:
    """Wait for what another process does; `process` must not end before."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.01)


def _tool(name: str) -> str:
    return shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin") or ""
