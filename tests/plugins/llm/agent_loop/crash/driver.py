"""One life of an engine in which a model acts, that a test kills: the real store, the real model.

    python driver.py FOLDER GGUF

Each generation that the model finishes and each call of a tool is a line in a file, on the disk before anybody builds
on it. Run with GANGLION_CRASH_AT=point:n to die at the n-th passing of a point.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from engine.contract import Context, Done, Effect, NodeType, Outcome
from engine.engine import Engine
from engine.events import Bus, Identity
from engine.execution.control import control_types
from engine.execution.services import ExecutionConfig, Services
from engine.store import Store
from engine.values import Json
from plugins.llm.asking import Answer, Asker
from plugins.llm.conversation import Prompt
from plugins.llm.nodes import llm_types
from plugins.llm.service.models import Models
from plugins.llm.spec import ModelSpec
from plugins.registry import Registry

WORKFLOW = b"""\
name: w
nodes:
  act:
    type: agent_loop
    model: triage-tiny
    goal: "If fridge-07 is above 8 C, switch relay-3 on."
    reuse: false
    stop_when: call.tool == "send_alert"
    tools:
      read_sensor: {arguments: {id: {type: string, maxLength: 20}}, reads: true, result: "{{ nodes.read_sensor.told }}"}
      set_relay: {arguments: {id: {type: string, maxLength: 20}, state: {enum: ["on", "off"]}}}
      send_alert: {arguments: {message: {type: string, maxLength: 60}}}
    nodes:
      read_sensor: {type: effect, data: {told: {id: "{{ arguments.id }}", celsius: 14.2}}}
      set_relay: {type: effect, data: "{{ arguments }}"}
      send_alert: {type: effect, data: "{{ arguments }}"}
  last: {type: effect, data: "{{ nodes.act.answer }}"}
outputs: {answer: "{{ nodes.act.answer }}", steps: "{{ nodes.act.steps }}", transcript: "{{ nodes.act.transcript }}"}
"""


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    data: Json = None


def append(path: Path, line: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(file, line.encode() + b"\n")
    os.fsync(file)
    os.close(file)


class CountedModels(Models):
    """The real models, with a line for each generation that was finished."""

    def __init__(self, specs: Sequence[ModelSpec], file: Path) -> None:
        super().__init__(specs)
        self._file = file

    async def generate(self, names: Sequence[str], prompt: Prompt, asker: Asker) -> Answer:
        answer = await super().generate(names, prompt, asker)
        append(self._file, answer.reply.text)
        return answer


def types(folder: Path, models: Models) -> Registry:
    async def act(ctx: Context, params: Params) -> Outcome:
        append(folder / "effects", f"{ctx.path} {ctx.idempotency_key}")
        return Done(params.data)

    effect = NodeType(name="effect", description="", params=Params, run=act, effect=Effect.AT_LEAST_ONCE, example="")
    return Registry([*control_types(), *llm_types(models), effect])


async def main(folder: Path, gguf: Path) -> None:
    models = CountedModels([ModelSpec(name="triage-tiny", file=str(gguf))], folder / "generations")
    async with Store.open(folder / "ganglion.db", bus=(bus := Bus())) as store:
        services = Services(bus=bus, config=ExecutionConfig(max_deaths=1000))
        engine = Engine(
            store, types=types(folder, models), services=services, identity=Identity("a1", "t", store.epoch)
        )
        await engine.prepare()
        await engine.deploy(WORKFLOW)
        with bus.subscribe(live=False, limit=100_000) as facts:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(engine.run())
                if not await amount(store):
                    await engine.intake.start_by_hand("w")
                while await amount(store, "WHERE finished_at IS NULL"):
                    await facts.wait()
                engine.drain()
    await models.aclose()


async def amount(store: Store, where: str = "") -> int:
    return await store.read(lambda db: db.execute(f"SELECT COUNT(*) FROM executions {where}").fetchone()[0])


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
