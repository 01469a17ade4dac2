"""The packed executable as a service of a real systemd: the first process of name spaces of its own.

service_scene.sh makes the machine, service_inside.sh is what root does on it.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.update.signature import SUFFIX
from tests.packaging import variants
from tests.packaging.equipment import FILE
from tests.packaging.variants import CRASHING, GOOD, KEY, named

SYSTEMD = Path("/lib/systemd/systemd")
HERE = Path(__file__).parent
HOLD = """\
import sqlite3, subprocess, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN IMMEDIATE")
ask = ["systemctl", "show", "-p", "NRestarts", "--value", "ganglion"]
for _ in range(200):
    if subprocess.run(ask, capture_output=True, text=True).stdout.strip() != "0":
        break
    time.sleep(0.1)
db.execute("ROLLBACK")
"""
"""Somebody holds the database until the agent was started again."""
MISSING = FILE and variants.why_not()
pytestmark = [
    pytest.mark.crash,
    pytest.mark.skipif(not FILE, reason="$GANGLION_EXECUTABLE names no executable"),
    pytest.mark.skipif(bool(MISSING), reason=f"other versions can't be made: {MISSING}"),
    pytest.mark.skipif(not SYSTEMD.exists() or os.geteuid() != 0, reason="needs systemd, and root"),
]


@pytest.fixture(scope="module")
def versions(shipped: Path) -> Iterator[Path]:
    """A folder with a signed good and a signed bad version, and a configuration that trusts their key."""
    folder = Path(tempfile.mkdtemp(prefix="ganglion-service-"))
    for name, variant in (("good", GOOD), ("bad", CRASHING)):
        (folder / name).mkdir()
        for file in (named(variant), named(variant) + SUFFIX):
            (folder / name / file).symlink_to(shipped / file)
    (folder / "config.toml").write_text(
        f'[mesh]\nlisten = "127.0.0.1:0"\n[update]\nkeys = ["{KEY}"]\n[log]\nformat = "human"\n'
    )
    (folder / "hold.py").write_text(HOLD)
    shutil.copy(HERE / "service_inside.sh", folder / "inside.sh")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def seen(versions: Path) -> dict[str, str]:
    """What was to be seen, by the headlines of service_inside.sh; and the agent's log as `log`."""
    group = f"ganglion-test-{os.getpid()}"
    try:
        done = subprocess.run(
            ["unshare", "-m", "-p", "-f", "--mount-proc", "--kill-child", "sh", HERE / "service_scene.sh", group, FILE,
             versions],
            capture_output=True, text=True, timeout=150,
        )  # fmt: skip
    finally:
        for folder in (Path("/sys/fs/cgroup/unified") / group, Path("/sys/fs/cgroup") / group):
            if folder.is_dir():
                subprocess.run(["find", folder, "-depth", "-type", "d", "-delete"], capture_output=True)
    if not (versions / "out").exists():
        pytest.skip(f"no systemd can be started here: {done.stderr.strip()}")
    parts = (versions / "out").read_text().split("== ")[1:]
    found = {part.partition("\n")[0]: part.partition("\n")[2] for part in parts}
    assert "end" in found, f"{found}\n{(versions / 'err').read_text()}\n{(versions / 'log').read_text()}"
    return found | {"log": (versions / "log").read_text()}


def test_it_is_installed_and_runs(seen: dict[str, str]) -> None:
    for line in ("run systemctl start ganglion", "ActiveState=active", "StatusText=running", "WatchdogUSec=3s",
                 "/etc/systemd/system/ganglion.service is as it should be"):  # fmt: skip
        assert line in seen["install"]


def test_its_process_may_do_nothing_that_it_need_not(seen: dict[str, str]) -> None:
    told = dict(line.split(":\t", 1) for line in seen["process"].splitlines()[:-1])
    assert 61184 <= int(told["Uid"].split()[0]) <= 65519  # one that systemd has made up
    assert (told["NoNewPrivs"], told["Seccomp"], int(told["CapEff"], 16)) == ("1", "2", 0)
    assert seen["process"].splitlines()[-1].startswith("/var/cache/private/ganglion/executable/")
    score = float(seen["security"].splitlines()[0].split(": ")[1].split()[0])
    assert score <= 1.5
    assert "ganglion.service" not in "".join(seen["security"].splitlines(keepends=True)[1:])


def test_doctor_says_who_looks_after_it(seen: dict[str, str]) -> None:
    found = {one["check"]: one for one in json.loads(seen["doctor"])["findings"]}
    assert "systemd runs it as ganglion.service; watchdog of 3s, fed " in found["service"]["message"]


@pytest.mark.parametrize(("part", "times"), [("the database takes no commits", 1), ("the process hangs", 2)])
def test_an_agent_that_hangs_is_ended_and_started_again(seen: dict[str, str], part: str, times: int) -> None:
    assert "never" not in seen[part]
    assert f"NRestarts={times}\n" in seen[part]
    assert "ActiveState=active" in seen[part]


def test_the_log_says_that_it_was_the_watchdog(seen: dict[str, str]) -> None:
    assert "the last process hung and was ended by its watchdog" in seen["log"]


def test_a_bad_version_gives_way_and_a_good_one_stays(seen: dict[str, str]) -> None:
    assert "ganglion: went back to " in seen["a bad version"]
    assert "ganglion 0.1.0" in seen["a bad version"]
    assert "ActiveState=active" in seen["a bad version"]
    assert "this is ganglion 0.1.1 now; its agent runs and answers" in seen["a good version"]
    assert "ActiveState=active" in seen["a good version"]


def test_uninstalled_it_leaves_nothing_but_its_data(seen: dict[str, str]) -> None:
    assert seen["stop"].split() == ["Result=success", "ActiveState=inactive"]
    assert "remove /etc/systemd/system/ganglion.service" in seen["uninstall"]
    rest = seen["uninstall"].partition("LoadState=")[2].splitlines()
    assert rest[1:] == ["/etc/ganglion:", "config.toml", "", "/var/cache/private:", "ganglion", "", "/var/lib/private:",
                        "ganglion", "/etc/systemd/system/ganglion.service.d"]  # fmt: skip
