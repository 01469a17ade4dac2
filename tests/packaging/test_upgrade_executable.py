"""`self-update` of the packed executable: a good version, bad ones, kills in the middle, an older one on newer data.

Other versions are made of the one under test (variants.py).
"""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from agent.ready import read_ready
from agent.update.signature import SUFFIX
from tests.packaging import variants
from tests.packaging.device import Device
from tests.packaging.equipment import FILE
from tests.packaging.machine import until
from tests.packaging.variants import CRASHING, GOOD, SILENT, Variant

MISSING = FILE and variants.why_not()
pytestmark = [
    pytest.mark.skipif(not FILE, reason="$GANGLION_EXECUTABLE names no executable"),
    pytest.mark.skipif(bool(MISSING), reason=f"other versions can't be made: {MISSING}"),
]


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
