"""One life of an engine that a test kills: two questions, one after the other, until both are answered.

    python driver.py FOLDER

Every question that a model is asked goes into an append-only file that is on the disk before it is asked. Run with
GANGLION_CRASH_AT=point:n to die at the n-th passing of a point.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from engine.engine import Engine
from engine.events import Bus, Identity, Kind
from engine.execution.control import control_types
from engine.execution.services import ExecutionConfig, Services
from engine.store import Store
from plugins.http_client import HttpClient
from plugins.llm.asking import Answer, Asker
from plugins.llm.conversation import Prompt
from plugins.llm.nodes import llm_types
from plugins.llm.service.models import Models
from plugins.llm.spec import ModelSpec
from plugins.registry import Registry

MODEL = Path(__file__).parents[5] / "examples/models/triage-tiny-q8_0.gguf"
WORKFLOW = b"""\
name: w
defaults: {retry: {max: 0}}
nodes:
  first: {type: llm, model: triage-tiny, reuse: false, prompt: "fridge-07 temperature 14.2 C, limit 8 C"}
  second:
    type: llm
    model: triage-tiny
    reuse: false
    needs: first
    prompt: "Explain: fridge-09 temperature 9.4 C, limit 8 C"
outputs: ["{{ nodes.first.text }}", "{{ nodes.second.text }}"]
"""


class CountedModels(Models):
    """The service itself, with a line for each question."""

    def __init__(self, sink: Path) -> None:
        super().__init__([ModelSpec(name="triage-tiny", file=str(MODEL))])
        self._sink = sink

    async def generate(self, names: Sequence[str], prompt: Prompt, asker: Asker) -> Answer:
        file = os.open(self._sink, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.write(file, f"{prompt.messages[-1].content}\n".encode())
        os.fsync(file)
        os.close(file)
        return await super().generate(names, prompt, asker)


async def main(folder: Path) -> None:
    bus = Bus()
    models, http = CountedModels(folder / "asked"), HttpClient()
    async with Store.open(folder / "ganglion.db", bus=bus) as store:
        types = Registry([*control_types(), *llm_types(models)])
        services = Services(bus=bus, http=http, config=ExecutionConfig(max_deaths=1000))
        engine = Engine(store, types=types, services=services, identity=Identity("a1", "default", store.epoch))
        await engine.prepare()
        await engine.deploy(WORKFLOW)
        with bus.subscribe(lambda event: event.kind is Kind.WORKFLOW_COMPLETED, live=False) as ends:
            running = asyncio.create_task(engine.run())
            if not await store.read(lambda db: db.execute("SELECT 1 FROM executions").fetchone()):
                await engine.intake.start_by_hand("w", data=None)
            if not await store.read(
                lambda db: db.execute("SELECT 1 FROM executions WHERE status = 'completed'").fetchone()
            ):
                await ends.wait()
            engine.drain()
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
    await models.aclose()
    await http.aclose()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
