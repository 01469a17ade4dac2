"""The agents of a fleet, as they say they are and as far as they are recorded; and what is missing of them."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Protocol

import msgspec

from engine.clock import Clock, format_time
from engine.control.fleet_filters import check_names, labels_of
from engine.control.fleet_messages import (
    MAX_AGENTS,
    MAX_GAPS,
    FleetAgentInfo,
    FleetAgentList,
    FleetAgents,
    FleetGapInfo,
    FleetGapList,
    FleetGaps,
)
from engine.fleet.event import Gap, Track
from engine.fleet.store import FleetStore
from engine.values import encode_json

MAX_BYTES = 600 * 1024
MANY_GAPS = 20_000
"""Gaps that are looked at; the oldest first."""


class Around(Protocol):
    """What agents say of themselves."""

    async def agents(self) -> list[FleetAgentInfo]:
        """All that are or were seen, with nothing of what is recorded of them."""
        ...


class FleetPicture:
    """Answers `fleetagents` and `fleetgaps`."""

    def __init__(self, store: FleetStore, around: Around, *, agent: str, clock: Clock) -> None:
        self._store = store
        self._around = around
        self._agent = agent
        self._clock = clock

    async def agents(self, request: FleetAgents) -> FleetAgentList:
        """A page of agents."""
        wanted, labels = set(check_names("agents", request.agents)), labels_of(request.labels)
        states = set(check_names("states", request.states))
        limit = max(1, min(request.limit, MAX_AGENTS))
        told: list[FleetAgentInfo] = []
        size = 0
        for info in await self._everybody():
            if (
                info.agent <= request.after
                or (wanted and info.agent not in wanted)
                or (states and info.state not in states)
                or any(info.labels.get(name) != value for name, value in labels)
            ):
                continue
            size += len(encode_json(info))
            if told and (len(told) >= limit or size > MAX_BYTES):
                return FleetAgentList(recorder=self._agent, agents=told, more=True)
            told.append(info)
        return FleetAgentList(recorder=self._agent, agents=told, more=False)

    async def gaps(self, request: FleetGaps) -> FleetGapList:
        """The oldest gaps."""
        wanted = set(check_names("agents", request.agents))
        limit = max(1, min(request.limit, MAX_GAPS))
        found = [
            gap
            for gap in await self._store.gaps(limit=MANY_GAPS)
            if (not wanted or gap.agent in wanted) and request.lost in (None, bool(gap.lost))
        ]
        return FleetGapList(gaps=[_told(gap) for gap in found[:limit]], more=len(found) > limit)

    async def _everybody(self) -> list[FleetAgentInfo]:
        """In the order of their ids."""
        seen = {info.agent: info for info in await self._around.agents()}
        tracks: dict[str, list[Track]] = defaultdict(list)
        for track in await self._store.tracks():
            tracks[track.agent].append(track)
        gaps: dict[str, list[Gap]] = defaultdict(list)
        for gap in await self._store.gaps(limit=MANY_GAPS):
            gaps[gap.agent].append(gap)
        labels = await self._store.labels()
        now = self._clock.now()
        everybody = []
        for agent in sorted(seen.keys() | tracks.keys()):
            info = seen.get(agent) or FleetAgentInfo(agent=agent, state="unknown", labels=labels.get(agent, {}))
            everybody.append(_joined(info, tracks[agent], gaps[agent], now))
        return everybody


def _joined(info: FleetAgentInfo, tracks: Iterable[Track], gaps: list[Gap], now: int) -> FleetAgentInfo:
    """What an agent says of itself, and what is recorded of it."""
    tracks = sorted(tracks, key=lambda track: (track.epoch == info.epoch, track.received_at))
    open_gaps = [gap for gap in gaps if not gap.lost]
    if not tracks:
        return msgspec.structs.replace(info, lag=min(info.last_seq, info.outbox_depth))
    current = tracks[-1]
    of_current = [gap for gap in open_gaps if gap.epoch == current.epoch]
    is_same = info.epoch in ("", current.epoch)
    oldest = min((gap.since for gap in of_current), default=now)
    return msgspec.structs.replace(
        info,
        epoch=info.epoch or current.epoch,
        recorded_seq=current.last_seq if is_same else 0,
        lag=max(0, info.last_seq - current.last_seq) + current.missing if is_same else info.outbox_depth,
        lag_seconds=max(info.lag_seconds, (now - oldest) / 1_000_000),
        events=sum(track.events for track in tracks),
        last_event=format_time(max(track.last_time for track in tracks)),
        gaps=len(open_gaps),
        missing=sum(track.missing for track in tracks),
        lost=max(0, sum(track.lost for track in tracks) - sum(_before(gap) for gap in gaps)),
        conflicts=sum(track.conflicts for track in tracks),
    )


def _before(gap: Gap) -> int:
    """Facts that happened before the agent was recorded: they were not lost."""
    return gap.last if gap.lost and gap.first == 1 else 0


def _told(gap: Gap) -> FleetGapInfo:
    return FleetGapInfo(
        agent=gap.agent, epoch=gap.epoch, first=gap.first, last=gap.last, since=format_time(gap.since),
        tries=gap.tries, due="" if gap.lost else format_time(gap.due), lost=gap.lost,
    )  # fmt: skip
