"""One execution as people see it: a head, the tree of its nodes, what went wrong and what to do next, its result."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from agent.cli.remedies import kind_of, message_of, node_remedy, remedy, whole_remedy
from agent.cli.screen import clean, console, local_time, say, seconds, short, state
from agent.cli.transcript import conversations, transcript_table
from agent.cli.tree import node_table, summary
from agent.cli.used import used_by, used_in_all
from engine.control.views import NodeInfo, Shown
from engine.values import Json

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

MAX_DETAILS = 5
"""Nodes that are told about one by one."""
VALUE_WIDTH = 160
MAX_LINES = 40
"""Of one value."""
_NOTEWORTHY = frozenset({"failed", "in_doubt", "waiting", "retrying"})


def show_execution(shown: Shown, *, whole: bool = False, kept: bool = True) -> None:
    """The whole picture on standard output. `kept`: an agent has the execution, so that something can be done."""
    for part in picture(shown, console().width, whole=whole, kept=kept):
        console().print(part)


def picture(shown: Shown, width: int, *, whole: bool = False, kept: bool = True) -> "Iterator[RenderableType]":
    """The same as what a terminal is given, part by part."""
    from rich.text import Text

    yield from _head(shown)
    yield Text()
    yield node_table(shown.nodes, width, more=shown.more, whole=whole)
    for node in conversations(shown.nodes):
        yield Text(f"\n{clean(node.path)}  who said what", style="bold")
        yield transcript_table(node.transcript, whole=whole)
    used = used_in_all(shown.usage)
    if used:
        yield Text(f"\n{used}", style="dim")
    noteworthy = list(_leaves(shown.nodes))
    for node in noteworthy[:MAX_DETAILS]:
        yield from _details(shown, node, kept)
    if len(noteworthy) > MAX_DETAILS:
        yield Text(f"\n… and {len(noteworthy) - MAX_DETAILS} more; --node PATH shows one in full", style="dim")
    told = {node.path for node in noteworthy[:MAX_DETAILS] if node.status == "failed"}
    if shown.error:
        yield from _error(shown, not told and kept)
    elif shown.outputs is not None:
        yield Text(clean(f"\noutputs {short(shown.outputs, 2000)}"))
    advice = "" if told or not kept else whole_remedy(shown.info)
    if advice:
        yield Text(f"\n{advice}", style="dim")


def show_node(shown: Shown, path: str, *, whole: bool = False) -> None:
    """One node or body in full on standard output."""
    from rich.text import Text

    screen = console()
    [node] = shown.nodes
    screen.print(node_table([node], screen.width, whole=True))
    say()
    info = shown.info
    say(f"execution  {info.execution}  {info.workflow}@{info.version}  {info.status}")
    body = next((body for body in node.bodies if body.path == path), None)
    lines: list[tuple[str, Json]]
    values: list[tuple[str, Json]]
    if body is not None:
        lines = [("started", local_time(body.started_at)), ("ended", local_time(body.finished_at))]
        values = [("opened with", body.names), ("output", body.output), ("error", body.error)]
    else:
        lines = [
            ("started", local_time(node.started_at)),
            ("ended", local_time(node.finished_at)),
            ("attempts", f"{node.attempt} of {node.retries + 1}" if node.retries else str(node.attempt)),
            ("needs", ", ".join(node.needs)),
            ("port", node.port or ""),
            ("child", node.child),
            ("used", used_by(node)),
            ("skipped", node.reason),
            ("waits", " ".join(filter(None, (node.waits_for, node.due and f"until {local_time(node.due)}")))),
        ]
        values = [("inputs", node.inputs), ("output", node.output), ("error", node.error)]
    for name, text in lines:
        if text:
            say(f"{name:<10} {text}")
    for name, value in values:
        if value is not None:
            say(f"\n{name}")
            say(_pretty(value, MAX_LINES if not whole else None))
    for holder in conversations([node]):
        say(f"\n{holder.path}  who said what")
        screen.print(transcript_table(holder.transcript, whole=True))
    if node.cut:
        say("\n(what is longer is cut)")
    if body is None and (advice := node_remedy(info.execution, node)):
        screen.print(Text(f"\nnext  {clean(advice)}", style="bold"))


def _head(shown: Shown) -> "Iterator[Text]":
    from rich.text import Text

    info = shown.info
    head = Text.assemble((info.execution, "bold"), "  ", clean(f"{info.workflow}@{info.version}"), "  ")
    yield head + state(info.status) + Text(f"  {seconds(info.duration)}", style="dim")
    yield Text(clean(f"started {local_time(info.started_at) or '(not yet)'} by {_origin(shown.trigger)}"))
    if shown.params:
        yield Text(clean(f"params  {short(shown.params, VALUE_WIDTH)}"))
    if info.retried_at:
        yield Text(f"retried {local_time(info.retried_at)}")
    if info.forked_from:
        yield Text(f"forked from {info.forked_from}")
    if info.parent:
        yield Text(clean(f"parent  {info.parent}  {info.parent_path}"))
    for child in shown.children[:10]:
        line = Text(clean(f"child   {child.execution}  {child.workflow}@{child.version}  {child.path}  "))
        yield line + state(child.status)
    if len(shown.children) > 10:
        yield Text(f"        … {len(shown.children) - 10} more children: ganglion ps --tree --all", style="dim")
    if shown.statistics is not None and (shown.statistics.bodies or shown.statistics.retried):
        numbers = shown.statistics
        parts = [f"{sum(numbers.nodes.values()):,} nodes, {numbers.attempts:,} attempts"]
        if numbers.retried:
            parts.append(f"{numbers.retried:,} of them retries")
        if numbers.bodies:
            parts.append(f"bodies {summary(numbers.bodies)}")
        yield Text(", ".join(parts), style="dim")


def _leaves(nodes: Sequence[NodeInfo]) -> Iterator[NodeInfo]:
    """The nodes that are the reason, not those that only hold them. What a completed node handled is none."""
    for node in nodes:
        if node.status == "completed":
            continue
        inner = [leaf for body in node.bodies if body.status != "completed" for leaf in _leaves(body.nodes)]
        if inner:
            yield from inner
        elif node.status in _NOTEWORTHY:
            yield node


def _details(shown: Shown, node: NodeInfo, kept: bool) -> "Iterator[Text]":
    """What happened to a node, with what it was given, and what to do."""
    from rich.text import Text

    advice = node_remedy(shown.info.execution, node)
    if node.status not in ("failed", "in_doubt", "retrying") and not advice:
        return
    title = Text(f"\n{clean(node.path)} ", style="bold")
    if node.error:
        kind, message = kind_of(node.error), message_of(node.error)
        tries = f", attempt {node.attempt} of {node.retries + 1}" if node.retries else ""
        yield title + Text(clean(f"{node.status} ({kind}{tries}): {message}"), style="bold red")
    else:
        waits = f" for {node.waits_for}" if node.waits_for else ""
        yield title + Text(clean(f"{node.status.replace('_', ' ')}{waits}"), style="bold")
    if node.inputs:
        yield Text(clean(f"  inputs  {short(node.inputs, VALUE_WIDTH)}"))
    if node.status == "retrying":
        yield Text(f"  again   {local_time(node.due)}")
    elif advice and kept:
        yield Text(clean(f"  next    {advice}"))


def _error(shown: Shown, advise: bool) -> "Iterator[Text]":
    """The execution's own error, and what to do unless a node told that."""
    from rich.text import Text

    kind, message = kind_of(shown.error) or "error", message_of(shown.error)
    node = shown.error.get("node") if isinstance(shown.error, dict) else None
    where = f" in {node}" if node else ""
    if node:  # which has told all of it above
        message = message.partition("\n")[0]
    yield Text(clean(f"\n{kind}{where}: {message}"), style="bold red" if kind != "cancelled" else "yellow")
    if advise and kind != "cancelled":
        yield Text(clean(f"next    {remedy(shown.info.execution, kind, node or '')}"))


def _origin(trigger: Json) -> str:
    if not isinstance(trigger, dict):
        return "hand"
    subject = trigger.get("subject") or trigger.get("kind") or "hand"
    return f"{subject}  {short(trigger.get('data'), 120)}"


def _pretty(value: Json, limit: int | None) -> str:
    lines = msgspec.json.format(msgspec.json.encode(value)).decode().splitlines()
    if limit is None or len(lines) <= limit:
        return "\n".join(lines)
    return "\n".join([*lines[:limit], f"… {len(lines) - limit:,} more lines: --all"])
