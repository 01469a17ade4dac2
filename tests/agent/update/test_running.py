"""An agent is stopped and started by whoever looks after it."""

import os

import pytest

from agent.lock import holder
from agent.update.command import Command
from agent.update.illness import illness
from agent.update.running import start, stop
from agent.update.unit import NotOurs
from tests.agent.update.conftest import run, script

SYSTEMCTL = """\
#!/bin/sh
echo "$@" >> {folder}/asked
case "$1" in
  stop) kill $(cat {folder}/data/lock) ;;
  start) [ -e {folder}/refuses ] && {{ echo "no such unit" >&2; exit 5; }}
    {executable} up --data-dir {folder}/data >/dev/null 2>&1 & ;;
esac
"""


def test_a_service_is_stopped_and_started_by_its_manager(place, monkeypatch) -> None:
    run(place)
    tool = script(place.folder / "tools" / "systemctl", "", text=SYSTEMCTL.format(
        folder=place.folder, executable=place.executable
    ))  # fmt: skip
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    command = Command(arguments=("up",), directory="/", unit="ganglion.service", environ={})

    stop(place.data, unit=command.unit, grace=1.0)
    assert holder(place.data) is None
    assert start(place.executable, command, None) is None
    assert illness(place.executable, place.data, None, command, version="0.1.0", within=20.0, steady=0.0) == ""

    assert (place.folder / "asked").read_text() == "stop ganglion.service\nstart --no-block ganglion.service\n"
    (place.folder / "refuses").touch()
    with pytest.raises(NotOurs, match=r"systemctl start --no-block ganglion\.service ended with 5: no such unit"):
        start(place.executable, command, None)
