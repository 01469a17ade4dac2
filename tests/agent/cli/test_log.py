"""`log`: what agents write, from anywhere."""

import json
import subprocess

import pytest

pytestmark = pytest.mark.nats


def read(following: "subprocess.Popen[str]", wanted: str) -> list[str]:
    """Lines until one holds this."""
    lines: list[str] = []
    assert following.stdout is not None
    for line in following.stdout:
        lines.append(line)
        if wanted in line:
            return lines
    raise AssertionError("".join(lines))


LOUD = """\
name: loud
nodes:
  say: {type: log, message: "{{ trigger.data }}"}
"""


def test_the_newest_lines_are_shown(fleet) -> None:
    shown = fleet.north("log", "--agent", "south")
    assert "ready" in shown.out
    assert "agent=south" in shown.out
    [line] = fleet.north("log", "-n", "1", "--json").lines
    assert line["agent"] == "north"
    assert fleet.north("log", "--level", "error", "--agent", "south", "--json").lines == []
    everyone = fleet.north("log", "--fleet", "*")
    assert {text.split()[0] for text in everyone.out.splitlines()} == {"north", "south"}
    assert fleet.north("log", "--agent", "nobody", "-f").code == 3


def test_following_brings_every_line_once(fleet) -> None:
    deployed = fleet.north("deploy", fleet.north.shell.write("loud.yaml", LOUD), "--fleet", "*")
    assert deployed.code == 0, deployed.out
    here = ("--data-dir", fleet.north.data_dir)
    one = fleet.north.shell.start("log", "-f", "-n", "1000", "--json", "--agent", "south", *here)
    all = fleet.north.shell.start("log", "-f", "-n", "1000", "--fleet", "role=edge", *here)
    try:
        lines = [*read(one, '"ready"')]
        for number in range(3):
            fleet.north("trigger", "loud", "-d", f'"line {number}"', "--wait", "--fleet", "*")
        lines += read(one, "line 2")
        numbers = [json.loads(line)["number"] for line in lines]
        assert numbers == [*range(1, len(numbers) + 1)]
        both = read(all, "line 2")
        both += read(all, "line 2")
        assert [sum(f"line {number}" in line for line in both) for number in range(3)] == [2, 2, 2]
        assert {line.split()[0] for line in both} == {"north", "south"}
    finally:
        for process in (one, all):
            process.kill()
            process.communicate()
