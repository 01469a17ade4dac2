"""`fleet`: all agents in one picture."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from agent.cli import complete
from agent.cli.addressed import to_server
from agent.cli.failure import Exit, Failure
from agent.cli.fleet_table import Line, lines, show_table, summary, told
from agent.cli.fleet_top import top
from agent.cli.options import AsJson
from agent.cli.reach import Where
from agent.cli.recorder import (
    HOW_TO,
    Recorder,
    Selected,
    asking,
    at_the_fleet,
    choose,
    choose_by,
    everybody,
    is_there,
    recorders,
)
from agent.cli.screen import remark, say, write_json
from agent.cli.whereabouts import shortened
from engine.control.fleet_messages import FleetAgentInfo, FleetAgentList, FleetAgents

if TYPE_CHECKING:
    from mesh.client import ServiceClient
    from mesh.line import Line as Wire
    from mesh.presence.members import Member

LIST = "list"


class _WithList(TyperGroup):
    """A group whose first command need not be named: `ganglion fleet site=berlin`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if ctx.resilient_parsing:  # the shell asks what may come
            pass
        elif not args or (args[0] not in self.commands and args[0] not in ("-h", "--help")):
            args = [LIST, *args]
        found: list[str] = super().parse_args(ctx, args)
        return found


group = typer.Typer(
    cls=_WithList, help="See all agents: `ganglion fleet` shows them in a table, trouble first, `fleet top` live."
)
group.command()(top)


@group.command(LIST)
@to_server
def listing(
    labels: Selected = "*",
    everyone: Annotated[
        bool, typer.Option("--all", "-a", help="Also those of whom only recorded events are left.")
    ] = False,
    recorder: Recorder = None,
    *,
    where: Where,
    as_json: AsJson = False,
) -> None:
    """Show all agents: how they are, what they have to do, and how far their events are recorded."""
    found, by = asyncio.run(_picture(where, labels, recorder, everyone))
    if as_json:
        write_json({"recorder": by, "summary": summary(found), "agents": [line.info for line in found]})
        return
    if found:
        show_table(found, is_recorded=bool(by))
        say()
    say(told(found) + (f"; recorded by {by}" if by else ""))
    if not by:
        remark(f"no agent records the fleet's events, so what they had to do in the past is not known; {HOW_TO}")


@group.command()
@to_server
def forget(
    agent: Annotated[str, typer.Argument(help="Id of an agent that will not come back.",
                                         autocompletion=complete.agents)],
    *,
    where: Where,
) -> None:  # fmt: skip
    """Take a lost or stopped agent out of the picture. Its recorded events stay; if it comes back, it is seen again."""
    asyncio.run(_forget(where, agent))
    say(f"{agent} is forgotten")


async def _picture(where: Where, labels: str, wanted: str | None, everyone: bool) -> tuple[list[Line], str]:
    """The lines, and the recorder's id or nothing."""
    async with at_the_fleet(where) as (wire, tenant):
        known = await everybody(wire, tenant)
        chosen = choose_by(known, labels)
        found, by = await recorded(wire, tenant, known, wanted, where)
        shown = {member.beat.agent for member in chosen}
        is_left = everyone and labels == "*"
        of_these = [info for info in found if info.agent in shown or (is_left and not _has(known, info.agent))]
        return lines(chosen, of_these, time.time_ns() // 1000), by


async def recorded(
    wire: "Wire", tenant: str, known: "list[Member]", wanted: str | None, where: Where
) -> tuple[list[FleetAgentInfo], str]:
    """What the recorder knows of the agents, and its id; nothing where there is none, or it does not answer."""
    if wanted is None and not any(is_there(member) for member in recorders(known)):
        return [], ""
    agent = choose(known, wanted)
    try:
        async with asking(wire, tenant, agent, where) as client:
            return [info async for info in infos(client)], agent
    except Failure as failure:
        if wanted is not None:
            raise
        remark(f"without the recorder: {failure}")
        return [], ""


async def infos(client: "ServiceClient") -> AsyncIterator[FleetAgentInfo]:
    """All agents that a recorder knows, page by page."""
    after = ""
    while True:
        page = await client.call("fleetagents", FleetAgents(after=after), FleetAgentList, is_repeatable=True)
        for info in page.agents:
            yield info
        if not page.more or not page.agents:
            return
        after = page.agents[-1].agent


def _has(known: "list[Member]", agent: str) -> bool:
    return any(member.beat.agent == agent for member in known)


async def _forget(where: Where, agent: str) -> None:
    from mesh.jetstream import ApiError
    from mesh.nats_client import LOST
    from mesh.presence.bucket import MovedOn, forget, get, key_of

    async with at_the_fleet(where) as (wire, tenant):
        known = await everybody(wire, tenant)
        member = next((one for one in known if one.beat.agent == agent), None)
        if member is None:
            names = shortened([one.beat.agent for one in known]) or "nobody"
            raise Failure(f"no agent {agent} has ever said that it is there; known are: {names}", Exit.FAILED)
        if is_there(member):
            raise Failure(
                f"{agent} is {member.state.value}: its next beat would bring it back; stop it first, such as with "
                f"`ganglion drain --agent {agent}`",
                Exit.FAILED,
            )
        key = key_of(tenant, agent)
        try:
            seq, _ = await get(wire.nc, key)
            await forget(wire.nc, key, after=seq)
        except MovedOn:
            raise Failure(f"{agent} has just spoken again: it is not lost", Exit.FAILED) from None
        except (ApiError, *LOST) as error:
            raise Failure(f"{agent} can't be forgotten: {error or type(error).__name__}", Exit.FAILED) from None
