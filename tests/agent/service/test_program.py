"""Which executable a service is to run."""

import sys
from pathlib import Path

import pytest

from agent.service.program import NoProgram, check_program, running_program


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "ganglion"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_console_script_that_runs_is_taken(program, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(program), "install"])
    assert running_program() == program


def test_of_a_packaged_executable_the_file_that_was_copied_is_taken(program, monkeypatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", "/var/cache/ganglion/abc/ganglion")
    assert running_program() == Path("/var/cache/ganglion/abc/ganglion")
    monkeypatch.setenv("GANGLION_EXECUTABLE", str(program))
    assert running_program() == program


def test_a_users_own_service_may_run_what_the_user_may(program) -> None:
    check_program(program, for_system=False)


def test_a_service_does_not_see_homes_and_tmp(program) -> None:
    with pytest.raises(NoProgram, match="copy the executable to /usr/local/bin and install that one"):
        check_program(program, for_system=True)
    check_program(Path("/bin/sh"), for_system=True)


def test_what_is_no_program_is_refused(tmp_path) -> None:
    with pytest.raises(NoProgram, match="name the executable with --program"):
        check_program(tmp_path / "gone", for_system=False)


def test_a_path_that_a_unit_can_not_have_is_refused(tmp_path) -> None:
    folder = tmp_path / "my programs"
    folder.mkdir()
    path = folder / "ganglion"
    path.write_text("")
    path.chmod(0o755)
    with pytest.raises(NoProgram, match="can't have this path"):
        check_program(path, for_system=False)
