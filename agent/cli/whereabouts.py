"""Why an agent does not answer, as far as others know: it never was there, is lost since when, or has stopped."""

import asyncio
import difflib
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from agent.cli.reach import LOCAL_API
from agent.cli.screen import local_time

if TYPE_CHECKING:
    from mesh.client import ServiceClient
    from mesh.errors import AgentMissing
    from mesh.nats_client import AnySubjectClient
    from mesh.presence.members import Member

LOOK_SECONDS = 2.0
"""How long the question who is there may take."""
NAMED = 20
"""Agents that a message names."""


async def explained(client: "ServiceClient", missing: "AgentMissing") -> str:
    """The error with what is known about that agent, and about those that are there."""
    from mesh.nats_client import LOST
    from mesh.roll_call import roll_call

    known = await known_members(client.nc, client.tenant)
    if known is None and client.nc.api != LOCAL_API:
        return f"{missing}; the hub does not answer now, so nobody behind it is reached: see `ganglion status`"
    known = known or {}
    member = known.get(missing.agent)
    if member is not None:
        return f"{missing}; {since(member)}" if since(member) else f"{missing} {_though(client, member, missing)}"
    if missing.is_silent:
        return f"{missing}; {_patience(client)}"
    try:
        answering = await roll_call(client.nc, client.tenant)
    except LOST:
        answering = set()
    return f"{missing}; {who_is_there(missing.agent, answering, known.values())}"


async def known_members(nc: "AnySubjectClient", tenant: str) -> "dict[str, Member] | None":
    """All agents that ever said that they are there; None where nobody can tell."""
    from mesh.nats_client import LOST
    from mesh.presence.members import members

    try:
        async with asyncio.timeout(LOOK_SECONDS):
            return {member.beat.agent: member for member in await members(nc, tenant)}
    except LOST:
        return None


def since(member: "Member") -> str:
    """Since when it is gone; empty for one that is there."""
    from mesh.presence.members import Standing

    moment = ago(member.age_seconds)
    match member.state:
        case Standing.LOST:
            return f"it is lost: nothing was heard of it since {moment}"
        case Standing.STOPPED:
            return f"it stopped at {moment}"
        case _:
            return ""


def who_is_there(wanted: str, answering: Iterable[str], known: "Iterable[Member]") -> str:
    """For somebody who named an agent that nobody knows."""
    from mesh.presence.members import Standing

    states = dict.fromkeys(answering, "")
    for member in known:
        if member.beat.agent not in states:
            is_there = member.state in (Standing.UP, Standing.DRAINING)
            states[member.beat.agent] = "" if is_there else f" ({member.state.value} since {ago(member.age_seconds)})"
    if not states:
        return "nobody else is there either: start one with `ganglion up`, or see `ganglion doctor`"
    close = difflib.get_close_matches(wanted, states, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    told = [f"{agent}{state}" for agent, state in sorted(states.items())]
    return f"{hint}there are: {shortened(told)}"


def labels_of(member: "Member") -> list[str]:
    """As a selector has them."""
    return [f"{name}={value}" for name, value in member.beat.labels.items()]


def shortened(names: Sequence[str]) -> str:
    """A list with commas, cut after NAMED."""
    rest = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + rest


def ago(seconds: float) -> str:
    """The moment so long ago, as the clock on the wall here."""
    from engine.clock import format_time

    return local_time(format_time(int((time.time() - seconds) * 1_000_000)))


def _though(client: "ServiceClient", member: "Member", missing: "AgentMissing") -> str:
    if missing.is_silent:
        return f"though its last beat was {member.age_seconds:.0f} s ago: {_patience(client)}"
    return "though it was there a moment ago: try again"


def _patience(client: "ServiceClient") -> str:
    busy = "it may be busy (--timeout 60s waits longer)"
    if client.nc.api == LOCAL_API:
        return busy
    return f"{busy}, or the hub does not let this box ask others (see `ganglion mesh permissions`)"
