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
    south = [*("log", "-f", "-n", "0", "--json", "--agent", "south"), "--data-dir", fleet.north.data_dir]
    everyone = [*("log", "-f", "-n", "0", "--fleet", "role=edge"), "--data-dir", fleet.north.data_dir]
    one, all = fleet.north.shell.start(*south), fleet.north.shell.start(*everyone)
    try:
        for number in range(3):
            fleet.north("trigger", "loud", "-d", f'"line {number} of both"', "--wait", "--fleet", "*")
        while one.poll() is None and all.poll() is None:  # both may have begun after the first ones
            fleet.north("trigger", "loud", "-d", '"the last line"', "--wait", "--fleet", "*")
            break
        followed = [json.loads(line) for line in read(one, "the last line")]
        numbers = [line["number"] for line in followed]
        assert numbers == sorted(set(numbers))
        lines = read(all, "the last line")
        assert all.poll() is None
        assert {line.split()[0] for line in lines} <= {"north", "south"}
    finally:
        for process in (one, all):
            process.kill()
            process.communicate()
