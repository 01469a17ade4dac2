"""The models of a running agent: what it tells of them, and that none keeps it from its stop."""

import json
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import CONFIG, ROOT, Running

pytestmark = pytest.mark.nats

MODEL = ROOT / "examples" / "models" / "triage-tiny-q8_0.gguf"
WORKFLOW = """\
name: ask
nodes:
  say: {type: llm, model: [gone, tiny], prompt: "{{ trigger.data }}", max_tokens: 60, reuse: false, retry: {max: 0}}
outputs: {text: "{{ nodes.say.text }}", model: "{{ nodes.say.llm.model }}"}
"""
SLOW = """\
import threading
from plugins.llm.service import liveness
from plugins.llm.local import llama

liveness.PATIENCE_SECONDS = 0.2
generate = llama.Llama.generate

def hanging(self, prompt, tell, is_stopped):
    if prompt.messages[-1].content == "hang":
        threading.Event().wait()
    if prompt.messages[-1].content == "go on":
        while not is_stopped():
            generate(self, prompt, lambda text: tell(""), is_stopped)
    return generate(self, prompt, tell, is_stopped)

llama.Llama.generate = hanging
"""
"""Prompts at which native code never comes back, or is at work until it is told to stop."""


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Running]:
    shutil.copy(MODEL, tmp_path / "tiny.gguf")
    config = CONFIG.replace('heartbeat = "1s"', 'heartbeat = "60s"')
    more = '[engine]\ngrace = "100ms"\n[models.tiny]\nfile = "tiny.gguf"\n[models.gone]\nfile = "gone.gguf"\n'
    agent = Running(tmp_path, config + more)
    agent.before = SLOW
    agent.start()
    agent.deploy(WORKFLOW)
    yield agent
    agent.end()


def until_it_computes(agent: Running) -> None:
    give_up = time.monotonic() + 20
    while time.monotonic() < give_up:
        [model] = [one for one in json.loads(agent("models", "list", "--json"))["models"] if one["name"] == "tiny"]
        if model["running"] and model["state"] == "resident":
            return
    raise AssertionError("the model has not begun")


def test_agent_tells_of_its_models_and_the_fleet_who_has_them_in_memory(agent: Running) -> None:
    answer = json.loads(
        agent("trigger", "ask", "--data", '"fridge-07 temperature 14.2 C, limit 8 C"', "--wait", "--json")
    )
    assert answer["outputs"]["model"] == "tiny"
    assert "critical" in answer["outputs"]["text"]
    [info] = json.loads(agent("fleet", "--json"))["agents"]
    assert info["models"] == ["tiny"]
    assert "MODELS" in agent("fleet")
    models = {one["name"]: one for one in json.loads(agent("models", "list", "--json"))["models"]}
    assert (models["tiny"]["state"], models["tiny"]["generations"]) == ("resident", 1)
    assert "there is no file" in models["gone"]["problem"]


@pytest.mark.parametrize("prompt", ["go on", "hang"])
def test_stop_cuts_a_generation_off_even_one_that_hangs_in_native_code(agent: Running, prompt: str) -> None:
    agent("trigger", "ask", "--data", json.dumps(prompt))
    until_it_computes(agent)
    began = time.monotonic()
    assert agent.end(signal.SIGTERM) == 0
    assert time.monotonic() - began < 10
    assert not list((agent.data_dir / "models").glob(".native-*")) or prompt == "hang"
