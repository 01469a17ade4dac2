"""`ps`, `show`, `checkpoints`: executions of an agent, one of them in full, and where it could be forked."""

import signal
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.addressed import to_agent, to_fleet
from agent.cli.complete import executions as complete_executions
from agent.cli.complete import nodes as complete_nodes
from agent.cli.complete import workflows as complete_workflows
from agent.cli.failure import Exit, Failure
from agent.cli.fleetwide import show_answer
from agent.cli.options import AsJson
from agent.cli.paging import whole, whole_node
from agent.cli.picture import picture, show_execution, show_node
from agent.cli.reach import Where, ask, talk
from agent.cli.screen import console, local_time, say, seconds, state, table, write_json
from agent.cli.watching import watched
from engine.control.messages import ExecutionInfo, Executions, List
from engine.control.views import CheckpointList, Checkpoints, Show, Shown
from engine.states import FINISHED, ExecutionState

if TYPE_CHECKING:
    from mesh.client import ServiceClient

Id = Annotated[
    str, typer.Argument(help="An execution's id, or the beginning of it.", autocompletion=complete_executions)
]
OPEN = [status.value for status in ExecutionState if status not in FINISHED]


@to_fleet
def ps(
    all: Annotated[bool, typer.Option("--all", "-a", help="Finished ones too.")] = False,
    status: Annotated[
        list[str] | None, typer.Option("--status", "-s", help="Only these states; repeatable.", show_default=False)
    ] = None,
    workflow: Annotated[
        str | None,
        typer.Option("--workflow", "-w", help="Only of this workflow.", autocompletion=complete_workflows,
                     show_default=False),
    ] = None,
    tree: Annotated[bool, typer.Option("--tree", help="Executions that others started, below these.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many.")] = 20,
    *,
    where: Where,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """List executions, newest first: those that are not finished, and the newest finished ones with --all."""
    known = [found.value for found in ExecutionState]
    for name in status or ():
        if name not in known:
            raise Failure(f"--status {name}: expected one of {', '.join(known)}")
    wanted = status or ([] if all else OPEN)
    request = List(workflow=workflow, status=wanted, limit=limit, tree=tree)
    empty = "no executions" if all or status else "no open executions; finished ones: ganglion ps --all"
    show = partial(_list, request=request, empty=empty)
    show_answer(where, "list", request, Executions, show, _in_lines, as_json=as_json)


@to_agent
def show(
    id: Id,
    node: Annotated[
        str | None,
        typer.Option("--node", help="Only this node or iteration, in full: fetch, scan[17], scan[17]/fetch.",
                     autocompletion=complete_nodes, show_default=False),
    ] = None,
    all: Annotated[bool, typer.Option("--all", "-a", help="Iterations that completed, too.")] = False,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Stay until its end; exit code 1 if it does not complete.")
    ] = False,
    *,
    where: Where,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Show one execution: the tree of its nodes with states, times, attempts, what failed and what to do about it.

    With --json the whole tree is one document; with --follow there is one for each change.
    """
    if follow and (node or all):
        raise Failure("--follow shows the whole execution: leave out --node and --all")

    async def look(client: "ServiceClient") -> Shown:
        if node and not all:
            return await client.call("show", Show(execution=id, node=node), Shown)
        if node:
            return await whole_node(client, id, node)
        if all or as_json:
            return await whole(client, id)
        return await client.call("show", Show(execution=id), Shown)

    if follow:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C leaves it alone
        shown = talk(where, lambda client: _follow(client, id, as_json=as_json))
        raise typer.Exit(exit_code(shown.info.status))
    shown = talk(where, look)
    if as_json:
        write_json(shown)
    elif node:
        show_node(shown, node, whole=all)
    else:
        show_execution(shown, whole=all)


@to_agent
def checkpoints(
    id: Id,
    after: Annotated[int, typer.Option("--after", min=0, help="Those that follow this number.")] = 0,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many.")] = 100,
    *,
    where: Where,
    as_json: AsJson = False,
) -> None:
    """List the checkpoints of an execution, for `fork --at`."""
    request = Checkpoints(execution=id, after=after, limit=limit)
    answer = ask(where, "checkpoints", request, CheckpointList)
    if as_json:
        write_json(answer)
        return
    if not answer.checkpoints:
        say(f"{answer.execution} has no checkpoints{' after that' if after else ' yet'}")
        return
    table(
        ("SEQ", "TIME", "NODE", "STATUS"),
        ((str(point.seq), local_time(point.time), point.node, state(point.status)) for point in answer.checkpoints),
    )
    if len(answer.checkpoints) == limit:
        say(f"… and perhaps more: --after {answer.checkpoints[-1].seq}")


def exit_code(status: str) -> Exit:
    """What a finished execution means to a script."""
    return Exit.OK if status in ("completed", "partial") else Exit.FAILED


async def _follow(client: "ServiceClient", id: str, *, as_json: bool) -> Shown:
    """The execution's end; on a terminal it is drawn again with each change."""
    from rich.console import Group
    from rich.live import Live

    screen = console()
    drawing = screen.is_terminal and not as_json
    with Live(console=screen, transient=True, auto_refresh=False) if drawing else nullcontext() as live:
        async for shown in watched(client, Show(execution=id)):
            if live is not None:
                live.update(Group(*picture(shown, screen.width)), refresh=True)
            elif as_json:
                write_json(shown)
    if not as_json:
        show_execution(shown)
    return shown


def _list(answer: Executions, request: List, empty: str) -> None:
    if not answer.executions:
        say(empty)
        return
    has_parents = not request.tree and any(info.parent for info in answer.executions)
    rows = _nested(answer.executions) if request.tree else [("", info) for info in answer.executions]
    table(
        ("ID", "WORKFLOW", "STATUS", "DONE", "STARTED", "TOOK", *(["PARENT"] if has_parents else []), ""),
        (
            (
                guide + info.execution,
                f"{info.workflow}@{info.version}",
                state(info.status),
                f"{info.settled}/{info.total}" if info.total else "",
                local_time(info.started_at or info.created_at),
                seconds(info.duration),
                *([info.parent] if has_parents else []),
                _remark(info),
            )
            for guide, info in rows
        ),
    )
    if sum(not guide for guide, _ in rows) == request.limit:
        say(f"… and perhaps more: -n {request.limit * 5}")


def _in_lines(answer: Executions) -> str:
    return "\n".join(
        f"{info.execution}  {info.workflow}@{info.version}  {info.status}  "
        f"{local_time(info.started_at or info.created_at)}  {seconds(info.duration)}  {_remark(info)}".rstrip()
        for info in answer.executions
    ) or "no executions"  # fmt: skip


def _nested(infos: Sequence[ExecutionInfo]) -> list[tuple[str, ExecutionInfo]]:
    """Children below their parents, each with the guide before it."""
    known = {info.execution for info in infos}
    below: dict[str, list[ExecutionInfo]] = {}
    for info in sorted(infos, key=lambda info: info.num):
        if info.parent in known:
            below.setdefault(info.parent, []).append(info)
    rows: list[tuple[str, ExecutionInfo]] = []
    waiting = [("", "", info) for info in sorted(infos, key=lambda info: info.num) if info.parent not in known]
    while waiting:
        guide, under, info = waiting.pop()
        rows.append((guide, info))
        inner = below.get(info.execution, [])
        for place, child in reversed(list(enumerate(inner))):
            is_last = place == len(inner) - 1
            waiting.append((under + ("└ " if is_last else "├ "), under + ("  " if is_last else "│ "), child))
    return rows


def _remark(info: ExecutionInfo) -> str:
    """Why it does not go on, or why it ended."""
    if info.error:
        return info.error[:80]
    if info.waits_for or info.due:
        waits = f"for {info.waits_for} " if info.waits_for else ""
        until = f"until {local_time(info.due)}" if info.due else ""
        return f"{info.waits_in}: {waits}{until}".strip() if info.waits_in else f"waits {waits}{until}".strip()
    return f"fork of {info.forked_from}" if info.forked_from else ""
