"""A real systemd installs, watches, ends, starts again and removes a real agent."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SYSTEMD = Path("/lib/systemd/systemd")
SCENE = Path(__file__).with_name("scene.sh")
GROUPS = (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup"))
pytestmark = [
    pytest.mark.crash,
    pytest.mark.skipif(not SYSTEMD.exists() or os.geteuid() != 0, reason="needs systemd, and root"),
]


def test_systemd_runs_the_agent(tmp_path: Path) -> None:
    home = tmp_path / "home"
    config = home / ".config/ganglion/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('[mesh]\nlisten = "127.0.0.1:0"\n')
    drop_in = home / ".config/systemd/user/ganglion.service.d/test.conf"
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text("[Service]\nWatchdogSec=3\nRestartSec=0\n")
    group = f"ganglion-test-{os.getpid()}"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GANGLION_")}
    program = Path(sys.executable).parent / "ganglion"
    try:
        done = subprocess.run(
            ["unshare", "-m", "-p", "-f", "--mount-proc", "--kill-child", "sh", SCENE, home, group, program],
            capture_output=True, text=True, env=environ, timeout=60,
        )  # fmt: skip
    finally:
        for folder in GROUPS:
            if (folder / group).is_dir():
                subprocess.run(["find", folder / group, "-depth", "-type", "d", "-delete"], capture_output=True)
    if "started" not in done.stdout:
        pytest.skip(f"no systemd can be started here: {done.stderr.strip()}")
    said = done.stdout.splitlines()

    def before(line: str) -> bool:
        if line not in said:
            return False
        del said[: said.index(line) + 1]
        return True

    for line in ("ActiveState=active", "SubState=running"):
        assert line in said
    assert before("run systemctl --user start ganglion"), done.stdout
    assert "StatusText=running" in said
    assert "WatchdogUSec=3s" in said
    found = json.loads(next(line for line in said if line.startswith("{")))["findings"]
    assert any("systemd runs it as ganglion.service; watchdog of 3s, fed " in one["message"] for one in found)
    assert before("NRestarts=0"), done.stdout
    assert before("NRestarts=1"), done.stdout  # ended by its watchdog, and started again
    assert before("Result=success"), done.stdout
    assert before(f"remove {home}/.config/systemd/user/ganglion.service"), done.stdout
    data = home / ".local/share/ganglion"
    [stacks] = data.glob("crash-*.log")
    assert "Thread 0x" in stacks.read_text()
    assert "Fatal Python error" not in stacks.read_text()
    assert (data / "ganglion.db").exists()
    assert shutil.which("systemctl")
