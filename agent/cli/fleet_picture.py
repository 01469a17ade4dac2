"""A look at a fleet as a terminal shows it: the pulse, workflows, agents, what failed last."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent.cli.bars import bar, sparkline
from agent.cli.fleet_look import View
from agent.cli.fleet_table import HERE, Line, told
from agent.cli.follow import Shown
from agent.cli.screen import clean, local_time, seconds, state
from agent.cli.stats import ended, rate
from engine.control.fleet_messages import FleetWindow

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

ROWS = 8
PULSE_WIDTH = 120


def picture(view: View, minutes: int) -> "RenderableType":
    """All of it, as a terminal is given it."""
    from rich.console import Group
    from rich.text import Text

    head = Text().append(f"{view.time}  ", style="dim")
    head.append(told(view.agents), style="bold")
    head.append(f"; {view.summary['running']} running, {view.summary['queued']} queued")
    head.append(f"; recorded by {view.recorder}" if view.recorder else "", style="dim")
    parts: list[RenderableType] = [head]
    if view.problem:
        parts.append(Text(clean(view.problem), style="yellow"))
    if view.recorder:
        parts += [Text(), _pulse(view, minutes), Text(), _workflows(view, minutes)]
    parts += [Text(), _agents(view, minutes)]
    if view.failures:
        parts += [Text(), _failures(view.failures)]
    return Group(*parts)


def _pulse(view: View, minutes: int) -> "RenderableType":
    """Executions that ended, a column for each minute."""
    from rich.text import Text

    counts = {one.start[:16]: ended(one) for one in view.minutes}
    now = int(time.time()) // 60
    moments = [time.strftime("%Y-%m-%dT%H:%M", time.gmtime((now - back) * 60)) for back in range(minutes - 1, -1, -1)]
    values = [counts.get(moment, 0) for moment in moments[-PULSE_WIDTH:]]
    total, failed = sum(map(ended, view.minutes)), sum(one.failed for one in view.minutes)
    line = Text().append(f"ended in {minutes} min  ", style="dim")
    line.append(sparkline(values), style="cyan")
    line.append(f"  {total:,}, {total / minutes:.1f}/min, the most {max(values, default=0)}/min")
    line.append(f"; {failed:,} failed ({rate(failed, total)})" if failed else "", style="bold red")
    return line


def _workflows(view: View, minutes: int) -> "Table":
    grid = _grid("WORKFLOW", "PER MIN", "", "FAILED", "RATE", "P50", "P95")
    shown = [one for one in view.workflows if ended(one) or one.started]
    most = max((ended(one) for one in shown), default=0)
    for one in shown[:ROWS]:
        grid.add_row(
            clean(one.workflow),
            f"{ended(one) / minutes:.1f}",
            _styled(bar(ended(one) / most if most else 0), "cyan"),
            _styled(f"{one.failed:,}" if one.failed else "", "bold red"),
            rate(one.failed, ended(one)) if one.failed else "",
            seconds(one.p50),
            seconds(one.p95),
        )
    _rest(grid, len(shown))
    return grid


def _agents(view: View, minutes: int) -> "Table":
    """Those in trouble, then the busiest."""
    ends = {one.agent: one for one in view.by_agent}
    columns = ("AGENT", "STATE", "LOAD", "", "RUNNING", "QUEUED")
    grid = _grid(*columns, *(("PER MIN", "FAILED", "P95") if view.recorder else ()))
    order = sorted(
        (line for line in view.agents if line.info.state != "stopped"),
        key=lambda line: (line.attention if line.info.state not in HERE else 5, -_work(line, ends), line.info.agent),
    )
    for line in order[:ROWS]:
        info, one = line.info, ends.get(line.info.agent)
        row: list[str | Text] = [
            info.agent, state(info.state), f"{info.load:.0%}" if info.state in HERE else "",
            _styled(bar(info.load if info.state in HERE else 0), "cyan"), str(info.running or ""),
            str(info.queued or ""),
        ]  # fmt: skip
        if view.recorder:
            row += [
                f"{ended(one) / minutes:.1f}" if one else "",
                _styled(f"{one.failed:,}" if one and one.failed else "", "bold red"),
                seconds(one.p95 if one else None),
            ]
        grid.add_row(*row)
    _rest(grid, len(order))
    return grid


def _work(line: Line, ends: dict[str, FleetWindow]) -> float:
    one = ends.get(line.info.agent)
    return (ended(one) if one else 0) + line.info.running + line.info.queued + line.info.load


def _failures(failures: Sequence[Shown]) -> "Table":
    grid = _grid("FAILED AT", "AGENT", "WORKFLOW", "EXECUTION", "WHY")
    for event in failures:
        data = event.get("data")
        error = data.get("error") if isinstance(data, dict) else None
        why = error.get("message", "") if isinstance(error, dict) else ""
        grid.add_row(
            local_time(event.get("time")),
            clean(str(event.get("source", "")).rpartition("/")[2]),
            clean(str(event.get("workflow", ""))),
            clean(str(event.get("subject", ""))),
            _styled(clean(" ".join(str(why).split()))[:100], "red"),
        )
    return grid


def _grid(*columns: str) -> "Table":
    from rich.table import Table

    grid = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        grid.add_column(column, no_wrap=True, overflow="ellipsis")
    return grid


def _rest(grid: "Table", count: int) -> None:
    if count > ROWS:
        grid.add_row(_styled(f"… and {count - ROWS} more", "dim"))


def _styled(text: str, style: str) -> "Text":
    from rich.text import Text

    return Text(text, style=style)
