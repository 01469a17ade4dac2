"""`events`: what happened, and what happens now."""

import signal
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.addressed import to_agent
from agent.cli.complete import agents as complete_agents
from agent.cli.complete import executions as complete_executions
from agent.cli.complete import workflows as complete_workflows
from agent.cli.failure import Exit, Failure
from agent.cli.fleet_events import STATUSES, kind_patterns, show_events, statuses
from agent.cli.follow import Shown, Wanted, following, past
from agent.cli.options import AsJson
from agent.cli.reach import Where, talk
from agent.cli.recorder import label_pairs
from agent.cli.screen import console, local_time, short, state, write_json
from engine.control.fleet_messages import FleetEvents
from engine.events import Kind

if TYPE_CHECKING:
    from mesh.client import ServiceClient

FLEET = "The whole fleet"


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
        int | None, typer.Option("--after", min=0, help="Those that follow this number.", show_default=False)
    ] = None,
    fleet: Annotated[
        bool, typer.Option("--fleet", help="Of all agents, from the record of one of them.", rich_help_panel=FLEET)
    ] = False,
    on: Annotated[
        list[str] | None,
        typer.Option("--on", help="Only of this agent; repeatable.", show_default=False, metavar="AGENT",
                     autocompletion=complete_agents, rich_help_panel=FLEET),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", "-l", help="Only of agents with this label, such as site=berlin; repeatable.",
                     show_default=False, rich_help_panel=FLEET),
    ] = None,
    status: Annotated[
        list[str] | None,
        typer.Option("--status", "-s", help=f"Only how executions ended: {', '.join(STATUSES)}; repeatable.",
                     show_default=False, rich_help_panel=FLEET),
    ] = None,
    since: Annotated[
        str, typer.Option("--since", help="What happened since then: 2h, or an RFC 3339 time.", show_default=False,
                          rich_help_panel=FLEET)
    ] = "",
    until: Annotated[
        str, typer.Option("--until", help="What happened before then.", show_default=False, rich_help_panel=FLEET)
    ] = "",
    recorder: Annotated[
        str | None,
        typer.Option("--recorder", help="Id of the agent that records, if there are several: else the first by id.",
                     show_default=False, autocompletion=complete_agents, rich_help_panel=FLEET),
    ] = None,
    *,
    where: Where,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Show what happened: facts, numbered without gaps; with -f also what happens from now on.

    With --json every event is a line: a CloudEvent, as on the wire. With --fleet they are those of all agents, in the
    order in which they were recorded, and `number` says where to go on with --after.
    """
    if follow:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C is the normal end
    if fleet:
        if live or where.agent:
            raise Failure("--fleet: live events and --agent are of one agent; say --on AGENT for the facts of one")
        of_fleet = FleetEvents(
            agents=on or [], workflows=[workflow] if workflow else [], kinds=kind_patterns(kind or []),
            executions=[execution] if execution else [], statuses=statuses(status or []), labels=label_pairs(label),
            since=since, until=until, after=after,
        )  # fmt: skip
        show_events(where, of_fleet, recorder=recorder, limit=limit, follow=follow, as_json=as_json)
        return
    if on or label or status or since or until or recorder:
        raise Failure("--on, --label, --status, --since, --until and --recorder are for the record of a fleet: "
                      "say --fleet too")  # fmt: skip
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
