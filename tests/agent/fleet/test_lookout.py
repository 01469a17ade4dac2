"""What a recorder tells of others: on a real store, with changes as a roster tells them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.fleet.lookout import Lookout
from engine.control.event_data import DATA
from engine.events import Event, Kind
from engine.store import Store
from mesh.connection import Connection
from mesh.credentials import Credentials
from mesh.presence.attendance import Change
from mesh.presence.beat import Beat
from mesh.presence.members import Standing
from mesh.presence.roster import Roster

UP, DRAINING, STOPPED, LOST = Standing.UP, Standing.DRAINING, Standing.STOPPED, Standing.LOST


class Watched:
    def __init__(self, store: Store, roster: Roster) -> None:
        self.told: asyncio.Queue[Event] = asyncio.Queue()
        self._store = store
        self._roster = roster
        store.listeners.append(lambda facts: [self.told.put_nowait(fact) for fact in facts] and None)

    def see(self, agent: str, was: Standing | None, now: Standing, silent: float = 0.0) -> None:
        beat = Beat(agent=agent, tenant="default", version="1", labels={"site": "berlin"}, host="pi")
        for listener in self._roster.listeners:
            listener(Change(beat, was, now, silent))

    async def next(self) -> tuple[Kind, Any]:
        async with asyncio.timeout(10):
            fact = await self.told.get()
        assert isinstance(fact.data, msgspec.Raw)
        data = msgspec.json.decode(fact.data)
        described = DATA[fact.kind]
        msgspec.convert(data, described)
        assert data.keys() == {field.encode_name for field in msgspec.structs.fields(described)}
        return fact.kind, data

    async def is_told_nothing(self) -> bool:
        """Something else is told, and before it nothing."""
        self.see("marker", None, UP)
        self.see("marker", UP, LOST)
        kind, data = await self.next()
        self.see("marker", LOST, UP)
        await self.next()
        return kind is Kind.AGENT_LOST and data["agent"] == "marker"


@pytest.fixture
def watching(tmp_path: Path) -> Callable[..., Any]:
    """A recorder's process, on the same store each time."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Watched]:
        async with Store.open(tmp_path / "ganglion.db") as store, asyncio.TaskGroup() as tasks:
            roster = Roster(Connection([], credentials=Credentials(), name="never used"), "default", clock=store.clock)
            lookout = Lookout(store, roster, agent="me")
            watched = Watched(store, roster)
            running = tasks.create_task(lookout.run())
            try:
                yield watched
            finally:
                running.cancel()

    return opened


async def test_an_agent_is_told_lost_and_returned_once_each(watching: Callable[..., Any]) -> None:
    async with watching() as watched:
        watched.see("a", None, UP)
        watched.see("a", UP, LOST, 15.2)
        kind, data = await watched.next()
        assert (kind, data["agent"], data["labels"], data["host"]) == (
            Kind.AGENT_LOST, "a", {"site": "berlin"}, "pi",
        )  # fmt: skip
        assert data["silent_seconds"] == pytest.approx(15.2, abs=0.1)
        watched.see("a", LOST, UP)
        kind, data = await watched.next()
        assert (kind, data["state"]) == (Kind.AGENT_RETURNED, "up")
        assert data["silent_seconds"] >= 15.2
        watched.see("a", UP, DRAINING)
        watched.see("a", DRAINING, STOPPED)
        assert await watched.is_told_nothing()


async def test_what_was_told_is_not_told_again_after_a_restart(watching: Callable[..., Any]) -> None:
    async with watching() as watched:
        watched.see("a", None, UP)
        watched.see("a", UP, LOST, 20.0)
        await watched.next()
    async with watching() as watched:
        watched.see("a", None, LOST, 60.0)
        assert await watched.is_told_nothing()
        watched.see("a", LOST, UP)
        assert (await watched.next())[0] is Kind.AGENT_RETURNED


async def test_who_got_lost_while_nobody_watched_is_told(watching: Callable[..., Any]) -> None:
    async with watching() as watched:
        watched.see("a", None, UP)
        assert await watched.is_told_nothing()
    async with watching() as watched:
        watched.see("a", None, LOST, 60.0)
        assert (await watched.next())[0] is Kind.AGENT_LOST


async def test_who_was_never_heard_and_oneself_are_not_missed(watching: Callable[..., Any]) -> None:
    async with watching() as watched:
        watched.see("old", None, LOST, 1e6)
        watched.see("me", None, UP)
        watched.see("me", UP, LOST)
        assert await watched.is_told_nothing()
