"""A local model through workflows: an `llm` node on a real engine beside llama.cpp called directly, in turn.

Directly means a bare loop over the functions of llama.h (decode, sample, token to text), same file, same threads, same
samplers: the texts are equal. Then twenty executions that share the model, and how late the event loop is
meanwhile: a task that wants to wake up every 5 ms.
"""

import asyncio
import ctypes
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import uvloop
from measure.figures import US, Goal, Row, median, show
from measure.rounds import arguments, file_system, real_disk, say

from engine.engine import Engine
from engine.events import Bus, Event, Identity, Kind
from engine.execution.control import control_types
from engine.execution.services import ExecutionConfig, Services
from engine.store import Store
from engine.values import Json
from plugins.llm.conversation import Message, Role
from plugins.llm.local.chat import Chat
from plugins.llm.local.library import library
from plugins.llm.nodes import llm_types
from plugins.llm.service.models import Models
from plugins.llm.spec import ModelSpec
from plugins.registry import Registry

FILE = Path(__file__).parents[1] / "examples/models/triage-tiny-q8_0.gguf"
CONTEXT, BATCH, THREADS = 512, 256, 1
WORDS, TOKENS = " relay" * 60, 300
"""Nonsense about which the model, which is trained for answers of twenty tokens, goes on to about the limit."""
GENERATIONS, SHARING = 20, 20
PERIOD = 0.005
SPEED, FIRST, TOGETHER = "tokens/s while it writes", "time to first token", "tokens/s, 20 executions share it"
ALONE = "tokens/s, whole executions one by one"
LAGS = {"p50": 0.5, "p99": 0.99, "max": 1.0}

WORKFLOW = f"""
name: ask
nodes:
  say: {{type: llm, model: tiny, prompt: "{{{{ trigger.data.turn }}}}{WORDS}", max_tokens: {TOKENS}, reuse: false}}
outputs: "{{{{ nodes.say }}}}"
""".encode()


class Direct:
    """llama.cpp and nothing else."""

    def __init__(self) -> None:
        self._native = native = library()
        params = native.llama_model_default_params()
        params.use_extra_bufts = b"AMX_INT8 = 1" not in native.llama_print_system_info()
        self._model = native.llama_model_load_from_file(str(FILE).encode(), params)
        params = native.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = CONTEXT, BATCH, BATCH
        params.n_threads = params.n_threads_batch = THREADS
        self._context = native.llama_init_from_model(self._model, params)
        self._chat = Chat(native, self._model, "")

    def generate(self, turn: int) -> tuple[str, float, float]:
        """The text, tokens a second, and the time to the first token."""
        native, context = self._native, self._context
        begun = time.perf_counter()
        prompt = self._chat.tokens((Message(role=Role.USER, content=f"{turn}{WORDS}"),))
        vocab = native.llama_model_get_vocab(self._model)
        native.llama_memory_clear(native.llama_get_memory(context), False)
        greedy = native.llama_sampler_init_greedy()
        array, one = (native.llama_token * len(prompt))(*prompt), (native.llama_token * 1)()
        buffer, pieces, first = ctypes.create_string_buffer(64), [], 0.0
        native.llama_decode(context, native.llama_batch_get_one(array, len(prompt)))
        for count in range(TOKENS):
            token = native.llama_sampler_sample(greedy, context, -1)
            first = first or time.perf_counter() - begun
            if native.llama_vocab_is_eog(vocab, token):
                break
            length = native.llama_token_to_piece(vocab, token, buffer, 64, 0, False)
            pieces.append(buffer.raw[:length])
            if count + 1 < TOKENS:
                one[0] = token
                native.llama_decode(context, native.llama_batch_get_one(one, 1))
        native.llama_sampler_free(greedy)
        return b"".join(pieces).decode(), len(pieces) / (time.perf_counter() - begun), first

    def close(self) -> None:
        self._native.llama_free(self._context)
        self._native.llama_model_free(self._model)


class Ends:
    """What executions gave, when they end."""

    def __init__(self) -> None:
        self._ends: dict[str, asyncio.Future[Event]] = {}

    def of(self, execution: str) -> asyncio.Future[Event]:
        return self._ends.setdefault(execution, asyncio.get_running_loop().create_future())

    def told(self, facts: list[Event]) -> None:
        for fact in facts:
            if fact.kind in (Kind.WORKFLOW_COMPLETED, Kind.WORKFLOW_FAILED):
                self.of(fact.execution).set_result(fact)


class Through:
    """The same through an engine."""

    def __init__(self, engine: Engine, ends: Ends) -> None:
        self._engine = engine
        self._ends = ends

    @classmethod
    @asynccontextmanager
    async def open(cls, directory: Path) -> "AsyncIterator[Through]":
        spec = ModelSpec(name="tiny", file=str(FILE), context=CONTEXT, batch=BATCH, threads=THREADS, keep_alive=-1)
        models, bus, ends = Models([spec]), Bus(), Ends()
        async with Store.open(directory / "store.db", bus=bus) as store:
            store.listeners.append(ends.told)
            engine = Engine(
                store,
                types=Registry((*control_types(), *llm_types(models))),
                services=Services(bus=bus, config=ExecutionConfig(max_executions=SHARING)),
                identity=Identity("bench", "default", store.epoch),
            )
            await engine.prepare()
            await engine.deploy(WORKFLOW)
            async with asyncio.TaskGroup() as group:
                group.create_task(engine.run())
                yield cls(engine, ends)
                engine.drain()
        await models.aclose()

    async def generate(self, turn: int) -> Json:
        started = await self._engine.intake.start_by_hand("ask", data={"turn": turn}, kind="bench")
        fact = await self._ends.of(started.execution)
        assert isinstance(fact.data, msgspec.Raw)
        data = msgspec.json.decode(fact.data)
        assert fact.kind is Kind.WORKFLOW_COMPLETED, data
        return data["outputs"]


async def lags(late: list[float]) -> None:
    """Note how late the event loop is, in milliseconds, until cancelled."""
    while True:
        begun = time.perf_counter()
        await asyncio.sleep(PERIOD)
        late.append((time.perf_counter() - begun - PERIOD) * 1000)


async def measure(rounds: int, directory: Path) -> list[Row]:
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    late: dict[tuple[str, str], list[float]] = defaultdict(list)
    direct = await asyncio.to_thread(Direct)
    async with Through.open(directory) as ganglion:
        assert (await ganglion.generate(1))["text"] == direct.generate(1)[0], "both write the same"
        for round in range(rounds):
            for turn in range(10, 10 + GENERATIONS):
                _, speed, first = await asyncio.to_thread(direct.generate, turn)
                values["llama.cpp", SPEED].append(speed)
                values["llama.cpp", FIRST].append(first * 1000)
                told = (await ganglion.generate(turn))["llm"]
                values[US, SPEED].append(told["output_tokens"] / told["seconds"])
                values[US, FIRST].append(told["first_token_seconds"] * 1000)
            idle: list[float] = []
            busy: list[float] = []
            async with asyncio.TaskGroup() as group:
                probe = group.create_task(lags(idle))
                await asyncio.sleep(1)
                probe.cancel()
            values[US, ALONE].append(await together(ganglion, 1))
            async with asyncio.TaskGroup() as group:
                probe = group.create_task(lags(busy))
                values[US, TOGETHER].append(await together(ganglion, SHARING))
                probe.cancel()
            for name, part in LAGS.items():
                late["at rest", name].append(quantile(idle, part))
                late["20 generate", name].append(quantile(busy, part))
            say(f"round {round + 1} of {rounds}: {values[US, TOGETHER][-1]:,.0f} tokens/s shared")
    direct.close()
    return rows(values, late)


async def together(ganglion: Through, at_once: int) -> float:
    """Tokens a second of twenty executions, so many of them at once."""
    free = asyncio.Semaphore(at_once)

    async def one(turn: int) -> int:
        async with free:
            told = await ganglion.generate(turn)
            return int(told["llm"]["output_tokens"])

    begun = time.perf_counter()
    tokens = sum(await asyncio.gather(*(one(100 + turn) for turn in range(SHARING))))
    return tokens / (time.perf_counter() - begun)


def quantile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, round(len(values) * part))]


def rows(values: dict[tuple[str, str], list[float]], late: dict[tuple[str, str], list[float]]) -> list[Row]:
    lasting = [
        median("llm", US, f"event loop late, {when}, {name}", times, "ms",
               goal=Goal(20, "less") if (when, name) == ("20 generate", "p99") else None)
        for (when, name), times in late.items()
    ]  # fmt: skip
    return [
        median("llm", US, SPEED, values[US, SPEED], "tokens/s"),
        median("llm", "llama.cpp", SPEED, values["llama.cpp", SPEED], "tokens/s", goal=Goal(0.95)),
        median("llm", US, FIRST, values[US, FIRST], "ms"),
        median("llm", "llama.cpp", FIRST, values["llama.cpp", FIRST], "ms"),
        median("llm", US, ALONE, values[US, ALONE], "tokens/s"),
        median("llm", US, TOGETHER, values[US, TOGETHER], "tokens/s"),
        *lasting,
    ]


def main() -> None:
    parser = arguments(__doc__ or "")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ganglion-bench-", dir=real_disk(options.dir)) as place:
        found = uvloop.run(measure(options.rounds, Path(place)))
        title = f"llm: median of {options.rounds} rounds, in turn, {FILE.stem}, on {file_system(Path(place))}"
    show(title, found, as_json=options.json)


if __name__ == "__main__":
    main()
