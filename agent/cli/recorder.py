"""From a command to the agent that records the fleet: found by what agents say of themselves."""

import difflib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from agent.cli import complete
from agent.cli.failure import Exit, Failure
from agent.cli.reach import Where, exit_of, fleet_line
from agent.cli.whereabouts import explained, labels_of, shortened, since

if TYPE_CHECKING:
    from mesh.client import ServiceClient
    from mesh.line import Line
    from mesh.presence.members import Member

HOW_TO = "to have one, set `[fleet] record = true` in the configuration of one agent and start it again"
Recorder = Annotated[
    str | None,
    typer.Option("--recorder", help="Id of the agent that records, if there are several: else the first by id.",
                 show_default=False),
]  # fmt: skip
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", "-l", help="Only of agents with this label, such as site=berlin; repeatable.",
                 show_default=False),
]  # fmt: skip
On = Annotated[
    list[str] | None, typer.Option("--on", help="Only of this agent; repeatable.", show_default=False, metavar="AGENT")
]

Selected = Annotated[
    str,
    typer.Argument(
        metavar="[LABELS]",
        help="Only agents with these labels: site=berlin, several with commas, != too; agent=ID for one.",
        show_default=False,
        autocompletion=complete.labels,
    ),
]


@asynccontextmanager
async def at_the_fleet(where: Where) -> "AsyncIterator[tuple[Line, str]]":
    """A connection to where the other agents are, and the tenant. Raises Failure when there is none."""
    async with fleet_line(msgspec.structs.replace(where, agent=None, fleet="*")) as (line, tenant):
        yield line, tenant


@asynccontextmanager
async def recorder(where: Where, wanted: str | None) -> "AsyncIterator[ServiceClient]":
    """A client of the recorder. That there is none, and what it refuses, leaves the block as Failure."""
    async with at_the_fleet(where) as (line, tenant):
        agent = choose(await everybody(line, tenant), wanted)
        async with asking(line, tenant, agent, where) as client:
            yield client


@asynccontextmanager
async def asking(line: "Line", tenant: str, agent: str, where: Where) -> "AsyncIterator[ServiceClient]":
    """A client of this agent; what goes wrong leaves the block as Failure."""
    from engine.control import Refused
    from mesh.client import CALL_SECONDS, ServiceClient
    from mesh.errors import AgentMissing, AgentUnreachable

    client = ServiceClient(line, tenant, agent, where.timeout or CALL_SECONDS)
    try:
        yield client
    except Refused as refused:
        raise Failure(refused.message, exit_of(refused.code)) from None
    except AgentMissing as missing:
        raise Failure(await explained(client, missing), Exit.UNREACHABLE) from None
    except AgentUnreachable as error:
        raise Failure(f"{error}; try again when it is there", Exit.UNREACHABLE) from None


async def everybody(line: "Line", tenant: str) -> "list[Member]":
    """All agents that ever said that they are there. Raises Failure where nobody keeps that."""
    from mesh.nats_client import LOST
    from mesh.presence.members import members

    try:
        return await members(line.nc, tenant)
    except LOST as error:
        raise Failure(
            f"who is there can't be told: JetStream at {line.url} does not answer ({error or type(error).__name__}); "
            "with a hub, see whether it is reached: ganglion status",
            Exit.UNREACHABLE,
        ) from None


def recorders(known: "Sequence[Member]") -> "list[Member]":
    """Agents that record, those that are there first."""
    return sorted(
        (member for member in known if member.beat.record), key=lambda one: (not is_there(one), one.beat.agent)
    )


def is_there(member: "Member") -> bool:
    """It may be asked."""
    from mesh.presence.members import Standing

    return member.state in (Standing.UP, Standing.DRAINING)


def choose(known: "Sequence[Member]", wanted: str | None) -> str:
    """The recorder that is asked. Raises Failure when there is none."""
    found = recorders(known)
    if wanted is not None:
        if wanted in (member.beat.agent for member in found):
            return wanted
        names = [member.beat.agent for member in found]
        close = difflib.get_close_matches(wanted, names, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        there = f"these do: {shortened(names)}" if names else HOW_TO
        raise Failure(f"--recorder {wanted}: it does not record the fleet; {hint}{there}")
    if not found:
        raise Failure(f"no agent records the fleet's events; {HOW_TO}", Exit.UNREACHABLE)
    if not is_there(found[0]):
        gone = "; ".join(f"{member.beat.agent}: {since(member)}" for member in found[:5])
        raise Failure(f"no recorder is there ({gone}): start it again, or {HOW_TO}", Exit.UNREACHABLE)
    return found[0].beat.agent


def choose_by(known: "list[Member]", labels: str) -> "list[Member]":
    """The agents that are meant. Raises Failure for a selector that can't be read, or that selects nobody."""
    from mesh.presence.selector import InvalidSelector, Selector

    try:
        selector = Selector.parse(labels)
    except InvalidSelector as error:
        raise Failure(str(error)) from None
    chosen = [member for member in known if selector.matches(member.beat)]
    if not chosen and known:
        used = sorted({label for member in known for label in labels_of(member)})
        raise Failure(f"{labels} selects no agent; labels in use: {shortened(used) or 'none'}")
    return chosen


def label_pairs(texts: list[str] | None) -> dict[str, str]:
    """`site=berlin` as a pair. Raises Failure."""
    found: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or not name or name.endswith("!"):
            raise Failure(f"--label {text}: expected name=value, such as --label site=berlin")
        found[name] = value
    return found
