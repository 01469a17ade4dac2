"""A model whose native code kills the process: the agent starts again, and the second time without it."""

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import CONFIG, ROOT, Running

pytestmark = [pytest.mark.nats, pytest.mark.crash]

MODEL = ROOT / "examples" / "models" / "triage-tiny-q8_0.gguf"
WORKFLOW = """\
name: ask
nodes:
  say: {type: llm, model: tiny, prompt: "{{ trigger.data }}", max_tokens: 60, reuse: false, retry: {max: 0}}
outputs: "{{ nodes.say.text }}"
"""
FATAL = """\
import ctypes
from plugins.llm.local import llama

generate = llama.Llama.generate

def deadly(self, prompt, *more):
    if prompt.messages[-1].content == "die":
        ctypes.string_at(0)
    return generate(self, prompt, *more)

llama.Llama.generate = deadly
"""
"""A prompt that reaches a fault of native code, on the model's own thread."""


class Mortal(Running):
    """An agent whose model dies when it is told to."""

    def died(self) -> int:
        assert self.process is not None
        return self.process.wait(30)


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Mortal]:
    shutil.copy(MODEL, tmp_path / "tiny.gguf")
    agent = Mortal(tmp_path, CONFIG + '[models.tiny]\nfile = "tiny.gguf"\n')
    agent.before = FATAL
    agent.start()
    yield agent
    agent.end()


def ask(agent: Running, prompt: str, code: int = 0) -> str:
    done = agent.command("trigger", "ask", "--data", json.dumps(prompt), "--wait")
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def test_second_death_in_native_code_keeps_the_model_away_and_the_agent_lives(agent: Mortal) -> None:
    agent.deploy(WORKFLOW)
    agent("trigger", "ask", "--data", '"die"')
    assert agent.died() == -signal.SIGSEGV
    agent.start()  # the execution goes on, and the model dies once more
    assert agent.died() == -signal.SIGSEGV
    agent.start()
    error = ask(agent, "fridge-07 temperature 14.2 C, limit 8 C", code=1)
    assert "model_quarantined" in error
    assert "its native code killed the process 2 times" in error
    assert "ganglion models verify tiny --release" in error
    executions = json.loads(agent("ps", "--all", "--json"))["executions"]
    assert {execution["status"] for execution in executions} == {"failed"}
    assert agent.end() == 0


def test_kill_from_outside_counts_for_nothing(agent: Mortal) -> None:
    agent.deploy(WORKFLOW)
    for _ in range(2):
        assert "critical" in ask(agent, "fridge-07 temperature 14.2 C, limit 8 C")
        assert (agent.data_dir / "models" / ".native-tiny").exists()
        agent.end(signal.SIGKILL)
        agent.start()
    assert "critical" in ask(agent, "fridge-07 temperature 14.2 C, limit 8 C")
