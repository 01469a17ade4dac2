"""Figures, and the two forms in which they are shown: a table for people, one line of JSON each for machines."""

import statistics
import sys
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec
from rich.console import Console
from rich.table import Table

US = "ganglion"

Better = Literal["more", "less"]


class Goal(msgspec.Struct, frozen=True):
    """What a figure of ours is held to; on a peer's row, how many times the peer's figure ours must be."""

    limit: float
    better: Better = "more"

    def met(self, value: float) -> bool:
        return value >= self.limit if self.better == "more" else value <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.better == 'more' else '≤'} {number(self.limit)}"


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One measured value: the median of its rounds. None: whoever it is of is not installed."""

    bench: str
    who: str
    """ganglion, a peer, or `ceiling`: the same work without an engine."""
    case: str
    value: float | None
    unit: str


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A figure with what only the table shows."""

    figure: Figure
    values: tuple[float, ...] = ()
    """One per round."""
    goal: Goal | None = None


def median(bench: str, who: str, case: str, values: Sequence[float], unit: str, *, goal: Goal | None = None) -> Row:
    """The row of several rounds; without any, that of somebody who is absent."""
    value = statistics.median(values) if values else None
    figure = Figure(bench=bench, who=who, case=case, value=value, unit=unit)
    return Row(figure=figure, values=tuple(values), goal=goal)


def show(title: str, rows: Sequence[Row], *, as_json: bool) -> None:
    """Print the figures to standard output."""
    if as_json:
        for row in rows:
            sys.stdout.write(msgspec.json.encode(row.figure).decode() + "\n")
        sys.stdout.flush()
    else:
        # Wide enough in a log, too: a terminal of 80 columns would cut the names.
        console = Console() if sys.stdout.isatty() else Console(width=120)
        console.print(_table(title, rows))


def number(value: float) -> str:
    """At least three significant digits, thousands set apart."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _table(title: str, rows: Sequence[Row]) -> Table:
    table = Table(title=title, title_justify="left")
    for name in ("case", "who"):
        table.add_column(name)
    for name in ("median", "lowest … highest", "ganglion is", "goal"):
        table.add_column(name, justify="right")
    ours = {row.figure.case: row.values for row in rows if row.figure.who == US}
    case = ""
    for row in rows:
        figure = row.figure
        if case and figure.case != case:
            table.add_section()
        table.add_row("" if figure.case == case else figure.case, figure.who, *_cells(row, ours.get(figure.case, ())))
        case = figure.case
    return table


def _cells(row: Row, ours: Sequence[float]) -> Iterable[str]:
    value, unit = row.figure.value, row.figure.unit
    if value is None:
        return ("not installed", "", "", "")
    lowest, highest = min(row.values), max(row.values)
    spread = f"{number(lowest)} … {number(highest)}" if lowest != highest else ""
    # Round by round: what else the machine does meanwhile, it does to both.
    times = [mine / theirs for mine, theirs in zip(ours, row.values, strict=False)] if row.figure.who != US else []
    beside = f"{number(statistics.median(times))} x" if times else ""
    held = statistics.median(times) if times else value
    goal = f"{row.goal} {'✓' if row.goal.met(held) else '✗'}" if row.goal else ""
    return (f"{number(value)} {unit}", spread, beside, goal)
