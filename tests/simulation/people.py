"""People at work: they say what became of nodes in doubt, pause and go on, cancel."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

from engine.control.engine import engine_verbs
from engine.control.verb import Refused
from engine.engine import Engine
from engine.events import Bus, Event, Kind
from tests.simulation.oracle import Oracle

_CALLS_FOR_SOMEBODY = frozenset({Kind.NODE_IN_DOUBT, Kind.WORKFLOW_PAUSED})
_OPEN = "SELECT id FROM executions WHERE finished_at IS NULL ORDER BY num"


class People:
    """They use the verbs that the command line uses, and know what happened in the world."""

    def __init__(self, engine: Engine, oracle: Oracle, dice: random.Random) -> None:
        self.engine = engine
        self._oracle = oracle
        self._dice = dice
        self._verbs = {verb.name: verb for verb in engine_verbs(engine)}

    async def decide(self, bus: Bus) -> None:
        """Look after what waits for a person, until cancelled."""
        with bus.subscribe(_is_for_people, live=False) as calls:
            async with asyncio.TaskGroup() as tasks:
                for id, path in self._oracle.rows("SELECT execution, path FROM nodes WHERE status = 'in_doubt'"):
                    tasks.create_task(self._resolve(id, path))
                for (id,) in self._oracle.rows("SELECT id FROM executions WHERE status = 'paused'"):
                    tasks.create_task(self._resume(id))
                while True:
                    for event in await calls.wait():
                        if event.kind is Kind.NODE_IN_DOUBT:
                            tasks.create_task(self._resolve(event.execution, event.node))
                        else:
                            tasks.create_task(self._resume(event.execution))

    async def pause_one(self) -> None:
        if (id := self._any()) is not None:
            with suppress(Refused):
                await self._ask("pause", execution=id)

    async def cancel_one(self) -> None:
        if (id := self._any()) is not None:
            with suppress(Refused):
                await self._ask("cancel", execution=id, reason="they felt like it")

    async def _resolve(self, id: str, path: str) -> None:
        place = (id, path)

        async def resolve() -> None:
            told: dict[str, object] = {"retry": True}
            if place in self._oracle.results:
                result = self._oracle.results[place]
                told = {"failed": "it was to be"} if result is None else {"completed": result}
                self._oracle.resolved.add(place)
            await self._ask("resolve", execution=id, node=path, **told)

        doubtful = "SELECT 1 FROM nodes WHERE execution = ? AND path = ? AND status = 'in_doubt'"
        await self._insist(resolve, lambda: bool(self._oracle.rows(doubtful, id, path)))

    async def _resume(self, id: str) -> None:
        async def resume() -> None:
            await self._ask("resume", execution=id)

        paused = "SELECT 1 FROM executions WHERE id = ? AND status = 'paused'"
        await self._insist(resume, lambda: bool(self._oracle.rows(paused, id)))

    async def _insist(self, act: Callable[[], Awaitable[None]], is_needed: Callable[[], bool]) -> None:
        """Again and again, later and later, while other nodes run or the disk is full."""
        pause = self._dice.choice((0.0, 0.3, 10.0))
        await asyncio.sleep(pause)
        while is_needed():
            with suppress(Refused):
                await act()
            pause = min(600.0, 1.0 + pause * 2)
            await asyncio.sleep(pause)

    async def _ask(self, name: str, **fields: object) -> None:
        verb = self._verbs[name]
        await verb.handle(verb.request(**fields))

    def _any(self) -> str | None:
        found = [id for (id,) in self._oracle.rows(_OPEN)]
        return self._dice.choice(found) if found else None


def _is_for_people(event: Event) -> bool:
    return event.kind in _CALLS_FOR_SOMEBODY
