"""docs/subjects.md tells of every subject, and leads where it says."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.running import ROOT, Running

TEXT = (ROOT / "docs/subjects.md").read_text()
ROWS = re.findall(r"^\| `([^`]+)`", TEXT, re.MULTILINE)
ON_THE_WIRE = (
    "ganglion.trigger.default.any.double",
    "ganglion.event.default.edge.double.workflow.completed",
    "ganglion.event.default.edge._.agent.started",
    "ganglion.live.default.edge.double.node.started",
    "ganglion.service.default.edge.status",
    "$KV.ganglion_agents.default.edge",
)


def pattern(row: str) -> "re.Pattern[str]":
    return re.compile(re.sub(r"<[a-z]+…>", r"[a-z_.]+", re.sub(r"<[a-z]+>", r"[^.]+", re.escape(row))))


def test_each_subject_is_in_one_row() -> None:
    for subject in ON_THE_WIRE:
        assert len([row for row in ROWS if pattern(row).fullmatch(subject)]) == 1, subject


def test_examples_speak_of_these_subjects_only() -> None:
    for block in re.findall(r"```(?:sh|go)\n(.*?)```", TEXT, re.DOTALL):
        for found in re.findall(r"ganglion[./][\w.*+>#/-]+", block.replace("ganglion.js", "")):
            subject = found.replace("/", ".").replace("+", "*").replace("#", ">")
            start = subject.split(".")[1]
            assert start in ("event", "trigger", "service"), found


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", TEXT):
        assert (ROOT / "docs" / target).exists(), target


def test_the_event_that_is_shown_is_one() -> None:
    [shown] = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
    event = json.loads(shown)

    assert event["id"] == f"{event['source'].rpartition('/')[2]}/{event['epoch']}/{event['sequence']}"


@pytest.mark.nats
def test_the_go_program_runs(agent: Running, tmp_path: Path) -> None:
    go = shutil.which("go")
    if go is None:
        pytest.skip("go is not installed: the Go client can't be run")
    [program] = re.findall(r"```go\n(.*?)```", TEXT, re.DOTALL)
    (tmp_path / "main.go").write_text(program)
    agent("deploy", ROOT / "examples/clients/double.yaml")
    for command in (["mod", "init", "client"], ["mod", "tidy"], ["run", ".", agent.url]):
        done = subprocess.run([go, *command], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
        if command == ["mod", "tidy"] and done.returncode:
            pytest.skip(f"the library nats.go can't be had here: {done.stderr.strip()[-300:]}")
        assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["data"]["outputs"]["twice"] == 42
