"""What of an agent is optional: each part is an agent that has it, and nothing else beyond what all have."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from idle.agent import ROOT, Agent, running

NOTHING = "nothing used"
MODEL = ROOT / "examples" / "models" / "triage-tiny-q8_0.gguf"
WORKFLOWS = 100
LOADED, UNLOADED = "a model in memory (triage-tiny)", "the same model, unloaded"
KEEP_SECONDS, LOOKS = 1, 60
_ASK = "name: ask\nnodes: {a: {type: llm, model: triage-tiny, prompt: '1 C, limit 8 C', max_tokens: 4}}\n"


def _nothing(agent: Agent, directory: Path) -> None:
    """It is ready: that is all."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """An agent of its own."""

    name: str
    config: str = ""
    flags: tuple[str, ...] = ()
    use: Callable[[Agent, Path], None] = _nothing
    """Makes it do once what the part is for."""


def parts(hub: str, directory: Path) -> list[Part]:
    """All of them. `hub`: the url of a server for leaf links. What they read lies in the directory."""
    workflows = directory / "workflows"
    _write_workflows(workflows)
    to_hub = f'[mesh]\nhub = "{hub}"\n'
    return [
        Part(name=NOTHING),
        Part(name="without NATS (mode = off)", config='[mesh]\nmode = "off"\n'),
        Part(name="MQTT listener", flags=("--mqtt", "127.0.0.1:0")),
        Part(name="hub link", config=to_hub),
        Part(name="hub link, fleet.record", config=f"{to_hub}[fleet]\nrecord = true\n"),
        Part(name=f"{WORKFLOWS} workflows", config=f'[engine]\nworkflows_dir = "{workflows}"\n'),
        Part(name=LOADED, config=_model("forever"), use=_ask),
        Part(name=UNLOADED, config=_model(f"{KEEP_SECONDS}s"), use=_ask_and_wait),
    ]


@contextmanager
def serving(part: Part, program: Path, directory: Path) -> Iterator[Agent]:
    """The agent of a part, once the part was used."""
    with running(program, directory, config=part.config, flags=part.flags) as agent:
        part.use(agent, directory)
        yield agent


def _write_workflows(directory: Path) -> None:
    """A third each started by schedules, by files, and by messages."""
    directory.mkdir()
    for number in range(WORKFLOWS):
        trigger = (
            '{cron: {schedule: "0 3 * * *"}}',
            f'{{file: {{path: "inbox-{number}/*.csv", format: text}}}}',
            f'{{nats: {{subject: "in.s{number}.>"}}}}',
        )[number % 3]
        (directory / f"w{number}.yaml").write_text(
            f"name: w{number}\ntriggers: [{trigger}]\n"
            'nodes:\n  a: {type: transform, data: "{{ trigger.id }}"}\n'
            '  b: {type: if, condition: nodes.a != ""}\n  c: {type: log, needs: b.then, message: "{{ nodes.a }}"}\n'
        )


def _model(keep_alive: str) -> str:
    return f'[models.triage-tiny]\nfile = "{MODEL}"\nkeep_alive = "{keep_alive}"\n'


def _ask(agent: Agent, directory: Path) -> None:
    workflow = directory / "ask.yaml"
    workflow.write_text(_ASK)
    agent.command("deploy", str(workflow))
    agent.command("trigger", "ask", "--wait")


def _ask_and_wait(agent: Agent, directory: Path) -> None:
    _ask(agent, directory)
    for _ in range(LOOKS):
        if '"resident"' not in agent.command("models", "list", "--json"):
            return
        time.sleep(KEEP_SECONDS)
    sys.exit(f"the model was not unloaded within {LOOKS} looks")
