"""Nothing grows for ever: 1,000,000 executions with retention, and what they leave in memory and on the disk.

Messages with ids are taken in as from a stream, each becomes an execution of one node, facts are marked as sent, and
the housekeeper keeps the newest 20,000 executions (`--keep`). Resident memory, the database and its WAL are looked at
40 times on the way. The verdict is a line through the second half of the looks: it may rise by no more than 3 % of its
mean (the database: 10 %, for it grows and shrinks with the steps of the housekeeper).
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import psutil
import uvloop
from contestants.ganglion import STEP
from measure.figures import US, Figure, Goal, Row, show
from measure.rounds import arguments, file_system, real_disk

from agent.collector import spare_what_stays
from agent.upkeep import keep_house
from engine.engine import Engine
from engine.events import Bus, Identity
from engine.execution.control import control_types
from engine.execution.services import ExecutionConfig, Services
from engine.store import Store
from engine.store.housekeeping import Housekeeper, Retention
from engine.store.outbox import Cursor
from engine.triggers.message import Message
from plugins.nodes import builtin_types
from plugins.registry import Registry

WORKFLOW = b"""\
name: grow
triggers: [{nats: {subject: "in.>"}}]
nodes:
  one: {type: step, data: "{{ trigger.data.x }}"}
outputs: "{{ nodes.one }}"
"""
AT_ONCE = 200
LOOKS = 40
PAUSE_SECONDS = 1.0
"""Of the housekeeper, so that what it removes in a minute is not all that there is."""
MEMORY, DATABASE, WAL, RATE = "growth of resident memory", "growth of the database", "largest WAL", "executions"


class Look(msgspec.Struct, frozen=True):
    """What there was at one moment."""

    executions: int
    seconds: float
    memory: int
    database: int
    wal: int


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="ganglion-bench-", dir=real_disk(options.dir)) as place:
        looks = uvloop.run(_grow(Path(place) / "store.db", options.executions, options.keep, tell=not options.json))
        title = f"growth: {options.executions:,} executions, on {file_system(Path(place))} at {place}"
    rows = _verdict(looks)
    show(title, rows, as_json=options.json)
    sys.exit(any(row.goal is not None and not row.goal.met(row.figure.value or 0.0) for row in rows))


def _options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--executions", type=int, default=1_000_000, help="how many (default 1,000,000)")
    parser.add_argument("--keep", type=int, default=20_000, help="executions that are kept (default 20,000)")
    parser.add_argument("--quick", action="store_true", help="30,000 executions, of which 2,000 are kept")
    options = parser.parse_args()
    if options.quick:
        options.executions, options.keep = 30_000, 2_000
    return options


async def _grow(path: Path, count: int, keep: int, *, tell: bool) -> list[Look]:
    bus = Bus()
    async with Store.open(path, bus=bus) as store:
        engine = Engine(
            store, types=Registry((*control_types(), *builtin_types(), STEP)), identity=Identity("b", "t", store.epoch),
            services=Services(bus=bus, config=ExecutionConfig(max_executions=AT_ONCE)),
        )  # fmt: skip
        await engine.prepare()
        await engine.deploy(WORKFLOW)
        spare_what_stays()
        retention = Retention(age=None, count=keep, bytes=None, dedupe=PAUSE_SECONDS, outbox_keep=PAUSE_SECONDS)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(engine.run())
            services = [
                tasks.create_task(keep_house(Housekeeper(store, retention), pause=PAUSE_SECONDS)),
                tasks.create_task(_send(engine)),
            ]
            looks = await _take_in(engine, path, count, tell=tell)
            for service in services:
                service.cancel()
            engine.drain()
    return looks


async def _take_in(engine: Engine, path: Path, count: int, *, tell: bool) -> list[Look]:
    """Offer messages as fast as there are slots; look now and then."""
    looks: list[Look] = []
    began = time.perf_counter()
    taken = 0
    while taken < count or engine.executor.finished.get("completed", 0) < count:
        done = engine.executor.finished.get("completed", 0)
        if done >= count * (len(looks) + 1) // LOOKS:
            looks.append(_look(path, done, time.perf_counter() - began))
            if tell:
                _tell(looks)
        free = min(engine.executor.free_slots(), count - taken)
        if free > 0:
            await engine.intake.accept([_message(engine, x) for x in range(taken, taken + free)])
            taken += free
        elif taken < count:
            await engine.executor.wait_for_slots()
        else:
            await asyncio.sleep(0.01)
    return looks


def _message(engine: Engine, x: int) -> Message:
    return Message(
        subject=f"in.{x % 100}", body=b'{"x": %d, "padding": "%s"}' % (x, b"p" * 200),
        headers={"Nats-Msg-Id": f"id-{x}"}, received_at=engine.store.clock.now(), stream="S", stream_created="c",
        sequence=x + 1, workflow="",
    )  # fmt: skip


async def _send(engine: Engine) -> None:
    """Facts count as sent."""
    while True:
        await engine.outbox.advance(Cursor(name="bench", seq=engine.outbox.last_seq))
        await asyncio.sleep(PAUSE_SECONDS / 4)


def _look(path: Path, executions: int, seconds: float) -> Look:
    wal = path.with_name(path.name + "-wal")
    return Look(executions, seconds, psutil.Process().memory_info().rss, path.stat().st_size, wal.stat().st_size)


def _tell(looks: Sequence[Look]) -> None:
    if len(looks) == 1:
        print(
            f"{'executions':>12} {'seconds':>8} {'per second':>10} {'memory MB':>10} {'database MB':>11} {'WAL MB':>7}"
        )
    look = looks[-1]
    before = looks[-2] if len(looks) > 1 else Look(0, 0.0, 0, 0, 0)
    rate = (look.executions - before.executions) / (look.seconds - before.seconds)
    print(
        f"{look.executions:>12,} {look.seconds:>8.1f} {rate:>10,.0f} {look.memory / 1e6:>10.1f} "
        f"{look.database / 1e6:>11.1f} {look.wal / 1e6:>7.1f}",
        flush=True,
    )


def _verdict(looks: Sequence[Look]) -> list[Row]:
    half = looks[len(looks) // 2 :]
    return [
        _row(MEMORY, _rise([look.memory for look in half]), "%", Goal(3, "less")),
        _row(DATABASE, _rise([look.database for look in half]), "%", Goal(10, "less")),
        _row(WAL, max(look.wal for look in looks) / 1e6, "MB", Goal(64, "less")),
        _row(RATE, looks[-1].executions / looks[-1].seconds, "/s", None),
    ]


def _rise(values: Sequence[int]) -> float:
    """How much the straight line through the values rises from the first to the last, in percent of their mean."""
    slope, _ = statistics.linear_regression(range(len(values)), values)
    return 100 * slope * (len(values) - 1) / statistics.fmean(values)


def _row(case: str, value: float, unit: str, goal: Goal | None) -> Row:
    return Row(figure=Figure(bench="growth", who=US, case=case, value=value, unit=unit), values=(value,), goal=goal)


if __name__ == "__main__":
    main()
