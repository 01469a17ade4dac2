"""A device whose executable is updated: a folder of a user without rights."""

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import subprocess
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import nats
import psutil

from agent.lock import holder
from agent.ready import Ready, read_ready
from tests.packaging.equipment import FILE
from tests.packaging.machine import until
from tests.packaging.variants import KEY, Variant, named

NOBODY = 65534
HELLO = """\
name: hello
triggers:
  - nats: {subject: "hello.*"}
nodes:
  a: {type: transform, data: "{{ trigger.data }}"}
"""


class Device:
    """An executable, a data directory, an agent. `versions`: a folder with others of the executable."""

    def __init__(self, folder: Path, versions: Path) -> None:
        self.folder, self.data = folder, folder / "data"
        self.program = folder / "bin" / "ganglion"
        self._versions = versions
        self.program.parent.mkdir()
        shutil.copy(FILE, self.program)
        self.program.chmod(0o755)
        (folder / "hello.yaml").write_text(HELLO)
        self._user = NOBODY if os.geteuid() == 0 else None
        for path in (folder, *folder.rglob("*")):
            if self._user is not None:
                os.chown(path, NOBODY, NOBODY)
        self.environ = {
            "PATH": "/usr/bin:/bin", "HOME": str(folder), "TMPDIR": "/tmp", "HUE": "green",
            "GANGLION_UPDATE__KEYS": KEY,
        }  # fmt: skip
        self.log = (folder / "log").open("ab+")

    def start(self, *arguments: object, program: Path | None = None, **environ: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [program or self.program, *map(str, arguments)], env=self.environ | environ, cwd=self.folder,
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, user=self._user, group=self._user,
            extra_groups=None if self._user is None else [],
        )  # fmt: skip

    def run(
        self, *arguments: object, program: Path | None = None, **environ: str
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [program or self.program, *map(str, arguments)], env=self.environ | environ, cwd=self.folder, text=True,
            stdin=subprocess.DEVNULL, capture_output=True, user=self._user, group=self._user, check=False, timeout=120,
            extra_groups=None if self._user is None else [],
        )  # fmt: skip

    def up(self, program: Path | None = None) -> Ready:
        """Start an agent as in a terminal, and wait for it."""
        process = self.start("up", "--data-dir", self.data, "--listen", "127.0.0.1:0", program=program)
        until(lambda: read_ready(self.data) is not None, process)
        process.returncode = 0  # whoever updates stops it
        return self.ready

    def supervise(self) -> Ready:
        """Have an agent started, and started again whenever it ends."""
        line = [self.program, "up", "--data-dir", self.data, "--listen", "127.0.0.1:0"]
        self.start("-c", 'while :; do "$@"; sleep 0.2; done', "sh", *line, program=Path("/bin/sh")).returncode = 0
        until(lambda: read_ready(self.data) is not None)
        return self.ready

    @property
    def ready(self) -> Ready:
        found = read_ready(self.data)
        assert found is not None
        assert found.pid == holder(self.data)
        return found

    def stop(self) -> None:
        pid = holder(self.data)
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            until(lambda: holder(self.data) is None)

    def file(self, variant: Variant) -> Path:
        """A version's file, as a person has fetched it."""
        return self._versions / named(variant)

    def update(self, variant: Variant, *options: object, **environ: str) -> "subprocess.CompletedProcess[str]":
        return self.run(
            "self-update", self.file(variant), "--data-dir", self.data, "--steady", "1s", *options, **environ
        )

    def resume(self) -> "subprocess.CompletedProcess[str]":
        return self.run("self-update", "--resume", "--data-dir", self.data, "--steady", "1s")

    def says(self) -> str:
        return self.run("--version").stdout.split()[1]

    def publish(self, number: int) -> None:
        """A message that the agent's stream acknowledges."""
        asyncio.run(_publish(self.ready.nats, json.dumps(number).encode()))

    def taken(self) -> list[Any]:
        """What its executions were started with, of those that have ended well."""
        with closing(sqlite3.connect(self.data / "ganglion.db")) as db:
            rows = db.execute("SELECT outputs, trigger FROM executions WHERE status = 'completed'")
            return sorted(json.loads(trigger)["data"] for _, trigger in rows)

    def migrations(self) -> set[str]:
        with closing(sqlite3.connect(self.data / "ganglion.db")) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            names = {name for (name,) in db.execute("SELECT name FROM migrations")}
            assert ("second" in names) == ("second" in tables) == ("third" in tables)
            return names

    @property
    def litter(self) -> set[str]:
        """What an update leaves beside the executable and its predecessor, and of its copies."""
        beside = {path.name for path in self.program.parent.iterdir()} - {"ganglion", "ganglion.old"}
        return beside | {path.name for path in self.data.glob("before-update*")} | {
            path.name for path in self.data.glob("on-trial")
        }  # fmt: skip

    def off(self) -> None:
        """Power cut."""
        while any(map(self._kill, psutil.process_iter())):
            pass
        self.log.close()

    def _kill(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get("HOME") == str(self.folder):
                process.kill()
                return True
        return False


async def _publish(url: str, body: bytes) -> None:
    client = await nats.connect(url)
    await client.jetstream().publish("hello.x", body)
    await client.close()
