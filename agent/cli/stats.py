"""`stats`: how often workflows ran, failed, and how long they took, over the whole fleet."""

import asyncio
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.addressed import to_server
from agent.cli.bars import bar
from agent.cli.complete import agents as complete_agents
from agent.cli.complete import workflows as complete_workflows
from agent.cli.failure import Failure
from agent.cli.options import AsJson
from agent.cli.reach import Where
from agent.cli.recorder import Labels, Recorder, label_pairs, recorder
from agent.cli.screen import local_time, say, seconds, table, write_json
from engine.control.fleet_messages import FleetStats, FleetWindow, FleetWindows

if TYPE_CHECKING:
    from rich.text import Text

    from mesh.client import ServiceClient

PER = ("minute", "hour", "all")
BY_LABEL = "label:"
BAR_WIDTH = 12
FIGURES = ("ENDED", "", "FAILED", "RATE", "P50", "P95", "P99", "LONGEST", "RETRIES")


@to_server
def stats(
    workflow: Annotated[
        list[str] | None,
        typer.Option("--workflow", "-w", help="Only of this workflow; repeatable.", show_default=False,
                     autocompletion=complete_workflows),
    ] = None,
    on: Annotated[
        list[str] | None,
        typer.Option("--on", help="Only of this agent; repeatable.", show_default=False, metavar="AGENT",
                     autocompletion=complete_agents),
    ] = None,
    label: Labels = None,
    per: Annotated[str, typer.Option("--per", help="A row for each: minute, hour; all is one for the whole time.")]
        = "all",
    by: Annotated[
        list[str] | None,
        typer.Option("--by", help="A row for each: agent, workflow, label:NAME; repeatable. workflow unless told.",
                     show_default=False),
    ] = None,
    since: Annotated[
        str, typer.Option("--since", help="How far to look back: 24h, 7d, or an RFC 3339 time.")
    ] = "24h",
    until: Annotated[
        str, typer.Option("--until", help="And up to when; now unless told.", show_default=False)
    ] = "",
    recorder: Recorder = None,
    *,
    where: Where,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Show how often workflows ran and failed, and how long they took: counts, failure rate, p50, p95, p99.

    An execution counts where it ended, and in the minute and hour in which it ended, however late that is told.
    """
    request = _request(workflow or [], on or [], label_pairs(label), per, by or ["workflow"], since, until)
    by_recorder, windows = asyncio.run(_ask(where, recorder, request))
    if as_json:
        write_json({"recorder": by_recorder, "windows": windows})
        return
    if not windows:
        say(f"nothing happened since {since}; look further back with --since")
        return
    show(windows, request, per)


def _request(
    workflows: list[str], agents: list[str], labels: dict[str, str], per: str, by: list[str], since: str, until: str
) -> FleetStats:
    if per not in PER:
        raise Failure(f"--per {per}: expected one of {', '.join(PER)}")
    named = [name.removeprefix(BY_LABEL) for name in by if name.startswith(BY_LABEL)]
    for name in by:
        if name not in ("agent", "workflow") and (not name.startswith(BY_LABEL) or name == BY_LABEL):
            raise Failure(f"--by {name}: expected agent, workflow, or label:NAME such as label:site")
    if len(named) > 1:
        raise Failure(f"--by {BY_LABEL}{named[1]}: one label at a time; narrow others with --label {named[1]}=VALUE")
    return FleetStats(
        grain="hour" if per == "all" else per,
        since=since,
        until=until,
        agents=agents,
        workflows=workflows,
        labels=labels,
        by_agent="agent" in by,
        by_workflow="workflow" in by,
        by_window=per != "all",
        by_label=named[0] if named else "",
    )


async def _ask(where: Where, wanted: str | None, request: FleetStats) -> tuple[str, list[FleetWindow]]:
    async with recorder(where, wanted) as client:
        return client.agent, await windows_of(client, request)


async def windows_of(client: "ServiceClient", request: FleetStats) -> list[FleetWindow]:
    """All windows, page by page."""
    from msgspec.structs import replace

    found: list[FleetWindow] = []
    while True:
        page = await client.call("fleetstats", replace(request, skip=len(found)), FleetWindows, is_repeatable=True)
        found += page.windows
        if not page.more or not page.windows:
            return found


def show(windows: Sequence[FleetWindow], request: FleetStats, per: str) -> None:
    """A row for each window, agent, workflow and label, as far as they are told apart."""
    heads = [
        ("FROM", request.by_window), ("AGENT", request.by_agent), (request.by_label.upper(), bool(request.by_label)),
        ("WORKFLOW", request.by_workflow),
    ]  # fmt: skip
    is_shown = [is_wanted for _, is_wanted in heads]
    shown = [one for one in windows if ended(one) or one.started or one.workflow != "_"]
    if not request.by_window:
        shown.sort(key=lambda one: (-one.failed, -ended(one), one.workflow, one.agent, one.label))
    most = max((ended(one) for one in shown), default=0)
    table(
        [
            *(name for name, is_wanted in heads if is_wanted),
            "ENDED",
            "",
            "FAILED",
            "RATE",
            "P50",
            "P95",
            "P99",
            "LONGEST",
            "RETRIES",
        ],
        ([*itertools.compress(_names(one), is_shown), *_figures(one, most)] for one in shown),
    )
    if len(shown) > 1:
        total, failed = sum(map(ended, shown)), sum(one.failed for one in shown)
        say(f"\n{total:,} executions ended, {failed:,} of them failed ({rate(failed, total)})" if total else "")


def _names(one: FleetWindow) -> tuple[str, str, str, str]:
    return local_time(one.start), one.agent, one.label or "-", "(the agent)" if one.workflow == "_" else one.workflow


def _figures(one: FleetWindow, most: int) -> "list[str | Text]":
    from rich.text import Text

    return [
        f"{ended(one):,}",
        Text(bar(ended(one) / most if most else 0, BAR_WIDTH), style="cyan"),
        Text(f"{one.failed:,}" if one.failed else "", style="bold red"),
        "" if one.failure_rate is None else f"{one.failure_rate:.1%}",
        seconds(one.p50),
        seconds(one.p95),
        seconds(one.p99),
        seconds(one.longest),
        f"{one.retries:,}" if one.retries else "",
    ]


def ended(one: FleetWindow) -> int:
    """Executions that ended in a window."""
    return one.completed + one.partial + one.failed + one.cancelled


def rate(part: int, whole: int) -> str:
    """A share in percent."""
    return f"{part / whole:.1%}" if whole else ""
