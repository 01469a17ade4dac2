"""The verbs of a recorder: what the whole fleet did, and how it is. Every agent has them; who does not record says who
does."""

from collections.abc import Awaitable, Callable

from engine.clock import Clock
from engine.control.fleet_feed import FleetFeed
from engine.control.fleet_figures import figures
from engine.control.fleet_messages import (
    FleetAgentList,
    FleetAgents,
    FleetEventList,
    FleetEvents,
    FleetGapList,
    FleetGaps,
    FleetStats,
    FleetWindows,
)
from engine.control.fleet_picture import Around, FleetPicture
from engine.control.verb import Refused, Verb
from engine.fleet.store import FleetStore


def fleet_verbs(store: FleetStore, around: Around, *, tenant: str, agent: str, clock: Clock) -> tuple[Verb, ...]:
    """What a recorder answers."""
    feed = FleetFeed(store, tenant=tenant, clock=clock)
    picture = FleetPicture(store, around, agent=agent, clock=clock)

    async def stats(request: FleetStats) -> FleetWindows:
        return await figures(store, clock, request)

    return _verbs(feed.answer, stats, picture.agents, picture.gaps)


def absent_fleet_verbs(agent: str, recorders: Callable[[], Awaitable[list[str]]]) -> tuple[Verb, ...]:
    """What an agent answers that does not record: who does, as far as it knows."""

    async def refusal() -> Refused:
        found = [name for name in await recorders() if name != agent]
        hint = (
            f"{' and '.join(found)} {'does' if len(found) == 1 else 'do'}: --agent {found[0]}"
            if found
            else "nobody is known who does; [fleet] record = true in an agent's configuration makes it one"
        )
        return Refused(409, f"the agent {agent} does not record the fleet's events; {hint}")

    async def events(request: FleetEvents) -> FleetEventList:
        raise await refusal()

    async def stats(request: FleetStats) -> FleetWindows:
        raise await refusal()

    async def agents(request: FleetAgents) -> FleetAgentList:
        raise await refusal()

    async def gaps(request: FleetGaps) -> FleetGapList:
        raise await refusal()

    return _verbs(events, stats, agents, gaps)


def _verbs(
    events: Callable[[FleetEvents], Awaitable[FleetEventList]],
    stats: Callable[[FleetStats], Awaitable[FleetWindows]],
    agents: Callable[[FleetAgents], Awaitable[FleetAgentList]],
    gaps: Callable[[FleetGaps], Awaitable[FleetGapList]],
) -> tuple[Verb, ...]:
    return (
        Verb(name="fleetevents", description="Facts of the whole fleet, as they were recorded.", request=FleetEvents,
             answer=FleetEventList, handle=events),
        Verb(name="fleetstats", description="Figures of the whole fleet by minute or hour.", request=FleetStats,
             answer=FleetWindows, handle=stats),
        Verb(name="fleetagents", description="Who is in the fleet, and how far each is recorded.", request=FleetAgents,
             answer=FleetAgentList, handle=agents),
        Verb(name="fleetgaps", description="Facts of the fleet that have not come.", request=FleetGaps,
             answer=FleetGapList, handle=gaps),
    )  # fmt: skip
