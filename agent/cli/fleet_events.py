"""`events --fleet`: what happened on all agents, from the recorder's numbered record."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import msgspec

from agent.cli.failure import Failure
from agent.cli.follow import Shown
from agent.cli.reach import Where
from agent.cli.recorder import asking, at_the_fleet, choose, everybody
from agent.cli.screen import clean, console, local_time, remark, short, state, write_json
from engine.control.fleet_messages import MAX_EVENTS, MAX_WAIT_SECONDS, FleetEvents
from engine.control.messages import Answer
from engine.values import Json

if TYPE_CHECKING:
    from mesh.client import ServiceClient
    from mesh.line import Line

STATUSES = ("completed", "partial", "failed", "cancelled")
_PATTERN = re.compile(r"[a-z_]+(\.[a-z_]+)*(\.\*)?|\*")
WIDTH = 120
"""Of what is told of an event's data."""
AGAIN_SECONDS = 1.0
"""Between two tries to find the recorder again."""


class Recorded(Answer, frozen=True, kw_only=True):
    """A `FleetEventInfo`, read."""

    number: int
    event: Shown


class Page(Answer, frozen=True, kw_only=True):
    """A `FleetEventList`, read."""

    events: list[Recorded]
    next: int
    more: bool


def show_events(
    where: Where, wanted: FleetEvents, *, recorder: str | None, limit: int, follow: bool, as_json: bool
) -> None:
    """Print the newest that match, or the oldest after `wanted.after`; then what is recorded from now on."""
    show: Callable[[Shown], None] = write_json if as_json else print_event
    asyncio.run(_show(where, wanted, recorder, limit, follow, show))


def kind_patterns(kinds: list[str]) -> list[str]:
    """Kinds as a recorder reads them: `workflow` is all that begin so. Raises Failure.

    Unknown ones are let through: an agent of the fleet may be newer.
    """
    for kind in kinds:
        if not _PATTERN.fullmatch(kind):
            raise Failure(f"--kind {kind}: expected a kind such as workflow.failed, or a pattern such as node.*")
    return [kind if "." in kind else f"{kind}.*" for kind in kinds if kind != "*"]


def statuses(names: list[str]) -> list[str]:
    """Raises Failure for one that no execution ends with."""
    for name in names:
        if name not in STATUSES:
            raise Failure(f"--status {name}: expected one of {', '.join(STATUSES)}")
    return names


async def _show(
    where: Where, wanted: FleetEvents, recorder: str | None, limit: int, follow: bool, show: Callable[[Shown], None]
) -> None:
    async with at_the_fleet(where) as (line, tenant):
        agent = choose(await everybody(line, tenant), recorder)
        async with asking(line, tenant, agent, where) as client:
            events, last = await past(client, wanted, limit)
        for event in events:
            show(event)
        if follow:
            async for event in following(line, tenant, agent, wanted, last, where):
                show(event)


async def past(client: "ServiceClient", wanted: FleetEvents, limit: int) -> tuple[list[Shown], int]:
    """The newest `limit` events, or the first after `wanted.after`, oldest first; and the number to go on from."""
    found: list[Shown] = []
    if wanted.after is not None:
        last = wanted.after
        while len(found) < limit:
            page = await _page(client, wanted, after=last, limit=min(limit - len(found), MAX_EVENTS))
            found += map(_shown, page.events)
            last = page.next
            if not page.more:
                break
        return found, last
    page = await _page(client, wanted, limit=max(1, min(limit, MAX_EVENTS)))
    last = page.next
    found = [_shown(one) for one in page.events] if limit else []
    while page.more and page.events and len(found) < limit:
        page = await _page(
            client, wanted, before=page.events[0].number, limit=min(limit - len(found), MAX_EVENTS)
        )  # fmt: skip
        found = [*map(_shown, page.events), *found]
    return found, last


async def following(
    line: "Line", tenant: str, agent: str, wanted: FleetEvents, last: int, where: Where
) -> AsyncIterator[Shown]:
    """Everything that is recorded after this number, without a gap and nothing twice; for ever.

    The number is kept here, so that a broken link or a recorder that is started again changes nothing.
    """
    is_told = False
    while True:
        try:
            async with asking(line, tenant, agent, where) as client:
                page = await _page(
                    client, wanted, after=last, limit=MAX_EVENTS, wait=MAX_WAIT_SECONDS,
                    seconds=client.seconds + MAX_WAIT_SECONDS,
                )  # fmt: skip
        except Failure as failure:
            if not is_told:
                remark(f"{failure}; trying on")
            is_told = True
            await asyncio.sleep(AGAIN_SECONDS)
            continue
        if is_told:
            remark(f"{agent} answers again")
            is_told = False
        for one in page.events:
            yield _shown(one)
        last = page.next


async def _page(
    client: "ServiceClient", wanted: FleetEvents, *, seconds: float | None = None, **changes: object
) -> Page:
    request = msgspec.structs.replace(wanted, **{"after": None, "before": None, **changes})
    return await client.call("fleetevents", request, Page, seconds=seconds, is_repeatable=True)


def _shown(one: Recorded) -> Shown:
    """The CloudEvent, with its number at the recorder as an extension: `--after` goes on from there."""
    return {**one.event, "number": one.number}


def print_event(event: Shown) -> None:
    """One line."""
    from rich.text import Text

    kind = str(event.get("type", "")).removeprefix("ganglion.")
    line = Text().append(f"{event.get('number', ''):>6}  {local_time(event.get('time'))}  ", style="dim")
    line.append(f"{str(event.get('source', '')).rpartition('/')[2]:<16}  ", style="cyan")
    line.append(f"{kind:<20} ", style=state(kind.rpartition(".")[2]).style)
    workflow = event.get("workflow", "_")
    line.append(f"{'' if workflow == '_' else workflow}  ")
    line.append(f"{event.get('subject', '')}  ", style="dim")
    line.append(f"{event.get('node', '')}  ", style="bold")
    line.append(clean(_gist(event.get("data"))), style="dim")
    console().print(line)


def _gist(data: Json) -> str:
    """What a person wants to know of an event's data: why something failed, else all of it."""
    if not isinstance(data, dict) or not data:
        return ""
    error = data.get("error")
    why = (error if isinstance(error, dict) else data).get("message")
    return " ".join(why.split())[:WIDTH] if isinstance(why, str) and why else short(data, WIDTH)
