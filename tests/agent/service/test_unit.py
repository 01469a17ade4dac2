"""The systemd unit, judged by systemd's own tools; and the init scripts."""

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from agent.service.init_script import Init, init_script
from agent.service.unit import MARK, WATCHDOG_SECONDS, Service, systemd_unit

ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
MOST_EXPOSED = 15
"""Tenths; systemd calls up to 2 OK, and a service without any hardening has 9.6."""


@pytest.fixture
def service(tmp_path: Path) -> Service:
    program = tmp_path / "ganglion"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return Service(
        program=program, config=Path("/etc/ganglion/config.toml"), data_dir=Path("/var/lib/ganglion"), grace=12.5
    )


def analyze(folder: Path, service: Service, *arguments: str) -> subprocess.CompletedProcess[str]:
    unit = folder / "ganglion.service"
    unit.write_text(systemd_unit(service))
    environ = os.environ | {"XDG_RUNTIME_DIR": str(folder)}
    return subprocess.run(["systemd-analyze", *arguments, unit], capture_output=True, text=True, env=environ)


@needs_systemd
@pytest.mark.parametrize("changes", [{}, {"user": "daemon"}, {"is_own": True}], ids=str)
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path, service, changes) -> None:
    own = ["--user"] if "is_own" in changes else []
    done = analyze(tmp_path, msgspec.structs.replace(service, **changes), "verify", "--man=no", *own)
    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
def test_the_service_is_little_exposed(tmp_path, service) -> None:
    done = analyze(tmp_path, service, "security", "--offline=true", "--no-pager", f"--threshold={MOST_EXPOSED}")
    assert done.returncode == 0, done.stdout


def settings(text: str) -> list[tuple[str, str]]:
    lines = [line for line in text.splitlines() if "=" in line and not line.startswith("#")]
    return [(key, value) for key, _, value in (line.partition("=") for line in lines)]


def test_the_unit_is_fit_for_the_agent(service) -> None:
    text = systemd_unit(service)
    assert text.startswith(MARK)
    said = settings(text)
    assert len(said) - len(dict(said)) == 1  # SystemCallFilter, twice
    told = dict(said)
    assert told["ExecStart"].endswith("/ganglion up --config /etc/ganglion/config.toml --data-dir /var/lib/ganglion")
    assert told["Type"] == "notify"
    assert told["WatchdogSec"] == str(WATCHDOG_SECONDS)
    assert told["TimeoutStopSec"] == "33"
    assert told["StateDirectory"] == "ganglion"
    assert told["DynamicUser"] == "yes"
    assert told["CapabilityBoundingSet"] == ""
    assert "ProcSubset" not in told


def test_pauses_grow_where_systemd_can_let_them(service) -> None:
    assert "RestartSteps" not in systemd_unit(service)
    assert "RestartSteps=8" in systemd_unit(msgspec.structs.replace(service, systemd=254))


def test_a_unit_of_a_users_own_asks_for_nothing_that_needs_root(service) -> None:
    told = dict(settings(systemd_unit(msgspec.structs.replace(service, is_own=True))))
    assert told["WantedBy"] == "default.target"
    assert not {"DynamicUser", "StateDirectory", "PrivateUsers", "ProtectSystem", "CapabilityBoundingSet"} & set(told)
    assert told["NoNewPrivileges"] == "yes"


@pytest.mark.parametrize("init", [Init.OPENRC, Init.PROCD, Init.SYSV])
def test_an_init_script_is_one(service, init) -> None:
    text = init_script(msgspec.structs.replace(service, user="ganglion"), init)
    assert subprocess.run(["sh", "-n"], input=text, text=True, capture_output=True).stderr == ""
    assert str(service.program) in text
    assert "up --config /etc/ganglion/config.toml --data-dir" in text


@pytest.mark.skipif(shutil.which("start-stop-daemon") is None, reason="start-stop-daemon is not installed")
@pytest.mark.skipif(os.geteuid() != 0, reason="the script is for root")
def test_the_sysv_script_starts_and_stops(tmp_path, service) -> None:
    (tmp_path / "data").mkdir()
    service.program.write_text(f"#!/bin/sh\nmkfifo {tmp_path}/never\nread line <{tmp_path}/never\n")
    data = tmp_path / "own"
    text = init_script(msgspec.structs.replace(service, user="root", data_dir=data), Init.SYSV)
    script = tmp_path / "script"
    script.write_text(text.replace("/var/run", str(tmp_path)).replace("/var/log", str(tmp_path)))

    def run(what: str) -> tuple[int, str]:
        done = subprocess.run(["sh", script, what], capture_output=True, text=True)
        return done.returncode, done.stdout.strip()

    assert run("status") == (3, "stopped")
    assert run("start") == (0, "")
    try:
        assert run("status") == (0, "running")
        assert data.stat().st_mode & 0o777 == 0o700
        pid = int((tmp_path / "ganglion.pid").read_text())
        assert run("start") == (0, "")
        assert int((tmp_path / "ganglion.pid").read_text()) == pid
        assert Path(f"/proc/{pid}").exists()
    finally:
        assert run("stop")[0] == 0
    assert run("status") == (3, "stopped")
    with suppress(FileNotFoundError):  # it may not have been reaped yet
        assert Path(f"/proc/{pid}/cmdline").read_bytes() == b""
