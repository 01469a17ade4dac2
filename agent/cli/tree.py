"""The nodes of an execution as lines of a tree: nodes, the bodies in them, the nodes in those."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from agent.cli.remedies import kind_of, message_of
from agent.cli.screen import clean, local_time, seconds, short, state
from engine.control.views import BodyInfo, NodeInfo
from engine.execution.path import read_path

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

_Item: TypeAlias = NodeInfo | BodyInfo | int

SYMBOLS = {
    "completed": "✔",
    "failed": "✘",
    "skipped": "-",
    "cancelled": "◌",
    "running": "▶",
    "retrying": "↻",
    "waiting": "◷",
    "in_doubt": "?",
}
_WORDS = {"completed": "ok", "in_doubt": "in doubt"}
_ORDER = ("completed", "running", "waiting", "in_doubt", "cancelled", "failed")


def node_table(nodes: Iterable[NodeInfo], width: int, *, more: int = 0, whole: bool = False) -> "Table":
    """A line per node; iterations that completed are counted, unless the picture is to be `whole`."""
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("", "NODE", "TYPE", "STATUS", "TRY", "TOOK", "RESULT"):
        grid.add_column(column, no_wrap=True, overflow="ellipsis")
    room = max(30, width - 60)
    for guide, item in _lines(list(nodes), None, whole):
        if isinstance(item, int):
            grid.add_row("", Text(f"{guide}… {item:,} more", style="dim"))
            continue
        name = item.path if not guide else _name(item)
        grid.add_row(
            Text(SYMBOLS.get(item.status, "·"), style=state(item.status).style),
            Text(guide, style="dim") + Text(clean(name)),
            Text(clean(item.type) if isinstance(item, NodeInfo) else "", style="dim"),
            state(item.status),
            _tries(item) if isinstance(item, NodeInfo) else "",
            seconds(item.duration),
            _node_result(item, room) if isinstance(item, NodeInfo) else _body_result(item, room),
        )
    if more:
        grid.add_row("", Text(f"… {more:,} more", style="dim"))
    return grid


def summary(counts: dict[str, int]) -> str:
    """How many bodies are in each state: `9,998 ok · 2 failed`."""
    return " · ".join(f"{counts[name]:,} {_WORDS.get(name, name)}" for name in _ORDER if counts.get(name))


def _lines(items: "Sequence[NodeInfo | BodyInfo]", above: str | None, whole: bool) -> "Iterator[tuple[str, _Item]]":
    """Each line with the guide before it; a number stands for what is left out. `above` is the guide of what holds the
    items, None for the outermost."""
    for place, item in enumerate(items):
        inner = _shown(item, whole)
        left = _left_out(item, inner, whole)
        if above is None:
            lead, below = "", ""
        else:
            is_last = place == len(items) - 1
            lead, below = above + ("└ " if is_last else "├ "), above + ("  " if is_last else "│ ")
        yield lead, item
        yield from _lines(inner, below, whole)
        if left:
            yield f"{below}└ ", left


def _left_out(item: "NodeInfo | BodyInfo", shown: "Sequence[NodeInfo | BodyInfo]", whole: bool) -> int:
    """Bodies that have no line, beside completed iterations, which are counted."""
    if isinstance(item, BodyInfo):
        return 0
    if whole:
        return item.more
    return sum(count for name, count in item.counts.items() if name != "completed") - sum(
        body.status != "completed" for body in shown
    )


def _shown(item: "NodeInfo | BodyInfo", whole: bool) -> "Sequence[NodeInfo | BodyInfo]":
    if isinstance(item, BodyInfo):
        return item.nodes
    return [body for body in item.bodies if whole or body.status != "completed" or not _is_iteration(body)]


def _is_iteration(body: BodyInfo) -> bool:
    return body.path.endswith("]")


def _name(item: "NodeInfo | BodyInfo") -> str:
    """Its own part of the path."""
    if isinstance(item, BodyInfo):
        return read_path(item.path).suffix.removeprefix("/")
    return item.path.rpartition("/")[2]


def _tries(node: NodeInfo) -> str:
    if node.attempt <= 1:
        return ""
    return f"{node.attempt}/{node.retries + 1}" if node.retries else str(node.attempt)


def _node_result(node: NodeInfo, room: int) -> "Text":
    from rich.text import Text

    told = summary(node.counts) if node.more or any(_is_iteration(body) for body in node.bodies) else ""
    lead = f"{told}  " if told else ""
    if node.error and node.status != "completed":
        text = f"{lead}{kind_of(node.error)}: {message_of(node.error).partition(chr(10))[0]}"
        return Text(clean(text)[:room], style="yellow" if node.status == "retrying" else "red")
    if node.waits_for or node.due:
        until = f"until {local_time(node.due)}" if node.due else ""
        waits = f"for {node.waits_for}" if node.waits_for else ""
        return Text(clean(f"{waits} {until}".strip())[:room], style="blue")
    if node.reason:
        return Text(clean(node.reason)[:room], style="dim")
    port = f"→ {node.port}  " if node.port else ""
    child = f"{node.child}  " if node.child else ""
    output = "" if node.output is None else short(node.output, room)
    return Text(clean(f"{lead}{child}{port}{output}")[:room], style="dim")


def _body_result(body: BodyInfo, room: int) -> "Text":
    from rich.text import Text

    value = body.output if body.status == "completed" else body.names
    return Text("" if value is None else clean(short(value, room)), style="dim")
