"""`ps`, `show`: executions of an agent, and one of them in full."""

from typing import Annotated

import typer

from agent.cli.complete import executions as complete_executions
from agent.cli.complete import workflows as complete_workflows
from agent.cli.failure import Exit, Failure
from agent.cli.options import AgentName, AsJson, ConfigFile, DataDir, Url
from agent.cli.picture import show_execution
from agent.cli.reach import Where, ask
from agent.cli.screen import local_time, say, seconds, state, table, write_json
from engine.control.messages import Executions, List
from engine.control.views import Show, Shown
from engine.states import FINISHED, ExecutionState

Id = Annotated[
    str, typer.Argument(help="An execution's id, or the beginning of it.", autocompletion=complete_executions)
]
OPEN = [status.value for status in ExecutionState if status not in FINISHED]


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
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many.")] = 20,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    url: Url = None,
    agent: AgentName = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """List executions, newest first: those that are not finished, and the newest finished ones with --all."""
    known = [found.value for found in ExecutionState]
    for name in status or ():
        if name not in known:
            raise Failure(f"--status {name}: expected one of {', '.join(known)}")
    wanted = status or ([] if all else OPEN)
    request = List(workflow=workflow, status=wanted, limit=limit)
    answer = ask(Where(config, data_dir, url, agent), "list", request, Executions)
    if as_json:
        write_json(answer)
        return
    if not answer.executions:
        say("no executions" if all or status else "no open executions; finished ones: ganglion ps --all")
        return
    table(
        ("ID", "WORKFLOW", "STATUS", "STARTED", "TOOK", "ERROR"),
        (
            (
                info.execution,
                f"{info.workflow}@{info.version}",
                state(info.status),
                local_time(info.started_at or info.created_at),
                seconds(info.duration),
                info.error[:80],
            )
            for info in answer.executions
        ),
    )
    if len(answer.executions) == limit:
        say(f"… and perhaps more: -n {limit * 5}")


def show(
    id: Id,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    url: Url = None,
    agent: AgentName = None,
    as_json: AsJson = False,
) -> None:
    """Show one execution: its nodes with their states, times, attempts, outputs and errors."""
    answer = ask(Where(config, data_dir, url, agent), "show", Show(execution=id), Shown)
    if as_json:
        write_json(answer)
    else:
        show_execution(answer)


def exit_code(status: str) -> Exit:
    """What a finished execution means to a script."""
    return Exit.OK if status in ("completed", "partial") else Exit.FAILED
