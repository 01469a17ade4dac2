"""What the README shows is there: its workflow is valid, its commands and options exist, its files too."""

import re
import shlex
import textwrap
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from agent.cli.root import program
from agent.node_types import node_types
from engine.definition import load_workflow

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, re.DOTALL)
COMMANDS = [
    line
    for language, block in BLOCKS
    if language == "sh"
    for line in block.splitlines()
    if line.startswith("ganglion ")
]


def test_the_workflow_and_the_nodes_of_models_are_valid() -> None:
    [nodes, shown] = [block for language, block in BLOCKS if language == "yaml"]
    around = "name: shown\nparams: {limit: {type: number, default: 8}}\nnodes:\n"
    for source in (shown, around + textwrap.indent(nodes, "  ")):
        read = load_workflow(source.encode(), types=node_types(allow_shell=False), filename="README", params={})
        assert not read.warnings


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_is_one_that_we_have(line: str) -> None:
    arguments = shlex.split(line, comments=True)[1:]
    command: Any = get_command(program())
    while arguments and arguments[0] in getattr(command, "commands", {}):
        command = command.commands[arguments.pop(0)]
    options = {option for parameter in command.params for option in parameter.opts}
    assert {argument for argument in arguments if argument.startswith("-")} <= options


def test_every_command_is_named_and_no_other() -> None:
    table = TEXT.partition("## Commands")[2].partition("`--json`")[0]
    named = {word.split()[0] for word in re.findall(r"`([^`]+)`", table)} - {"replay"}
    assert named == set(get_command(program()).commands)


def test_every_node_type_is_named() -> None:
    for name in node_types(allow_shell=True).names():
        assert f"`{name}`" in TEXT


def test_every_file_that_is_named_is_there() -> None:
    for path in re.findall(r"examples/[\w./-]+\w", TEXT):
        assert (ROOT / path).exists(), path
    for target in re.findall(r"make (\w+)", TEXT):
        assert f"\n{target}:" in (ROOT / "Makefile").read_text(), target
