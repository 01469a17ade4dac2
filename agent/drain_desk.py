"""Has the agent drained when somebody asks for it, and tells them how far it is."""

import asyncio
import logging
import sqlite3

from agent.draining import MAX_SHOWN, Drain, Draining, Phase, StillRunning
from agent.stopping import Stopping
from engine.control import Refused, Verb
from engine.engine import Engine
from engine.store import executions

FOLLOW_SECONDS = 0.5
"""How long a question waits for news."""
LINGER_SECONDS = 1.0
"""How long the end waits for those who follow it, so that they hear of it."""
WIRE_SECONDS = 0.05
"""For an answer to leave the process."""
_log = logging.getLogger("ganglion.agent")


class DrainDesk:
    """Answers the verb `drain`."""

    def __init__(self, engine: Engine, stopping: Stopping) -> None:
        self._engine = engine
        self._stopping = stopping
        self._parked: list[str] = []
        self._over = asyncio.Event()
        self._followed_at = float("-inf")
        self._told = asyncio.Event()

    @property
    def verb(self) -> Verb:
        return Verb(
            name="drain",
            description="Take nothing new, let running executions finish, and stop.",
            request=Drain,
            answer=Draining,
            handle=self._drain,
        )

    def park(self) -> None:
        """What runs now has no more time."""
        self._parked = self._engine.executor.running()
        if self._parked:
            count = {"executions": len(self._parked)}
            _log.info("what still runs is parked, and goes on at the next start", extra={"fields": count})

    async def say_so(self) -> None:
        """Nothing runs any more: let those know who follow."""
        self._over.set()
        loop = asyncio.get_running_loop()
        if loop.time() - self._followed_at > LINGER_SECONDS:
            return
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                await self._told.wait()
        except TimeoutError:
            return
        await asyncio.sleep(WIRE_SECONDS)

    async def _drain(self, request: Drain) -> Draining:
        if not request.follow:
            self._stopping.drain(request.timeout)
        elif not self._stopping.asked.is_set():
            raise Refused(409, "this agent does not drain: `ganglion drain` lets it")
        else:
            try:
                async with asyncio.timeout(FOLLOW_SECONDS):
                    await self._over.wait()
            except TimeoutError:
                pass
        self._followed_at = asyncio.get_running_loop().time()
        answer = await self._state()
        if answer.phase is not Phase.DRAINING:
            self._told.set()
        return answer

    async def _state(self) -> Draining:
        over = self._over.is_set()
        ids = self._parked if over else self._engine.executor.running()
        phase = Phase.DRAINING if not over else Phase.PARKED if ids else Phase.DRAINED
        return Draining(
            agent=self._engine.identity.agent,
            phase=phase,
            running=len(ids),
            executions=await self._engine.store.read(lambda db: self._shown(db, ids[:MAX_SHOWN])),
        )

    def _shown(self, db: sqlite3.Connection, ids: list[str]) -> tuple[StillRunning, ...]:
        found = [executions.get(db, id) for id in ids]
        under_way = self._engine.executor.under_way
        return tuple(
            StillRunning(execution=row.id, workflow=row.workflow, nodes=tuple(sorted(under_way(row.id))))
            for row in found
            if row is not None
        )
