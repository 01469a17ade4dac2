"""One execution as people see it: a head, a line per node, its result."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from agent.cli.screen import clean, console, local_time, say, seconds, short, state
from engine.control.views import NodeInfo, Shown
from engine.values import Json

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

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
REMEDIES = {
    "in_doubt": "nobody knows whether it happened: look, then `ganglion resolve {id} {node} "
    "--completed JSON | --failed MESSAGE | --retry`",
}


def show_execution(shown: Shown) -> None:
    """The whole picture on standard output."""
    from rich.text import Text

    info = shown.info
    screen = console()
    head = Text.assemble((info.execution, "bold"), "  ", clean(f"{info.workflow}@{info.version}"), "  ")
    screen.print(head + state(info.status) + Text(f"  {seconds(info.duration)}", style="dim"))
    say(f"started {local_time(info.started_at) or '(not yet)'} by {_origin(shown.trigger)}")
    if shown.params:
        say(f"params  {short(shown.params, 160)}")
    say()
    screen.print(node_table(shown.nodes, screen.width))
    for node in shown.nodes:
        if node.status in REMEDIES:
            screen.print(Text(f"\n{node.path}: " + REMEDIES[node.status].format(id=info.execution, node=node.path)))
    if shown.error:
        where = f" in {shown.error.get('node')}" if shown.error.get("node") else ""
        message = clean(f"\n{shown.error.get('kind', 'error')}{where}: {shown.error.get('message', '')}")
        screen.print(Text(message, style="bold red"))
    elif shown.outputs is not None:
        say(f"\noutputs {short(shown.outputs, 2000)}")


def node_table(nodes: Iterable[NodeInfo], width: int) -> "Table":
    """A line per node."""
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("", "NODE", "TYPE", "STATUS", "TRY", "TOOK", "RESULT"):
        grid.add_column(column, no_wrap=True, overflow="ellipsis")
    room = max(30, width - 60)
    for node in nodes:
        grid.add_row(
            Text(SYMBOLS.get(node.status, "·"), style=state(node.status).style),
            clean(node.path),
            Text(clean(node.type), style="dim"),
            state(node.status),
            str(node.attempt) if node.attempt > 1 else "",
            seconds(node.duration),
            _result(node, room),
        )
    return grid


def _result(node: NodeInfo, room: int) -> "Text":
    from rich.text import Text

    if node.error:
        error: Mapping[str, Json] = node.error if isinstance(node.error, dict) else {"message": str(node.error)}
        return Text(clean(f"{error.get('kind', '')}: {error.get('message', '')}")[:room], style="red")
    if node.due:
        return Text(f"until {local_time(node.due)}", style="blue")
    port = f"→ {node.port}  " if node.port else ""
    return Text(port + ("" if node.output is None else clean(short(node.output, room))), style="dim")


def _origin(trigger: Json) -> str:
    if not isinstance(trigger, dict):
        return "hand"
    subject = trigger.get("subject") or trigger.get("kind") or "hand"
    return f"{subject}  {short(trigger.get('data'), 120)}"
