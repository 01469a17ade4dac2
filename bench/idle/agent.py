"""An agent that runs for a block, as it is installed or packaged."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil

INSTALLED = Path(sys.executable).parent / "ganglion"
ROOT = Path(__file__).parent.parent.parent
READY_WITHIN_SECONDS = 60.0
SERVER = "nats-server"


class Agent(msgspec.Struct, frozen=True):
    """A running one."""

    place: tuple[str, ...]
    """The command, and the options that lead others to this agent."""
    pid: int
    server: int | None
    """The process of its NATS server."""
    nats: str
    """Where that is; empty without one."""
    seconds: float
    """From the start to ready."""

    def command(self, *arguments: str) -> str:
        """What a command to this agent says. Ends the program if it fails."""
        command = [self.place[0], *arguments, *self.place[1:]]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}")
        return done.stdout


def newest_program() -> Path:
    """The packaged executable that was built last into dist/; else the command beside this Python."""
    built = [path for path in ROOT.glob("dist/ganglion-*-linux-*") if _runs(path)]  # what lies beside it does not
    return max(built, key=lambda path: path.stat().st_mtime, default=INSTALLED)


def _runs(path: Path) -> bool:
    return path.is_file() and bool(path.stat().st_mode & 0o100)


@contextmanager
def running(program: Path, directory: Path, *, config: str = "", flags: Sequence[str] = ()) -> Iterator[Agent]:
    """`ganglion up` with its data in a directory, until the block's end. `config` is the text of its file."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    file, ready, log = directory / "config.toml", directory / "ready.json", directory / "log"
    file.write_text(config)
    ready.unlink(missing_ok=True)
    place = (str(program), "--data-dir", str(directory / "data"), "--config", str(file))
    free_port = () if 'mode = "off"' in config else ("--listen", "127.0.0.1:0")
    command = [place[0], "up", *place[1:], "--ready-file", str(ready), *free_port, *flags]
    began = time.perf_counter()
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            while not ready.exists():
                if process.poll() is not None or time.perf_counter() - began > READY_WITHIN_SECONDS:
                    sys.exit(f"the agent did not become ready:\n{log.read_text()}")
                time.sleep(0.002)
            seconds = time.perf_counter() - began
            found = json.loads(ready.read_text())
            servers = [child.pid for child in psutil.Process(process.pid).children() if child.name() == SERVER]
            yield Agent(place, process.pid, next(iter(servers), None), found.get("nats") or "", seconds)
        finally:
            process.terminate()
