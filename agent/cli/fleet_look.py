"""One look at a fleet: who is there, and what a recorder tells of the last minutes."""

import asyncio
import time
from typing import TYPE_CHECKING

import msgspec

from agent.cli.failure import Failure
from agent.cli.fleet_events import past
from agent.cli.fleet_table import Line, lines, summary
from agent.cli.follow import Shown
from agent.cli.reach import Where
from agent.cli.recorder import HOW_TO, asking, choose, choose_by, everybody, is_there, recorders
from agent.cli.stats import ended, windows_of
from engine.control.fleet_messages import FleetEvents, FleetStats, FleetWindow
from engine.values import Json

if TYPE_CHECKING:
    from mesh.client import ServiceClient
    from mesh.line import Line as Wire

FAILURES = 5


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What is on the screen; with --json it is printed as it is."""

    time: str
    recorder: str
    """Empty without one: then there are the agents alone."""
    summary: dict[str, Json]
    agents: list[Line]
    minutes: list[FleetWindow] = []
    """All workflows together, a window each."""
    workflows: list[FleetWindow] = []
    """The last minutes together."""
    by_agent: list[FleetWindow] = []
    failures: list[Shown] = []
    problem: str = ""
    """Why something could not be looked at."""


async def look(wire: "Wire", tenant: str, where: Where, labels: str, minutes: int, wanted: str | None) -> View:
    """One look. Raises Failure when nobody knows who is there."""
    known = await everybody(wire, tenant)
    chosen = choose_by(known, labels)
    now = time.time_ns() // 1000
    found = lines(chosen, [], now)
    view = View(time=time.strftime("%H:%M:%S"), recorder="", summary=summary(found), agents=found)
    if wanted is None and not any(is_there(member) for member in recorders(known)):
        return msgspec.structs.replace(view, problem=f"no agent records what happens; {HOW_TO}")
    agent = choose(known, wanted)
    agents = [] if labels == "*" else [member.beat.agent for member in chosen]
    try:
        async with asking(wire, tenant, agent, where) as client:
            return await _with_figures(client, view, agents, minutes)
    except Failure as failure:
        return msgspec.structs.replace(view, problem=str(failure))


async def _with_figures(client: "ServiceClient", view: View, agents: list[str], minutes: int) -> View:
    base = FleetStats(grain="minute", since=f"{minutes}m", agents=agents, by_agent=False, by_workflow=False)
    replace = msgspec.structs.replace
    by_minute, by_workflow, by_agent, failures = await asyncio.gather(
        windows_of(client, base),
        windows_of(client, replace(base, by_workflow=True, by_window=False)),
        windows_of(client, replace(base, by_agent=True, by_window=False)),
        past(client, FleetEvents(agents=agents, statuses=["failed"]), FAILURES),
    )
    return replace(
        view,
        recorder=client.agent,
        minutes=by_minute,
        workflows=sorted(by_workflow, key=lambda one: (-one.failed, -ended(one), one.workflow)),
        by_agent=by_agent,
        failures=failures[0][::-1],
    )
