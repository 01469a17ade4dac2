"""The template with a model: a bad reading is told, whether the model is there or not."""

from pathlib import Path

import pytest

from agent.config import Config
from agent.config.models import Model
from agent.logs import engine_log
from agent.node_types import node_types
from agent.templates.catalogue import read_builtin
from agent.templates.making import make
from agent.trial import Task, Trial
from engine.secrets import UnknownSecret

FILE = Path(__file__).parents[3] / "examples/models/triage-tiny-q8_0.gguf"
GIVEN = {"subject": "rooms.*.temperature", "limit": 25, "device": "room", "field": "air.celsius"}
SOURCE = make(read_builtin("local-triage"), "local-triage", GIVEN, types=node_types(allow_shell=False)).text.encode()
HERE = {"triage-tiny": Model(file=str(FILE), threads=1)}


class NoSecrets:
    """A source that has none."""

    def reveal(self, name: str) -> str:
        raise UnknownSecret(name)


@pytest.mark.parametrize(
    ("models", "celsius", "level", "bad"),
    [(HERE, 21.3, "normal", False), (HERE, 31.6, "critical", True), ({}, 31.6, "unknown", True)],
    ids=["fine", "hot", "no model"],
)
async def test_a_bad_reading_is_told_with_or_without_the_model(models, celsius, level, bad) -> None:
    task = Task(source=SOURCE, filename="w.yaml", data={"room": "room-12", "air": {"celsius": celsius}})
    async with Trial.open(task, Config(models=models), log=engine_log, secrets=NoSecrets()) as trial:
        shown = [shown async for shown in trial.watch()][-1]
    assert shown.outputs == {"level": level, "bad": bad}
    [alert] = [node for node in shown.nodes if node.path == "alert"]
    assert alert.status == ("completed" if bad else "skipped")
