"""What docs/service.md says is so: its commands are ours, its files are there, its figures those of the unit."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from agent import __version__
from agent.cli.root import program
from agent.config.places import SYSTEM_CONFIG, SYSTEM_DATA
from agent.service.installation import SYSTEM_CACHE, unit_path
from agent.service.unit import SERVER_SECONDS, WATCHDOG_SECONDS, Service, systemd_unit

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs/service.md").read_text()
LINES = [line for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]
COMMANDS = [re.sub(r"^(sudo |\w+=\S+ )", "", line) for line in LINES]
OTHERS = ("systemctl", "loginctl", "apt", "docker", "packaging/deb/build.sh")


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("ganglion ")])
def test_a_command_is_one_that_we_have(line: str) -> None:
    command: Any = get_command(program()).commands[shlex.split(line)[1]]  # type: ignore[attr-defined]
    arguments = shlex.split(line, comments=True)[2:]
    context = command.make_context("ganglion", [*arguments])
    assert context.params


def test_every_other_command_is_known_here() -> None:
    assert {line.split()[0] for line in COMMANDS} == {"ganglion", *OTHERS}


@pytest.mark.parametrize("line", [line for line in COMMANDS if "packaging/" in line])
def test_files_that_a_command_takes_are_there(line: str) -> None:
    for path in re.findall(r"packaging/\S+", line):
        assert (ROOT / path).is_file()
    assert not re.search(r"\d+\.\d+\.\d+", line.replace(__version__, ""))


def test_the_build_script_takes_what_is_shown() -> None:
    [line] = [line for line in COMMANDS if "build.sh" in line]
    done = subprocess.run(["sh", ROOT / "packaging/deb/build.sh"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "build.sh EXECUTABLE VERSION ARCHITECTURE FOLDER [UNIT]" in done.stderr
    assert len(shlex.split(line)) == 5


def test_places_and_figures_are_those_of_the_unit() -> None:
    unit = systemd_unit(Service(program=Path("/usr/bin/ganglion"), config=SYSTEM_CONFIG, data_dir=SYSTEM_DATA))
    for place in (unit_path(), SYSTEM_CONFIG, SYSTEM_DATA, SYSTEM_CACHE):
        assert f"`{place}`" in TEXT
    assert f"every {WATCHDOG_SECONDS // 2} s" in TEXT
    assert f"After {WATCHDOG_SECONDS} s without one" in TEXT
    assert f"is that and {SERVER_SECONDS} s" in TEXT
    for setting in ("LimitNOFILE=65536", "MemoryMax=75%", "Type=notify", "#ReadWritePaths=/srv/inbox",
                    "#LoadCredential=PAGER_URL:/etc/ganglion/secrets/PAGER_URL"):  # fmt: skip
        assert setting in unit
        assert setting.lstrip("#").partition("=")[2] in TEXT
