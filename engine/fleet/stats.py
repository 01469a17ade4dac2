"""Figures of any selection: sums of windows, and quantiles of the sums of their durations."""

import sqlite3
from collections.abc import Iterable

from engine.fleet.figures import COUNTS, NUMBER, SECONDS, WHOLE_HOUR
from engine.fleet.query import Grain, StatsQuery, Window
from engine.fleet.selection import select_agents
from engine.fleet.sketch import quantiles

Group = tuple[int, int, int, str]
"""Window, agent, workflow, label; 0 or empty where they are merged."""


def stats(db: sqlite3.Connection, query: StatsQuery) -> list[Window]:
    """Oldest window first, then by agent, workflow and label."""
    db.execute("BEGIN")  # windows and durations of the same commit
    try:
        return _stats(db, query)
    finally:
        db.execute("COMMIT")


def _stats(db: sqlite3.Connection, query: StatsQuery) -> list[Window]:
    agents = select_agents(db, query.agents, query.labels)
    workflows = dict(db.execute("SELECT id, name FROM workflows"))
    wanted = [id for id, name in workflows.items() if name in query.workflows] if query.workflows else None
    source, arguments = _source(query, agents, wanted)
    told, apart = _grouping(query)
    durations: dict[Group, dict[int, int]] = {}
    for *group, bucket, count in db.execute(
        f"SELECT {told}, d.bucket, SUM(d.count) FROM durations d {source} GROUP BY {', '.join([*apart, 'd.bucket'])}",
        arguments,
    ):
        durations.setdefault((group[0], group[1], group[2], group[3]), {})[bucket] = count
    sums = ", ".join(f"SUM(d.{column})" for column in COUNTS)
    rows = db.execute(
        f"SELECT {told}, MIN(d.start), TOTAL(d.micros), MAX(d.longest), {sums} FROM windows d {source} "
        f"{'GROUP BY' if apart else 'HAVING COUNT(*)'} {', '.join(apart)}",
        arguments,
    )
    names = dict(db.execute("SELECT id, name FROM agents"))
    unit = SECONDS[query.grain] * 1_000_000
    windows = [
        _window(
            first * unit, names.get(agent, ""), workflows.get(workflow, ""), label, counts, micros, longest,
            durations.get((start, agent, workflow, label)),
        )
        for start, agent, workflow, label, first, micros, longest, *counts in rows
    ]  # fmt: skip
    return sorted(windows, key=lambda window: (window.start, window.agent, window.workflow, window.label))


def _source(
    query: StatsQuery, agents: Iterable[int] | None, workflows: Iterable[int] | None
) -> tuple[str, list[object]]:
    """What follows FROM, but for the grouping."""
    unit = SECONDS[query.grain] * 1_000_000
    join, arguments = "", list[object]()
    if query.by_label:
        join = "LEFT JOIN labels l ON l.agent = d.agent AND l.name = ? "
        arguments.append(query.by_label)
    where = ["d.grain = ?", "d.start >= ?", "d.start < ?"]
    whole = query.grain is Grain.HOUR and not query.by_agent and not query.by_label and agents is None
    number = WHOLE_HOUR if whole else NUMBER[query.grain]
    arguments += [number, -(-query.since // unit), -(-query.until // unit)]
    for column, ids in (("agent", agents), ("workflow", workflows)):
        if ids is not None:
            where.append(f"d.{column} IN ({', '.join(map(str, ids))})")
    return f"{join}WHERE {' AND '.join(where)}", arguments


def _grouping(query: StatsQuery) -> tuple[str, list[str]]:
    """What is told of a group, and what groups are told apart by, in the order of the table."""
    columns = (
        ("d.start", query.by_window, "0"),
        ("d.agent", query.by_agent, "0"),
        ("d.workflow", query.by_workflow, "0"),
        ("COALESCE(l.value, '')", bool(query.by_label), "''"),
    )
    told = [column if apart else merged for column, apart, merged in columns]
    return ", ".join(told), [column for column, apart, _ in columns if apart]


def _window(
    start: int, agent: str, workflow: str, label: str, counts: list[int], micros: float, longest: int,
    durations: dict[int, int] | None,
) -> Window:  # fmt: skip
    by_name = dict(zip(COUNTS, counts, strict=True))
    ended = by_name["completed"] + by_name["partial"] + by_name["failed"]
    rate = by_name["failed"] / ended if ended else None
    if not durations:
        return Window(start=start, agent=agent, workflow=workflow, label=label, failure_rate=rate, **by_name)
    p50, p95, p99 = (min(micros, longest) / 1e6 for micros in quantiles(durations, 0.5, 0.95, 0.99))
    return Window(
        start=start, agent=agent, workflow=workflow, label=label, failure_rate=rate,
        mean=micros / sum(durations.values()) / 1e6, p50=p50, p95=p95, p99=p99, longest=longest / 1e6, **by_name,
    )  # fmt: skip
