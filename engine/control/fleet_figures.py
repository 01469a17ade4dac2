"""Figures of a fleet by windows of time."""

import difflib

import msgspec

from engine.clock import Clock, format_time
from engine.control.fleet_filters import check_names, labels_of, moment
from engine.control.fleet_messages import MAX_WINDOWS, FleetStats, FleetWindow, FleetWindows
from engine.control.verb import Refused
from engine.fleet.query import Grain, StatsQuery, Window
from engine.fleet.store import FleetStore
from engine.values import encode_json

MAX_BYTES = 600 * 1024
MAX_SPAN = 20_000
"""Windows between since and until, if they are told apart."""
_SECONDS = {Grain.MINUTE: 60, Grain.HOUR: 3600}


async def figures(store: FleetStore, clock: Clock, request: FleetStats) -> FleetWindows:
    """The answer of `fleetstats`. Raises Refused."""
    query = _query(request, clock.now())
    found = await store.stats(query)
    skip = max(0, request.skip)
    limit = max(1, min(request.limit, MAX_WINDOWS))
    told: list[FleetWindow] = []
    size = 0
    for window in found[skip : skip + limit]:
        info = _told(window)
        size += len(encode_json(info))
        if told and size > MAX_BYTES:
            break
        told.append(info)
    return FleetWindows(windows=told, more=skip + len(told) < len(found))


def _query(request: FleetStats, now: int) -> StatsQuery:
    grain = _grain(request.grain)
    until = moment("until", request.until, now)
    since = moment("since", request.since or "24h", now)
    until = now if until is None else until
    if since is None or since >= until:
        raise Refused(400, f"since: {request.since} is not before until, which is {request.until or 'now'}")
    if request.by_window and (until - since) / 1_000_000 / _SECONDS[grain] > MAX_SPAN:
        raise Refused(400, f"that is more than {MAX_SPAN} windows of a {grain}: ask for a shorter time, or for hours")
    return StatsQuery(
        grain=grain,
        since=since,
        until=until,
        agents=check_names("agents", request.agents),
        workflows=check_names("workflows", request.workflows),
        labels=labels_of(request.labels),
        by_agent=request.by_agent,
        by_workflow=request.by_workflow,
        by_window=request.by_window,
        by_label=request.by_label,
    )


def _grain(text: str) -> Grain:
    try:
        return Grain(text)
    except ValueError:
        near = difflib.get_close_matches(text, list(Grain), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise Refused(400, f"grain: expected {' or '.join(Grain)}, got {text[:32]!r}{hint}") from None


def _told(window: Window) -> FleetWindow:
    fields = msgspec.structs.asdict(window)
    return FleetWindow(**{**fields, "start": format_time(window.start)})
