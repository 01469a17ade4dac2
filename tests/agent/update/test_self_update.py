"""The command, with the whole agent; and what docs/upgrade.md shows."""

import base64
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from agent.cli.root import program
from agent.config import load_config
from agent.lock import holder
from agent.ready import read_ready
from agent.update.keys import read_key
from agent.update.program import EXECUTABLE, executable, is_installed_by_pip, outward
from tests.agent.update.conftest import KEY_TEXT, LATER, ROOT, script, signed

TEXT = (ROOT / "docs/upgrade.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, re.DOTALL)
SHELL = [line for language, block in BLOCKS if language == "sh" for line in block.splitlines()]
GANGLION = [line for line in SHELL if line.startswith("ganglion ")]
WHOLE = f"""\
#!{sys.executable}
import sys
sys.path.insert(0, {str(ROOT)!r})
import agent
agent.__version__ = @VERSION@
if sys.argv[1:] != ["--version"]:
    from engine.store import schema
    schema.MIGRATIONS += @MORE@
    if not @WELL@:
        import agent.app, asyncio
        async def ill(*_):
            raise OSError("nothing works here")
        agent.app._live = ill
from agent.cli import main
main()
"""


@pytest.fixture
def data(shell: Any) -> Iterator[Path]:
    """The data directory of an agent that is gone after the test."""
    path: Path = shell.directory / "data"
    yield path
    pid = holder(path)
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def run(shell: Any, program: Path, data: Path) -> None:
    """Start the agent of an executable, until it is ready."""
    environ = {**shell.environ, "GANGLION_UPDATE__KEYS": KEY_TEXT}
    shell.environ = environ
    with (shell.directory / "log").open("ab") as log:
        process = subprocess.Popen(
            [program, "up", "--data-dir", data, "--listen", "127.0.0.1:0"],
            cwd=shell.directory, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    give_up = time.monotonic() + 20
    while read_ready(data) is None:
        assert process.poll() is None, (shell.directory / "log").read_text()
        assert time.monotonic() < give_up
        time.sleep(0.01)  # another process: nothing here could tell
    process.returncode = 0


@pytest.mark.nats
def test_an_agent_becomes_one_of_the_new_version_and_goes_back_from_one_that_is_not_well(
    shell: Any, data: Path
) -> None:
    program = script(shell.directory / "bin" / "ganglion", "0.1.0", text=WHOLE, well=True)
    run(shell, program, data)
    command = [program, "self-update", "--data-dir", data, "--steady", "0.2s", "--within", "20s", "--respawn", "0.1s"]
    good = signed(script(shell.directory / "good", "0.2.0", text=WHOLE, well=True), "0.2.0")

    done = subprocess.run(
        [*command, good], cwd=shell.directory, env=shell.environ, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == "this is ganglion 0.2.0 now; its agent runs and answers\n"
    ready = read_ready(data)
    assert ready is not None
    assert (ready.version, ready.pid) == ("0.2.0", holder(data))

    bad = signed(script(shell.directory / "bad", "0.3.0", text=WHOLE, well=False, more=LATER), "0.3.0")
    done = subprocess.run(
        [*command, bad], cwd=shell.directory, env=shell.environ, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "ganglion: went back to 0.2.0, whose agent runs again: it ended with 1 instead of" in done.stderr
    ready = read_ready(data)
    assert ready is not None
    assert (ready.version, ready.pid) == ("0.2.0", holder(data))
    assert "nothing works here" in (shell.directory / "log").read_text()


def test_verify_only_looks(shell: Any) -> None:
    file = signed(script(shell.directory / "ganglion-0.2.0", "0.2.0", text="#!/bin/sh\ntouch was-run\n"), "0.2.0")
    shell.environ["GANGLION_UPDATE__KEYS"] = KEY_TEXT
    assert shell("self-update", "--verify", file).out.startswith("ganglion-0.2.0 is 0.2.0 for ")
    file.write_text("#!/bin/sh\n")
    assert "is not the file that was signed" in shell("self-update", "--verify", file).err
    shell.environ["GANGLION_UPDATE__KEYS"] = "nonsense"
    assert "update.keys: expected 44 characters" in shell("self-update", "--verify", file).err
    assert not (shell.directory / "was-run").exists()


@pytest.mark.parametrize("words", [[], ["--resume", "--back"], ["--verify"], ["x", "--resume"], ["not-there"]])
def test_a_command_line_that_says_too_little_or_too_much_is_refused(shell: Any, words: list[str]) -> None:
    assert shell("self-update", *words).code == 2


def test_the_executable_is_what_a_person_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = script(tmp_path / "real", "1")
    (tmp_path / "ganglion").symlink_to(file)
    monkeypatch.delenv(EXECUTABLE, raising=False)
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "ganglion")])
    assert executable() == file
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["ganglion"])
    assert executable() == file
    monkeypatch.setenv(EXECUTABLE, str(tmp_path / "packed"))
    assert executable() == file, "another program's"
    assert is_installed_by_pip(Path(sys.executable).parent.resolve() / "ganglion")
    assert not is_installed_by_pip(file)
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert executable() == tmp_path / "packed"
    assert not is_installed_by_pip(Path(sys.executable).parent.resolve() / "ganglion")


def test_what_a_packer_left_in_the_environment_stays_behind() -> None:
    packed = {"_PYI_ARCHIVE_FILE": "x", "LD_LIBRARY_PATH": "/ours", "A": "1", EXECUTABLE: "y"}
    assert outward(packed) == {"A": "1"}
    assert outward({**packed, "LD_LIBRARY_PATH_ORIG": "/theirs"}) == {"A": "1", "LD_LIBRARY_PATH": "/theirs"}
    assert outward({"LD_LIBRARY_PATH": "/theirs"}) == {"LD_LIBRARY_PATH": "/theirs"}


@pytest.mark.parametrize("line", GANGLION)
def test_a_command_of_the_page_is_one_that_we_have(line: str) -> None:
    name, *arguments = shlex.split(line, comments=True)[1:]
    command: Any = get_command(program())
    options = {option for parameter in command.commands[name].params for option in parameter.opts}
    assert {argument for argument in arguments if argument.startswith("-")} <= options


def test_the_tools_of_the_page_run_as_it_shows(tmp_path: Path) -> None:
    (tmp_path / "packaging").symlink_to(ROOT / "packaging")
    (tmp_path / "ganglion-0.2.0-linux-x86_64").write_bytes(b"x")
    for line in SHELL:
        if line.startswith("python "):
            words = shlex.split(line, comments=True)[1:]
            subprocess.run([sys.executable, *words], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "ganglion-0.2.0-linux-x86_64.sig").exists()


def test_the_configuration_of_the_page_is_taken(tmp_path: Path) -> None:
    [block] = [block for language, block in BLOCKS if language == "toml"]
    (tmp_path / "config.toml").write_text(block)
    config, _ = load_config(tmp_path / "config.toml", environ={"HOME": str(tmp_path)})
    [key] = config.update.keys
    assert base64.b64encode(read_key(key)).decode() == key.split()[0]
