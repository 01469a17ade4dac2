"""Node-RED beside us, where npm can install it."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

NAME = "Node-RED"
PACKAGE = "node-red@4"
INSTALL_SECONDS = 600
READY_WITHIN_SECONDS = 60.0
_SETTINGS = """\
module.exports = {uiHost: "127.0.0.1", uiPort: 0, flowFile: "flows.json", credentialSecret: false,
  telemetry: {enabled: false, updateNotification: false}}
"""


class NodeRed(msgspec.Struct, frozen=True):
    """A running one, without flows."""

    pid: int
    seconds: float
    """From the start to ready."""


def installed(directory: Path) -> Path | str:
    """The folder that it lies in, installed there if need be; or why it can't be had."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        return "there is no npm"
    if not (directory / "node_modules" / "node-red").is_dir():
        directory.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--no-audit", "--no-fund", "--omit=dev", "--prefix", str(directory), PACKAGE]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS)
        except subprocess.TimeoutExpired:
            return f"npm took longer than {INSTALL_SECONDS} s"
        if done.returncode:
            return f"npm can't install it: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}"
    return directory


def disk_bytes(directory: Path) -> int:
    """What it takes on the disk, with the program `node`."""
    node = Path(shutil.which("node") or "node").resolve()
    files = (path for path in directory.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in (*files, node))


@contextmanager
def running(directory: Path, data_dir: Path) -> Iterator[NodeRed]:
    """Until the block's end, with its data in a directory of its own."""
    data_dir.mkdir()
    settings, log = data_dir / "settings.js", data_dir / "log"
    settings.write_text(_SETTINGS)
    red = directory / "node_modules" / "node-red" / "red.js"
    began = time.perf_counter()
    command = ["node", str(red), "--userDir", str(data_dir), "--settings", str(settings)]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            while "Started flows" not in log.read_text():
                if process.poll() is not None or time.perf_counter() - began > READY_WITHIN_SECONDS:
                    sys.exit(f"{NAME} did not start:\n{log.read_text()}")
                time.sleep(0.002)
            yield NodeRed(process.pid, time.perf_counter() - began)
        finally:
            process.terminate()
