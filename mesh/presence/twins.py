"""Two processes under one agent id: a data directory that was cloned. Each start of a process has an `instance` of its
own, so whoever finds beats of another one under the own key, and they keep coming, has a twin.

Which of two came first is compared by `started`, which is the server's time less the age of the process: the same for
both, whatever their own clocks say.
"""

import asyncio

from engine.clock import Clock
from mesh.connection import Link
from mesh.presence.beat import MISSED_BEATS, Beat, State
from mesh.presence.bucket import get, key_of

MARGIN_SECONDS = 1.0
"""Beats come with jitter, and take their time on the way."""
LOOKS_A_BEAT = 4
LONGEST_LOOK_SECONDS = 300.0
"""How long a look takes at most, however rarely the other one says that it beats."""


def is_later(own: Beat, other: Beat) -> bool:
    """Whether we started after the other one: both say the same of each other."""
    return (own.started, own.instance) > (other.started, other.instance)


class Sightings:
    """Beats of others under our own key. One alone is no twin: it may have been on its way when its process died."""

    def __init__(self, instance: str, every: float, clock: Clock) -> None:
        self._instance = instance
        self._every = every
        self._clock = clock
        self._seen: dict[str, tuple[int, float]] = {}
        """Instance -> the newest sequence, and when it was met."""

    def meet(self, seq: int, beat: Beat) -> bool:
        """The key holds this beat; True where it is another one's that keeps beating."""
        if beat.instance == self._instance:
            return False
        now = self._clock.monotonic()
        known = self._seen.get(beat.instance)
        if known is None or beat.state is State.STOPPED:
            self._seen[beat.instance] = (seq, now)
            return False
        if seq == known[0] or now - known[1] < self._every / 2:
            return False  # the same, or a crowd that a hub which stood still lets through at once
        self._seen[beat.instance] = (seq, now)
        return True


async def find_twin(link: Link, tenant: str, agent: str, *, every: float) -> Beat | None:
    """Look for as long as three beats take whether another process beats under this id, before we do; its newest beat.

    Raises one of LOST.
    """
    key = key_of(tenant, agent)
    loop = asyncio.get_running_loop()
    began = loop.time()
    first, beat = await get(link.nc, key)
    while True:
        pause = min(max(every, beat.every if beat is not None else 0.0), LONGEST_LOOK_SECONDS / MISSED_BEATS)
        if loop.time() - began > MISSED_BEATS * pause + MARGIN_SECONDS:
            return None
        await asyncio.sleep(pause / LOOKS_A_BEAT)
        seq, beat = await get(link.nc, key)
        if seq != first and beat is not None and beat.state is not State.STOPPED:
            return beat
