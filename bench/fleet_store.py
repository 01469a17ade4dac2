"""A recorder's file: how fast facts of a fleet go in, and how fast questions are answered when 1,000,000 are there.

Agents run 20 workflows for three days, executions of five facts, of which one in a hundred fails; one agent in ten is
offline most of the time and tells a day late. `--events` facts of 1,000 agents are recorded in batches of 1,000 with
synced commits; each question is then asked `--rounds` times seven. Other rates come from
files of their own with a tenth as many facts: smaller batches, commits that are not synced, one agent that catches up,
and the same facts once more.
"""

import argparse
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

import msgspec
import uvloop
from measure.figures import US, Goal, Row, median, show
from measure.rounds import arguments, file_system, real_disk, say

from engine.fleet.event import FleetEvent
from engine.fleet.query import EventQuery, Grain, StatsQuery
from engine.fleet.store import FleetStore
from engine.ids import new_execution_id

BENCH = "fleet_store"
START = 1_793_491_200_000_000
SPAN = 3 * 86_400_000_000
LATE = 86_400_000_000
RATE_GOAL, QUERY_GOAL, SIZE_GOAL = Goal(5_000), Goal(50, "less"), Goal(150, "less")
SITES = 20
AT_ONCE = 50
"""Executions of the fleet: their facts come mixed."""


def facts(count: int, agents: int) -> Iterator[FleetEvent]:
    """A fleet's facts in the order in which a recorder hears of them."""
    chance = random.Random(7)
    seqs = [0] * agents
    running: list[Iterator[FleetEvent]] = []
    waiting: dict[str, list[FleetEvent]] = {}
    for at in range(START, START + SPAN, SPAN // count + 1):
        if len(running) < AT_ONCE:
            running.append(_execution(chance, chance.randrange(agents), seqs, at))
        chosen = chance.randrange(len(running))
        event = next(running[chosen], None)
        if event is None:
            running[chosen] = _execution(chance, chance.randrange(agents), seqs, at)
            event = next(running[chosen])
        event = msgspec.structs.replace(event, time=at)
        if agents < 10 or not event.agent.endswith("7"):
            yield event
            continue
        held = waiting.setdefault(event.agent, [])
        held.append(event)
        if at - held[0].time > LATE:
            yield from waiting.pop(event.agent)
    for held in waiting.values():
        yield from held


def _execution(chance: random.Random, agent: int, seqs: list[int], at: int) -> Iterator[FleetEvent]:
    workflow = f"workflow-{min(19, int(chance.expovariate(0.3)))}"
    execution = new_execution_id(at)
    seconds = chance.lognormvariate(0, 1)
    status = "failed" if chance.random() < 0.01 else "completed"
    story = [("workflow.started", "", b'{"trigger": "nats"}')]
    for node in ("fetch", "triage", "alert"):
        told = f'{{"attempt": 1, "duration_seconds": {seconds / 3:.6f}}}'
        story.append((f"node.{status if node == 'alert' else 'completed'}", node, told.encode()))
    end = f'{{"status": "{status}", "duration_seconds": {seconds:.6f}, "statistics": {{"nodes": 3, "attempts": 3}}}}'
    story.append((f"workflow.{status}", "", end.encode()))
    for kind, node, data in story:
        seqs[agent] += 1
        yield FleetEvent(
            agent=f"agent-{agent:04}", epoch="0a1b2c3d", seq=seqs[agent], time=at, kind=kind, workflow=workflow,
            version=1, execution=execution, node=node, data=data,
        )  # fmt: skip


async def _record(store: FleetStore, source: Iterator[FleetEvent], size: int) -> float:
    """Facts per second; making them does not count."""
    spent = 0.0
    count = 0
    while batch := list(islice(source, size)):
        began = time.perf_counter()
        await store.record(batch)
        spent += time.perf_counter() - began
        count += len(batch)
        if count % 100_000 < size:
            say(f"{count:,} facts, {count / spent:,.0f}/s")
    return count / spent


async def _ask(store: FleetStore, times: int) -> list[Row]:
    """Each question, and how many milliseconds its answer takes."""
    some = (await store.events(EventQuery(kinds=("workflow.failed",), limit=1)))[0].event
    middle = START + SPAN // 2
    site = (("site", "site-3"),)
    failed, ended = ("workflow.failed",), ("workflow.*",)
    newest = await store.newest()
    queries = {
        "newest": EventQuery(),
        "page in the middle": EventQuery(before=newest // 2),
        "follow from the middle": EventQuery(after=newest // 2),
        "agent": EventQuery(agents=(some.agent,)),
        "workflow, often": EventQuery(workflows=("workflow-0",)),
        "workflow, rare": EventQuery(workflows=("workflow-18",)),
        "kind": EventQuery(kinds=failed),
        "kinds by pattern": EventQuery(kinds=ended),
        "status": EventQuery(statuses=("failed",)),
        "execution": EventQuery(executions=(some.execution,)),
        "label": EventQuery(labels=site),
        "an hour": EventQuery(since=middle, until=middle + 3_600_000_000),
        "since the middle": EventQuery(since=middle, after=0),
        "agent, kind": EventQuery(agents=(some.agent,), kinds=failed),
        "agent, workflow": EventQuery(agents=(some.agent,), workflows=("workflow-18",)),
        "agent, a day": EventQuery(agents=(some.agent,), since=middle, until=middle + 86_400_000_000),
        "workflow, kind": EventQuery(workflows=("workflow-18",), kinds=failed),
        "workflow, status": EventQuery(workflows=("workflow-0",), statuses=("failed",)),
        "workflow, an hour": EventQuery(workflows=("workflow-0",), since=middle, until=middle + 3_600_000_000),
        "kind, a day": EventQuery(kinds=failed, since=middle, until=middle + 86_400_000_000),
        "label, kind": EventQuery(labels=site, kinds=failed),
        "label, workflow": EventQuery(labels=site, workflows=("workflow-18",)),
        "nothing matches": EventQuery(workflows=("workflow-18",), agents=("agent-0001",), statuses=("cancelled",)),
        "thousand of a kind": EventQuery(kinds=failed, limit=1000),
    }
    rows = []
    for name, query in queries.items():
        taken = []
        for _ in range(times):
            began = time.perf_counter()
            found = await store.events(query)
            taken.append((time.perf_counter() - began) * 1000)
        rows.append(median(BENCH, US, f"query: {name} ({len(found)})", taken, "ms", goal=QUERY_GOAL))
    for name, query in queries.items():
        if name in ("newest", "agent", "kind", "workflow, often", "label, kind", "an hour"):
            began = time.perf_counter()
            count = await store.count(query)
            rows.append(median(BENCH, US, f"count: {name} ({count:,})", [(time.perf_counter() - began) * 1000], "ms"))
    until = START + SPAN
    day = until - 86_400_000_000
    figures = {
        "three days in one row": StatsQuery(
            since=START, until=until, by_agent=False, by_workflow=False, by_window=False
        ),
        "a day, hours by workflow": StatsQuery(since=day, until=until, by_agent=False),
        "a day, agents": StatsQuery(since=day, until=until, by_workflow=False, by_window=False),
        "an hour, minutes": StatsQuery(grain=Grain.MINUTE, since=until - 3_600_000_000, until=until, by_agent=False),
        "a day, sites": StatsQuery(
            since=day, until=until, by_agent=False, by_workflow=False, by_window=False, by_label="site"
        ),
    }  # fmt: skip
    for name, asked in figures.items():
        taken = []
        for _ in range(3):
            began = time.perf_counter()
            windows = await store.stats(asked)
            taken.append((time.perf_counter() - began) * 1000)
        rows.append(median(BENCH, US, f"figures: {name} ({len(windows)})", taken, "ms"))
    return rows


async def _rates(place: Path, count: int) -> list[Row]:
    """Of other fleets, batches and settings."""
    rows: list[Row] = []
    for case, agents, size, synchronous in (
        ("20 agents, batches of 1,000", 20, 1000, "full"),
        ("20 agents, batches of 500", 20, 500, "full"),
        ("20 agents, batches of 100", 20, 100, "full"),
        ("20 agents, batches of 1,000, not synced", 20, 1000, "off"),
        ("1,000 agents, batches of 1,000, not synced", 1000, 1000, "off"),
        ("one agent catches up", 1, 1000, "full"),
    ):
        path = place / f"{len(rows)}.db"
        async with FleetStore.open(path, synchronous=synchronous) as store:
            rows.append(_row(f"recorded: {case}", await _record(store, facts(count, agents), size), "/s", RATE_GOAL))
            if agents == 1:
                again = await _record(store, facts(count, agents), size)
                rows.append(_row("recorded: the same again", again, "/s", RATE_GOAL))
        path.unlink()
    return rows


async def _measure(place: Path, options: argparse.Namespace) -> list[Row]:
    rows = await _rates(place, max(options.events // 10, 10_000))
    path = place / "fleet.db"
    async with FleetStore.open(path) as store:
        await store.remember({f"agent-{n:04}": {"site": f"site-{n % SITES}", "arch": "arm"} for n in range(1000)})
        rate = await _record(store, facts(options.events, 1000), 1000)
        rows.append(_row("recorded: 1,000 agents, batches of 1,000", rate, "/s", RATE_GOAL))
        rows += await _ask(store, options.rounds * 7)
    data = sum(len(event.data) for event in facts(options.events, 1000))
    by_table = sizes(path)
    events = sum(size for table, size in by_table.items() if table.startswith("events"))
    figures = sum(size for table, size in by_table.items() if table in ("windows", "durations"))
    rows.append(_row("bytes per event, beside its data", (events - data) / options.events, "B", SIZE_GOAL))
    rows.append(_row("bytes per event, of figures", figures / options.events, "B"))
    rows.append(_row("bytes per event, of its data", data / options.events, "B"))
    rows.append(_row("size of the file", path.stat().st_size / 1e6, "MB"))
    return rows


def _row(case: str, value: float, unit: str, goal: Goal | None = None) -> Row:
    return median(BENCH, US, case, [value], unit, goal=goal)


def sizes(path: Path) -> dict[str, int]:
    """Bytes of each table and index."""
    with closing(sqlite3.connect(path)) as db:
        return dict(db.execute("SELECT name, SUM(pgsize) FROM dbstat GROUP BY 1"))


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="how many (default 1,000,000)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ganglion-bench-", dir=real_disk(options.dir)) as place:
        rows = uvloop.run(_measure(Path(place), options))
        title = f"{BENCH}: {options.events:,} facts, on {file_system(Path(place))} at {place}"
    show(title, rows, as_json=options.json)
    sys.exit(any(row.goal is not None and not row.goal.met(row.figure.value or 0.0) for row in rows))


if __name__ == "__main__":
    main()
