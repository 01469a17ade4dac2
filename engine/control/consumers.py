"""From rows of use to who used most. Pure."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

import msgspec

from engine.clock import format_time
from engine.control.usage_messages import HourUse, NodeUse, WorkflowUse
from engine.execution.path import BadPath, read_path
from engine.states import NodeState
from engine.store import usage
from engine.store.usage import HOUR, Hour

T = TypeVar("T", WorkflowUse, NodeUse)

GROWING = ("executions", "seconds", "output_bytes", "llm_tokens")
"""What growth is told of."""
DAY, WEEK = 24, 7 * 24
"""Hours."""


def top(found: Iterable[T], by: str, limit: int) -> list[T]:
    """Those that used most."""
    return sorted(found, key=lambda one: (-getattr(one, by), one.workflow))[:limit]


def workflow_uses(hours: Iterable[Hour], day: Iterable[Hour], week: Iterable[Hour]) -> list[WorkflowUse]:
    """What each workflow used, and how that grows from the week before the last day to the last day."""
    last, before = ({one.workflow: one for one in part} for part in (day, week))
    uses = []
    for one in hours:
        growth = _growth(last.get(one.workflow), before.get(one.workflow))
        uses.append(msgspec.convert({**_numbers(one), "workflow": one.workflow, "growth": growth}, WorkflowUse))
    return uses


def node_uses(rows: Iterable[usage.NodeUse]) -> list[NodeUse]:
    """What each node used, over all its iterations and executions."""
    names: dict[str, str] = {}
    sums: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        name = names.get(row.path)
        if name is None:
            name = names[row.path] = _name(row.path)
        if name:
            total = sums.setdefault((row.workflow, name), [0, 0, 0.0, 0, 0, 0])
            total[0] += row.seconds > 0 or row.status == NodeState.COMPLETED
            total[1] += row.status == NodeState.FAILED
            total[2] += row.seconds
            total[3] += row.output_bytes
            total[4] += row.usage.api_calls
            total[5] += row.usage.llm_tokens
    return [
        NodeUse(
            workflow=workflow, node=name, executions=int(runs), failed=int(failed), seconds=seconds,
            output_bytes=int(size), api_calls=int(calls), llm_tokens=int(tokens),
        )
        for (workflow, name), (runs, failed, seconds, size, calls, tokens) in sums.items()
    ]  # fmt: skip


def hour_uses(hours: Sequence[Hour]) -> list[HourUse]:
    """All workflows together, by time."""
    sums: dict[int, dict[str, float]] = {}
    for one in hours:
        total = sums.setdefault(one.hour, dict.fromkeys(_numbers(one), 0))
        for name, value in _numbers(one).items():
            total[name] += value
    return [msgspec.convert({"time": format_time(hour * HOUR), **sums[hour]}, HourUse) for hour in sorted(sums)]


def _name(path: str) -> str:
    """The name of a node; empty for a body."""
    try:
        read = read_path(path)
    except BadPath:
        return ""
    return "" if read.is_body else read.name


def _numbers(one: Hour) -> dict[str, float]:
    return {name: value for name, value in msgspec.structs.asdict(one).items() if name not in ("workflow", "hour")}


def _growth(day: Hour | None, week: Hour | None) -> dict[str, float]:
    if week is None:
        return {}
    rates = {}
    for name in GROWING:
        mean = getattr(week, name) / (WEEK // DAY)
        if mean > 0:
            rates[name] = round((0 if day is None else getattr(day, name)) / mean - 1, 3)
    return rates
