"""Who said what in a node in which a model acts, as lines for people."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from agent.cli.screen import clean, short
from engine.control.views import NodeInfo
from engine.values import Json

if TYPE_CHECKING:
    from rich.table import Table

MAX_LINES = 40
FIRST_LINES = 4
"""Of more, so many of the beginning are shown, and the newest."""
LONG = 400
"""Characters of one thing that was said."""
_WHO = {"system": "system", "user": "goal", "assistant": "model", "tool": "tool", "approval": "person"}
_STYLES = {"model": "bold", "person": "yellow", "system": "dim", "goal": "cyan"}


def conversations(nodes: Iterable[NodeInfo]) -> Iterator[NodeInfo]:
    """The nodes, at any depth, that have a transcript."""
    for node in nodes:
        if node.transcript:
            yield node
        for body in node.bodies:
            yield from conversations(body.nodes)


def transcript_table(entries: Sequence[Json], *, whole: bool = False) -> "Table":
    """A line for each thing that was said; `whole`: all of it, as long as it is."""
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    lines = [line for entry in entries for line in _lines(entry, whole)]
    if not whole and len(lines) > MAX_LINES:
        left = ("", f"… {len(lines) - MAX_LINES:,} more lines: --all")
        lines = [*lines[:FIRST_LINES], left, *lines[FIRST_LINES - MAX_LINES :]]
    for who, text in lines:
        style = _STYLES.get(who, "")
        grid.add_row(Text(clean(who), style=style or "dim"), Text(clean(text), style=style if who != "goal" else ""))
    return grid


def _lines(entry: Json, whole: bool) -> Iterator[tuple[str, str]]:
    if not isinstance(entry, dict):
        return
    role, content = str(entry.get("role", "")), entry.get("content")
    text = content if isinstance(content, str) else short(content, LONG)
    calls = entry.get("calls")
    wanted = [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    who = str(entry.get("tool") or "tool") if role == "tool" else _WHO.get(role, role)
    if text and not (wanted and text.lstrip().startswith("{")):  # a call that the model wrote out is told below
        yield who, text if whole else _cut(text)
    for call in wanted:
        yield who, f"{call.get('name')} {short(call.get('arguments'), LONG if not whole else 100_000)}"


def _cut(text: str) -> str:
    return text if len(text) <= LONG else f"{text[:LONG]}… ({len(text):,} characters)"
