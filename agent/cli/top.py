"""`top`: which workflows and nodes used most, and how that grows."""

from typing import Annotated

import typer

from agent.cli.addressed import to_agent
from agent.cli.complete import workflows as complete_workflows
from agent.cli.options import AsJson
from agent.cli.reach import Where, ask
from agent.cli.screen import local_time, say, seconds, table, write_json
from engine.control.usage_messages import ORDERS, HourUse, NodeUse, UsageQuery, UsageReport, WorkflowUse
from engine.quantities import format_size

COLUMNS = ("RAN", "FAILED", "TIME", "OUTPUT", "API CALLS", "TOKENS")


@to_agent
def top(
    workflow: Annotated[
        str | None,
        typer.Option("--workflow", "-w", help="Only of this workflow, and its hours.", show_default=False,
                     autocompletion=complete_workflows),
    ] = None,
    hours: Annotated[int, typer.Option("--hours", min=1, max=35 * 24, help="How far to look back.")] = 24,
    by: Annotated[str, typer.Option("--by", help=f"The most of what: {', '.join(ORDERS)}.")] = "seconds",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many.")] = 10,
    *,
    where: Where,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Show the workflows and nodes that used most, and how that grows."""
    step = max(1, hours // 24)
    request = UsageQuery(workflow=workflow, hours=hours, by=by, limit=limit, step=step)
    answer = ask(where, "usage", request, UsageReport)
    if as_json:
        write_json(answer)
        return
    if not answer.workflows:
        say(f"no execution ended in the last {hours} hours; look further back with --hours")
        return
    table(
        ("WORKFLOW", *COLUMNS, "GROWTH"),
        ((one.workflow, *_cells(one), _growth(one)) for one in answer.workflows),
    )
    if answer.nodes:
        say()
        table(("NODE", "WORKFLOW", *COLUMNS), ((one.node, one.workflow, *_cells(one)) for one in answer.nodes))
    if workflow is not None and answer.history:
        say()
        table(("FROM", *COLUMNS), ((local_time(one.time), *_cells(one)) for one in answer.history))


def _cells(one: WorkflowUse | NodeUse | HourUse) -> tuple[str, ...]:
    return (
        str(one.executions), str(one.failed or ""), seconds(one.seconds), format_size(one.output_bytes),
        str(one.api_calls or ""), str(one.llm_tokens or ""),
    )  # fmt: skip


def _growth(one: WorkflowUse) -> str:
    """The last day against the week before, in executions; of the rest only what differs much from that."""
    runs = one.growth.get("executions")
    if runs is None:
        return ""
    others = [
        f"{rate:+.0%} {name.replace('_', ' ')}"
        for name, rate in one.growth.items()
        if name != "executions" and abs(rate - runs) >= 0.25
    ]
    return ", ".join([f"{runs:+.0%} a day", *others])
