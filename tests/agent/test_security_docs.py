"""What docs/security.md shows is taken as it is."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from agent.config import load_config

TEXT = (Path(__file__).parents[2] / "docs/security.md").read_text()
COMMANDS = [
    shlex.split(line.partition("#")[0])[1:]
    for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    for line in block.splitlines()
    if "permissions" in line
]
HELLO = 'name: hello\nnodes:\n  a: {type: publish, subject: "alarms.{{ trigger.data.x }}", data: 1}\n'


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_runs(shell: Any, command: list[str]) -> None:
    (shell.directory / "workflows").mkdir()
    shell.write("workflows/hello.yaml", HELLO)
    done = shell(*command)
    assert done.code == 0, done.err
    if "--operator" not in command:
        assert ('"alarms.*"' in done.out) is ("--leaf" not in command)
        assert "any.hello" in done.out


@pytest.mark.parametrize("block", re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL))
def test_a_configuration_is_taken(tmp_path: Path, block: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(block)
    config, _ = load_config(file, environ={"HOME": str(tmp_path)})
    assert config.mesh.credentials.creds
    for line in re.findall(r"^# (\w+) = (\"[^\"]*\")", block, re.MULTILINE):
        assert hasattr(config.mesh.credentials, line[0])
