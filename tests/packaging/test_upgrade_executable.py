"""`self-update` of the packed executable: a good version, bad ones, kills in the middle, an older one on newer data.

Other versions are made of the one under test (variants.py).
"""

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import nats
import psutil
import pytest

from agent.lock import holder
from agent.ready import Ready, read_ready
from agent.update.signature import SUFFIX
from tests.packaging import variants
from tests.packaging.equipment import FILE
from tests.packaging.machine import until
from tests.packaging.variants import CRASHING, GOOD, KEY, SILENT, Variant, named

pytestmark = [
    pytest.mark.skipif(not FILE, reason="$GANGLION_EXECUTABLE names no executable"),
    pytest.mark.skipif(bool(FILE and variants.why_not()), reason="other versions can't be made"),
]
NOBODY = 65534
HELLO = """\
name: hello
triggers:
  - nats: {subject: "hello.*"}
nodes:
  a: {type: transform, data: "{{ trigger.data }}"}
"""


class Device:
    """A folder of a user without rights: an executable in it, a data directory, an agent."""

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


@pytest.fixture
def device(shipped: Path) -> Iterator[Device]:
    folder = Path(tempfile.mkdtemp(prefix="ganglion-device-"))
    folder.chmod(0o755)
    device = Device(folder, shipped)
    yield device
    device.off()
    shutil.rmtree(folder)


def test_a_good_version_goes_on_where_the_old_one_was(device: Device) -> None:
    before = device.up()
    assert device.run("deploy", "hello.yaml", "--data-dir", device.data).returncode == 0
    device.publish(1)

    done = device.update(GOOD, "--respawn", "0.1s")

    assert (done.returncode, done.stdout) == (0, "this is ganglion 0.1.1 now; its agent runs and answers\n"), (
        done.stderr
    )
    assert (device.ready.version, device.says()) == ("0.1.1", "0.1.1")
    assert device.run("--version", program=device.program.with_name("ganglion.old")).stdout.split()[1] == before.version
    assert psutil.Process(device.ready.pid).environ()["HUE"] == "green"
    device.publish(2)
    until(lambda: device.taken() == [1, 2])
    assert "second" in device.migrations()
    assert device.litter == set()


@pytest.mark.parametrize("bad", [SILENT, CRASHING], ids=["silent", "crashing"])
def test_a_bad_version_gives_way_by_itself_and_nothing_is_lost(device: Device, bad: Variant) -> None:
    first = device.supervise()
    assert device.run("deploy", "hello.yaml", "--data-dir", device.data).returncode == 0
    device.publish(1)
    until(lambda: device.taken() == [1])

    done = device.update(bad, "--within", "3s")

    assert done.returncode == 1
    assert f"went back to {first.version}, whose agent runs again: it was not ready within 3 s" in done.stderr
    assert (device.ready.version, device.says()) == (first.version, first.version)
    device.publish(2)
    until(lambda: device.taken() == [1, 2])
    assert "second" not in device.migrations()
    assert device.litter == set()


@pytest.mark.parametrize("point", ["update-stopped", "update-switched", "update-let-go"])
def test_a_killed_update_goes_on(device: Device, point: str) -> None:
    device.supervise()
    assert device.update(GOOD, GANGLION_CRASH_AT=point).returncode == -signal.SIGKILL

    done = device.resume()

    assert done.returncode == 0, done.stderr
    assert (device.ready.version, device.says()) == ("0.1.1", "0.1.1")
    assert "second" in device.migrations()
    assert device.litter == set()


def test_after_a_kill_in_the_trial_any_start_works_and_the_way_back_is_open(device: Device) -> None:
    first = device.supervise()
    killed = device.update(CRASHING, "--within", "3s", GANGLION_CRASH_AT="update-going-back")
    assert killed.returncode == -signal.SIGKILL
    assert device.says() == "0.1.3"

    done = device.resume()

    assert (done.returncode, device.says(), device.ready.version) == (1, first.version, first.version), done.stderr
    assert device.litter == set()


def test_the_new_one_goes_on_when_who_updates_is_killed(device: Device) -> None:
    device.supervise()
    update = device.start("self-update", device.file(GOOD), "--data-dir", device.data, "--steady", "60s")
    until(lambda: (found := read_ready(device.data)) is not None and found.trial, update)
    assert "on trial" in device.run("deploy", "hello.yaml", "--data-dir", device.data).stderr
    update.kill()
    update.wait()
    until(lambda: (found := read_ready(device.data)) is not None and not found.trial)
    assert device.run("deploy", "hello.yaml", "--data-dir", device.data).returncode == 0
    assert (device.resume().returncode, device.litter) == (0, set())


def test_killed_anywhere_in_its_migration_the_data_are_of_one_version(device: Device) -> None:
    device.up()
    device.stop()
    new = device.file(GOOD)
    old = device.migrations()
    ends = []
    for point in ("migration-statement:1", "migration-statement:2", "migration-added", "migration-before-commit",
                  "migration-committed"):  # fmt: skip
        process = device.start("up", "--data-dir", device.data, "--listen", "127.0.0.1:0", program=new,
                               GANGLION_CRASH_AT=point)  # fmt: skip
        assert process.wait(60) == -signal.SIGKILL
        ends.append(device.migrations() - old)
    assert ends == [set(), set(), set(), set(), {"second"}]

    before = {path: path.read_bytes() for path in device.data.rglob("*") if path.is_file()}
    refused = device.run("up", "--data-dir", device.data)
    assert refused.returncode == 1
    [line] = refused.stderr.splitlines()
    assert "was written by ganglion 0.1.1 " in line
    assert "has in ganglion.db what this one does not know (second)" in line
    assert {path: path.read_bytes() for path in device.data.rglob("*") if path.is_file()} == before
    device.up(program=new)


def test_a_file_that_is_not_what_it_should_be_changes_nothing(device: Device) -> None:
    def refused(file: Path, why: str, *options: str) -> None:
        done = device.run("self-update", file, "--data-dir", device.data, *options)
        assert (done.returncode, done.stdout) == (1, "")
        [line] = done.stderr.splitlines()
        assert why in line
        assert [path.name for path in device.program.parent.iterdir()] == ["ganglion"]

    good = device.file(GOOD)
    with tempfile.TemporaryDirectory(prefix="ganglion-files-") as folder:
        Path(folder).chmod(0o755)
        copy = Path(folder) / good.name
        content = good.read_bytes()
        shutil.copy(good.with_name(good.name + SUFFIX), copy.with_name(copy.name + SUFFIX))
        copy.write_bytes(content[: len(content) // 2])
        refused(copy, "is not the file that was signed")
        other = 183 if os.uname().machine == "x86_64" else 62
        copy.write_bytes(content[:18] + other.to_bytes(2, "little") + content[20:])
        refused(copy, f"is for {'aarch64' if other == 183 else 'x86_64'}, and this machine is {os.uname().machine}")
        copy.write_bytes(b"PK\3\4")
        refused(copy, "is no executable")
    device.program.parent.chmod(0o555)
    if os.geteuid() == 0:
        os.chown(device.program.parent, 0, 0)
    refused(good, "bin can't be written by this user")


def test_an_older_release_is_not_taken_for_a_newer_one(device: Device) -> None:
    shutil.copy(device.file(SILENT), device.program)
    done = device.update(GOOD)
    assert (done.returncode, "older than 0.1.2, which runs here: to go back to it" in done.stderr) == (1, True)
