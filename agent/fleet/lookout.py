"""Tells as facts which agents of the fleet fall silent, and which come back: each change once, whoever restarts."""

import logging
from functools import partial

from engine.clock import format_time
from engine.events import Event, Kind
from engine.signal import Signal
from engine.store import Store, Transaction, sightings
from engine.store.sightings import Sighting
from mesh.presence.attendance import Change
from mesh.presence.members import Standing
from mesh.presence.roster import Roster

_log = logging.getLogger("ganglion.agent")


class Lookout:
    """Watches a roster for one recorder; `run` is its service.

    An agent that was never heard is not missed. One that was there when this process ended has three beats to speak
    when the next one begins.
    """

    def __init__(self, store: Store, roster: Roster, *, agent: str) -> None:
        self._store = store
        self._agent = agent
        self._pending: list[Change] = []
        self._signal = Signal()
        roster.listeners.append(self._notice)

    async def run(self) -> None:
        """Tell until cancelled. Raises StoreBroken; a full disk is waited out."""
        known = await self._store.read(sightings.listing)
        while True:
            await self._signal.wait()
            pending, self._pending = self._pending, []
            facts: list[Event] = []
            moved: dict[str, Sighting] = {}
            for change in pending:
                self._take(change, known, moved, facts)
            if moved:
                await self._store.submit(partial(_unit, moved=moved, facts=facts))

    def _notice(self, change: Change) -> None:
        if change.beat.agent != self._agent:
            self._pending.append(change)
            self._signal.set()

    def _take(self, change: Change, known: dict[str, Sighting], moved: dict[str, Sighting], facts: list[Event]) -> None:
        """Note one change, and the fact that it makes, if it makes one."""
        agent, now = change.beat.agent, self._store.clock.now()
        before = known.get(agent)
        is_lost = change.now is Standing.LOST
        if before is None and is_lost:
            return
        seen_at = now - round(change.silent_seconds * 1_000_000)
        if before is not None and before.is_lost is not is_lost:
            told = seen_at if is_lost else before.seen_at
            facts.append(
                Event(
                    kind=Kind.AGENT_LOST if is_lost else Kind.AGENT_RETURNED,
                    time=now,
                    data={
                        "agent": agent,
                        "last_seen": format_time(told),
                        "silent_seconds": round(max(0, now - told) / 1_000_000, 3),
                        "state": change.beat.state.value,
                        "labels": dict(change.beat.labels),
                        "host": change.beat.host,
                    },
                )
            )
            _log.warning("the agent %s %s", agent, "is lost" if is_lost else "is back")
        elif before is not None:
            return
        known[agent] = moved[agent] = Sighting(is_lost, seen_at)


def _unit(tx: Transaction, moved: dict[str, Sighting], facts: list[Event]) -> None:
    for agent, sighting in moved.items():
        sightings.put(tx, agent, sighting)
    for fact in facts:
        tx.fact(fact)
