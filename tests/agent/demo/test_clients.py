"""The examples' clients as processes."""

import sys

import pytest

from agent.demo.clients import FLAG, client_command, run_client


def test_a_client_runs_by_this_python() -> None:
    program, script = client_command("watch.py")
    assert program == sys.executable
    assert script.endswith("/examples/clients/watch.py")


def test_the_executable_runs_a_client_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setenv("GANGLION_EXECUTABLE", "/opt/ganglion")
    assert client_command("watch.py") == ["/opt/ganglion", FLAG, "watch.py"]


def test_only_scripts_of_the_examples_are_run(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", sys.argv)
    other = tmp_path / "other.py"
    other.write_text("raise SystemExit('it ran')")
    with pytest.raises(FileNotFoundError):
        run_client(str(other), [])
