"""`events`: what happened, and what happens now."""

import signal
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.addressed import to_agent
from agent.cli.complete import executions as complete_executions
from agent.cli.complete import workflows as complete_workflows
from agent.cli.failure import Exit, Failure
from agent.cli.follow import Shown, Wanted, following, past
from agent.cli.options import AsJson
from agent.cli.reach import Where, talk
from agent.cli.screen import console, local_time, short, state, write_json
from engine.events import Kind

if TYPE_CHECKING:
    from mesh.client import ServiceClient


@to_agent
def events(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what happens from now on.")] = False,
    live: Annotated[bool, typer.Option("--live", help="With -f: live events too (node.started, progress …).")] = False,
    workflow: Annotated[
        str | None,
        typer.Option("--workflow", "-w", help="Only of this workflow.", autocompletion=complete_workflows,
                     show_default=False),
    ] = None,
    execution: Annotated[
        str | None,
        typer.Option("--execution", "-e", help="Only of this execution.", autocompletion=complete_executions,
                     show_default=False),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", "-k", help="Only these kinds, or their first word; repeatable.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, max=1000, help="How many of the past.")] = 20,
    after: Annotated[
        int | None, typer.Option("--after", min=0, help="Those that follow this sequence.", show_default=False)
    ] = None,
    *,
    where: Where,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Show what happened: facts, numbered without gaps; with -f also what happens from now on.

    With --json every event is a line: a CloudEvent, as on the wire.
    """
    known = {word for found in Kind for word in (found.value, found.value.partition(".")[0])}
    for name in kind or ():
        if name not in known:
            raise Failure(f"--kind {name}: expected one of {', '.join(Kind)}")
    wanted = Wanted(workflow=workflow, execution=execution, kinds=tuple(kind or ()))
    show = write_json if as_json else print_event

    async def conversation(client: "ServiceClient") -> None:
        if not follow:
            for event in await past(client, wanted, limit, after):
                show(event)
            return
        async for event in following(client, wanted, limit, after, live=live):
            show(event)
        raise Failure(f"the connection to {client.url} is lost", Exit.UNREACHABLE)

    if follow:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C is the normal end
    talk(where, conversation)


def print_event(event: Shown) -> None:
    """One line."""
    from rich.text import Text

    kind = str(event.get("type", "")).removeprefix("ganglion.")
    line = Text(f"{event.get('sequence') or '·':>6}  ", style="dim")
    line.append(f"{local_time(event.get('time'))}  ", style="dim")
    line.append(f"{kind:<20} ", style=state(kind.rpartition(".")[2]).style)
    workflow = event.get("workflow", "_")
    line.append(f"{'' if workflow == '_' else workflow}  ")
    line.append(f"{event.get('subject', '')}  ", style="dim")
    line.append(f"{event.get('node', '')}  ", style="bold")
    data = event.get("data")
    line.append(short(data, 120) if data else "", style="dim")
    console().print(line)
