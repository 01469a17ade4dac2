"""Executables that stand in for packed ones: scripts, signed by a key of the test."""

import base64
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import msgspec
import psutil
import pytest

from agent.update.program import architecture
from agent.update.signature import SUFFIX, key_id, new_key, sign
from agent.update.snapshot import FOLDER
from agent.update.update import Update
from engine.store.schema import MIGRATIONS
from engine.store.versions import versions

ROOT = Path(__file__).parents[3]
SMALL = f"""\
#!{sys.executable}
import sys
sys.path.insert(0, {str(ROOT)!r})
VERSION, MORE, WELL = @VERSION@, @MORE@, @WELL@
if sys.argv[1:] == ["--version"]:
    print("ganglion", VERSION)
    sys.exit()
if sys.argv[1] == "self-update":
    import json
    program = {{"version": VERSION, "arch": "x", "commit": ""}}
    names = [*{[name for name, _ in MIGRATIONS]!r}, *(name for name, _ in MORE)]
    print(json.dumps({{"program": program, "format": 1, "migrations": {{"ganglion.db": names}}}}))
    sys.exit()
import os, signal
import sqlite3
from pathlib import Path
from agent.lock import locked
from agent.ready import Ready, announced
from engine.store import restoring
from engine.store.schema import MIGRATIONS, migrate
data = Path(sys.argv[sys.argv.index("--data-dir") + 1])
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
with locked(data):
    restoring.complete(data / "ganglion.db")
    db = sqlite3.connect(data / "ganglion.db", isolation_level=None)
    migrate(db, 1, MIGRATIONS + MORE, program=VERSION)
    db.execute("INSERT INTO meta VALUES ('epoch', 'first') ON CONFLICT DO NOTHING")
    db.close()
    print("this is", VERSION, os.environ.get("HUE"), flush=True)
    if WELL == "eager":  # it works as soon as nobody holds it back
        import time
        from agent.update.hold import is_held
        while is_held(data):
            time.sleep(0.01)
    if WELL in ("worked", "eager"):
        db = sqlite3.connect(data / "ganglion.db", isolation_level=None)
        db.execute("INSERT INTO deadletters VALUES (NULL, '', '', '', '', '', '', 0, 0, NULL)")
        db.close()
    if WELL == "crashes":
        sys.exit(7)
    ready = data / "agent.json" if WELL is True else None
    with announced(Ready(pid=os.getpid(), agent="a", version=VERSION), ready):
        signal.sigwait([signal.SIGTERM])
"""
"""What an update needs of an agent, in a tenth of its time: the lock, the database, the ready file, SIGTERM."""
LATER = (("second", "CREATE TABLE second (x)"),)
OLD = tuple(name for name, _ in MIGRATIONS)
NEW = (*OLD, "second")
SEED, PUBLIC = new_key()


def script(path: Path, version: str, *, more: object = (), well: object = True, text: str = SMALL) -> Path:
    """Write an executable that behaves so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for name, value in (("@VERSION@", version), ("@MORE@", more), ("@WELL@", well)):
        text = text.replace(name, repr(value))
    path.write_text(text)
    path.chmod(0o755)
    return path


def signed(path: Path, version: str, *, seed: bytes = SEED, arch: str = "") -> Path:
    """Write the signature beside it."""
    said = sign(path, seed=seed, version=version, arch=arch or architecture())
    path.with_name(path.name + SUFFIX).write_bytes(msgspec.json.encode(said))
    return path


KEYS = {key_id(PUBLIC): PUBLIC}
KEY_TEXT = base64.b64encode(PUBLIC).decode()


class Place:
    """A folder with an executable that is called ganglion, a new one, and a data directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.executable = script(folder / "bin" / "ganglion", "0.1.0")
        self.data = folder / "data"
        self.told: list[str] = []

    def new(self, version: str = "0.2.0", **how: object) -> Path:
        """A signed executable."""
        return signed(script(self.folder / "new" / f"ganglion-{version}", version, **how), version)  # type: ignore[arg-type]

    def update(self, within: float = 20.0, steady: float = 0.0, respawn: float = 0.0) -> Update:
        return Update(self.executable, grace=1.0, within=within, steady=steady, told=self.told.append,
                      respawn=respawn)  # fmt: skip


def says(file: Path) -> str:
    return subprocess.run([file, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]


def run(place: Place) -> int:
    """Start the agent of the place; its process."""
    ready = place.data / "agent.json"
    place.data.mkdir(exist_ok=True)
    with (place.folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [place.executable, "up", "--data-dir", place.data], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            cwd=place.folder, env={**os.environ, "HUE": "green"},
        )  # fmt: skip
    while not ready.exists():
        assert process.poll() is None, (place.folder / "log").read_text()
    process.returncode = 0  # whoever updates stops it
    return process.pid


def known(place: Place) -> tuple[str, ...]:
    found = versions(place.data / "ganglion.db")
    assert found is not None
    return found.migrations


def epoch(place: Place) -> str:
    with closing(sqlite3.connect(place.data / "ganglion.db")) as db:
        return str(db.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()[0])


def litter(place: Place) -> set[str]:
    """What an update leaves beside the executable and its predecessor."""
    found = {path.name for path in place.executable.parent.iterdir()} - {"ganglion", "ganglion.old"}
    return found | {path.name for name in (f"{FOLDER}*", "on-trial") for path in place.data.glob(name)}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    one = Place(tmp_path)
    yield one
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if any(argument.startswith(str(one.folder)) for argument in process.cmdline()):
                process.kill()
