"""One value of 10 MB, read by 1,000 nodes: how long that takes, and what it costs in memory.

`read` nodes look into the value and give a number; `hand on` nodes give the value itself; `restart` is the same after a
kill before the first reader, which loads the value from the store. The peak is of Python's own memory, above what there
was before the value was made; one decoded copy of the value is the unit beside it.
"""

import asyncio
import sys
import tempfile
import time
import tracemalloc
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
import uvloop
from contestants.ganglion import STEP
from measure.figures import US, Goal, median, show
from measure.rounds import arguments, file_system, real_disk, say

from engine.contract import Context, Done, Effect, NodeType, Outcome
from engine.engine import Engine
from engine.events import Bus, Event, Identity, Kind
from engine.execution.control import control_types
from engine.execution.services import Services
from engine.store import Store
from engine.values import Json
from plugins.nodes import builtin_types
from plugins.registry import Registry

READERS, MEGABYTES = 1_000, 10
ROW = {"device": "fridge-7", "celsius": 4.5, "note": "x" * 60}
READ, HAND_ON, RESTART = "read", "hand on", "restart"
FIELDS = {READ: "{{ nodes.big[7].celsius }}", HAND_ON: "{{ nodes.big }}", RESTART: "{{ nodes.big[7].celsius }}"}


class NoParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


async def _make(ctx: Context, params: NoParams) -> Outcome:
    count = MEGABYTES * 1_000_000 // len(msgspec.json.encode(ROW))
    return Done([{**ROW, "celsius": float(i)} for i in range(count)])


MAKE = NodeType(
    name="make", description="A large list.", params=NoParams, run=_make, effect=Effect.AT_LEAST_ONCE, example=""
)


def main() -> None:
    options = arguments(__doc__).parse_args()
    seconds: dict[str, list[float]] = defaultdict(list)
    copies: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="ganglion-bench-", dir=real_disk(options.dir)) as place:
        for round in range(options.rounds):
            for case in FIELDS:
                path = Path(place) / f"{case}-{round}.db"
                took, _ = uvloop.run(_run(path, case))
                path.unlink()
                _, peak = uvloop.run(_run(path, case, trace=True))
                seconds[case].append(took)
                copies[case].append(peak)
                say(f"round {round + 1} of {options.rounds}: {case}: {took:.2f} s, {peak:.1f} copies")
        title = f"values: {READERS:,} nodes and {MEGABYTES} MB, on {file_system(Path(place))} at {place}"
    rows = [median("values", US, f"{case}: time", seconds[case], "s") for case in FIELDS]
    rows += [
        median("values", US, f"{case}: peak", copies[case], "copies", goal=Goal(4, "less")) for case in FIELDS
    ]  # fmt: skip
    show(title, rows, as_json=options.json)


def _file(case: str) -> bytes:
    nodes: dict[str, Json] = {"big": {"type": "make"}, "gate": {"type": "step", "needs": ["big"]}}
    nodes |= {f"n{i}": {"type": "step", "data": FIELDS[case], "needs": ["gate"]} for i in range(READERS)}
    return msgspec.json.encode({"name": "values", "nodes": nodes})


async def _run(path: Path, case: str, *, trace: bool = False) -> tuple[float, float]:
    """Seconds, and copies: one of them in each run, for to look at memory takes time."""
    if trace:
        tracemalloc.start()
    try:
        unit = await _unit() if trace else 1
        if case == RESTART:
            async with _engine(path, held=True) as (engine, told):
                await engine.deploy(_file(case), filename="values.json")
                await engine.intake.start_by_hand("values", data=None)
                await _until(told, Kind.NODE_COMPLETED, "big")
        if trace:
            tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        began = time.perf_counter()
        async with _engine(path) as (engine, told):
            if case != RESTART:
                await engine.deploy(_file(case), filename="values.json")
                await engine.intake.start_by_hand("values", data=None)
            await _until(told, Kind.WORKFLOW_COMPLETED)
        took = time.perf_counter() - began
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return took, (peak - before) / unit


async def _unit() -> int:
    """What one decoded copy takes."""
    made = await _make(None, NoParams())  # type: ignore[arg-type]
    body = msgspec.json.encode(made.output)  # type: ignore[union-attr]
    del made
    before, _ = tracemalloc.get_traced_memory()
    value = msgspec.json.decode(body)
    after, _ = tracemalloc.get_traced_memory()
    assert value
    return after - before


@asynccontextmanager
async def _engine(path: Path, *, held: bool = False) -> "AsyncIterator[tuple[Engine, asyncio.Queue[Event]]]":
    """`held`: the gate never opens."""
    bus = Bus()
    told: asyncio.Queue[Event] = asyncio.Queue()
    step = msgspec.structs.replace(STEP, run=_wait) if held else STEP
    async with Store.open(path, bus=bus) as store:
        store.listeners.append(lambda facts: [told.put_nowait(fact) for fact in facts] and None)
        engine = Engine(
            store, types=Registry((*control_types(), *builtin_types(), step, MAKE)), services=Services(bus=bus),
            identity=Identity("bench", "default", store.epoch),
        )  # fmt: skip
        await engine.prepare()
        running = asyncio.create_task(engine.run())
        try:
            yield engine, told
        finally:
            engine.drain()
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


async def _wait(ctx: Context, params: Json) -> Outcome:
    await asyncio.Event().wait()
    return Done()


async def _until(told: "asyncio.Queue[Event]", kind: Kind, node: str = "") -> None:
    while True:
        fact = await told.get()
        if fact.kind is Kind.WORKFLOW_FAILED:
            sys.exit(f"the execution failed: {fact.data!r}")
        if fact.kind is kind and node in ("", fact.node):
            return


if __name__ == "__main__":
    main()
