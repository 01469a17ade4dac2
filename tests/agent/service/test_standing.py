"""What doctor says of the service."""

import os
from pathlib import Path

import pytest

from agent.config.errors import NoHome
from agent.finding import Verdict
from agent.service import standing
from agent.service.standing import examine_service, places, unit_of
from agent.status import Supervision


@pytest.mark.parametrize(
    ("supervision", "verdict", "said"),
    [
        (Supervision(watchdog=60, fed=12), Verdict.OK, "a supervisor runs it; watchdog of 60s, fed 12s ago"),
        (Supervision(watchdog=60, fed=61), Verdict.WARN, "a supervisor runs it; watchdog of 60s, fed 61s ago"),
        (Supervision(watchdog=60), Verdict.WARN, "a supervisor runs it; watchdog of 60s, not fed yet"),
        (Supervision(), Verdict.OK, "a supervisor runs it; supervised, without a watchdog"),
        (None, Verdict.OK, "the agent was started by hand"),
    ],
)
def test_the_watchdog_of_a_running_agent(supervision, verdict, said, monkeypatch) -> None:
    monkeypatch.setattr(standing, "unit_of", lambda pid: None)
    found = examine_service(os.getpid(), supervision)
    assert (found.verdict, found.message) == (verdict, said)


def test_a_service_that_is_installed_and_does_not_run(tmp_path, monkeypatch) -> None:
    unit = tmp_path / "ganglion.service"
    unit.write_text("")
    monkeypatch.setattr(standing, "unit_path", lambda *, user=False: unit if not user else tmp_path / "none")
    monkeypatch.setattr(standing, "PACKAGED_UNIT", tmp_path / "none")
    monkeypatch.setenv("PATH", str(tmp_path))
    systemctl = tmp_path / "systemctl"
    systemctl.write_text("#!/bin/sh\nexit 3\n")
    systemctl.chmod(0o755)
    found = examine_service(None, None)
    assert found.verdict is Verdict.WARN
    assert found.remedy == "systemctl start ganglion"

    systemctl.write_text("#!/bin/sh\nexit 0\n")
    found = examine_service(None, None)
    assert found.verdict is Verdict.OK
    assert found.message == f"{unit} runs, and not in this data directory"


def test_a_process_of_no_unit_has_none() -> None:
    assert unit_of(2**22 + 1) is None


def test_places_are_told() -> None:
    found = places(Path("/data"), {"HOME": "/home/ann"})
    assert found.message == "data /data; cache /home/ann/.cache/ganglion; logs: standard error of the agent"
    found = places(Path("/data"), {"CACHE_DIRECTORY": "/var/cache/ganglion", "HOME": "/"})
    assert "cache /var/cache/ganglion;" in found.message


def test_without_any_home_the_system_s_units_are_looked_for(tmp_path, monkeypatch) -> None:
    def no_home(*, user: bool = False) -> Path:
        if user:
            raise NoHome
        return tmp_path / "none"

    monkeypatch.setattr(standing, "unit_path", no_home)
    monkeypatch.setattr(standing, "PACKAGED_UNIT", tmp_path / "none")
    assert examine_service(None, None).message == "not installed"


def test_the_cache_is_the_one_that_the_environment_names(tmp_path) -> None:
    assert "; cache /kept;" in places(tmp_path, {"GANGLION_CACHE_DIR": "/kept"}).message
