"""Says that the agent is there: at every beat, at once after each new link, and when something changed."""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress

import msgspec

from engine.clock import Clock, format_time
from engine.signal import Signal
from mesh.connection import LOST, Connection, Link
from mesh.presence.beat import Beat, State
from mesh.presence.bucket import MovedOn, ensure_bucket, get, key_of, put, server_time
from mesh.presence.twins import Sightings

JITTER = 0.1
"""Share of a beat: agents that a hub brings back together drift apart again."""
GATHER_SECONDS = 0.1
"""Changes of this long are told together: a folder of workflows is one change."""
FAREWELL_SECONDS = 1.0
"""How long a stop waits for the last beat to be taken."""


class Heart:
    """Beats on every link of a connection; `run` is its service.

    `say` gives the agent as it is now, cheaply. The heart adds who says so: instance, start, pause. Each put names the
    sequence of the one before, so that another process under the same id is noticed: `on_twin` is told its newest beat
    and ours, at each beat for as long as the other one keeps beating.
    """

    def __init__(
        self,
        connection: Connection,
        say: Callable[[], Beat],
        *,
        instance: str,
        every: float,
        clock: Clock,
        on_twin: Callable[[Beat, Beat], None],
        alone: bool = False,
    ) -> None:
        """`alone`: the server is this agent's own, and no other agent is there."""
        self._connection = connection
        self._say = say
        self._instance = instance
        self._every = every
        self._clock = clock
        self._on_twin = on_twin
        self._alone = alone
        self._sightings = Sightings(instance, every, clock)
        self._born = clock.monotonic()
        self._started = ""
        self._seq: int | None = None
        """Of the key's newest value, as far as we know."""
        self._changed = Signal()
        self._is_silent = False

    def stir(self) -> None:
        """Something changed that others should know now."""
        self._changed.set()

    def hush(self) -> None:
        """Say nothing more, not even that we go: the id is another one's."""
        self._is_silent = True

    async def run(self) -> None:
        """Beat until cancelled."""
        await self._connection.serve(self._work, name="the heartbeat")

    async def stop(self) -> None:
        """The last beat, if there is a link: we go in an orderly way. `run` has ended."""
        link = self._connection.link_nowait()
        if link is None or self._is_silent or self._seq is None:
            return
        with suppress(*LOST):
            async with asyncio.timeout(FAREWELL_SECONDS):
                await self._beat(link, State.STOPPED)

    async def _work(self, link: Link) -> None:
        await ensure_bucket(link.nc, in_memory=self._alone)
        if not self._started:
            now = await server_time(link.nc)
            if now:
                self._started = format_time(int((now - (self._clock.monotonic() - self._born)) * 1_000_000))
        if self._seq is None:
            await self._look(link)
        while True:
            await self._beat(link)
            pause = self._every * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads agents, hides nothing
            if await self._changed.wait(pause):
                await asyncio.sleep(GATHER_SECONDS)

    async def _beat(self, link: Link, state: State | None = None) -> None:
        if self._is_silent:
            return
        beat = self._own(state)
        value = msgspec.json.encode(beat)
        key = key_of(beat.tenant, beat.agent)
        try:
            self._seq = await put(link.nc, key, value, after=self._seq)
        except MovedOn:
            await self._look(link)
            with suppress(MovedOn):  # once more: the next beat looks again
                # Also where that look has silenced us: by these last words the other one knows of us for certain.
                self._seq = await put(link.nc, key, value, after=self._seq)

    async def _look(self, link: Link) -> None:
        """Somebody else may have put a value under our key, or an answer to us was lost."""
        own = self._own()
        self._seq, found = await get(link.nc, key_of(own.tenant, own.agent))
        if found is not None and self._sightings.meet(self._seq, found):
            self._on_twin(found, own)

    def _own(self, state: State | None = None) -> Beat:
        beat = self._say()
        return msgspec.structs.replace(
            beat, instance=self._instance, started=self._started, every=self._every,
            time=format_time(self._clock.now()), state=state or beat.state,
        )  # fmt: skip
