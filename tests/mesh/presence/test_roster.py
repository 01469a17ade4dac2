"""Agents come, go and fall silent on a real server; the watcher's clock is held by the test."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from mesh.connection import Connection
from mesh.presence.attendance import Change
from mesh.presence.beat import Beat, State
from mesh.presence.bucket import STREAM, ensure_bucket, key_of, put
from mesh.presence.members import Standing
from mesh.presence.roster import Roster
from tests.hub import Hub

pytestmark = pytest.mark.nats
UP, DRAINING, STOPPED, LOST = Standing.UP, Standing.DRAINING, Standing.STOPPED, Standing.LOST


class Watched:
    def __init__(self, connection: Connection, roster: Roster) -> None:
        self.roster = roster
        self._connection = connection
        self._changes: asyncio.Queue[Change] = asyncio.Queue()
        roster.listeners.append(self._changes.put_nowait)

    async def say(self, beat: Beat) -> None:
        await put((await self._connection.link()).nc, key_of(beat.tenant, beat.agent), msgspec.json.encode(beat))

    async def next(self) -> tuple[str, Standing | None, Standing]:
        async with asyncio.timeout(10):
            change = await self._changes.get()
        return change.beat.agent, change.was, change.now

    async def states(self) -> dict[str, str]:
        return {member.beat.agent: member.state.value for member in await self.roster.snapshot()}


@asynccontextmanager
async def watching(connection: Connection, clock: Any, **options: Any) -> AsyncIterator[Watched]:
    roster = Roster(connection, "default", clock=clock, **options)
    watched = Watched(connection, roster)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(roster.run())
        try:
            yield watched
        finally:
            running.cancel()


async def test_agents_come_drain_stop_fall_silent_and_come_back(
    fleet: Connection, clock: Any, beat: Callable[..., Beat]
) -> None:
    async with watching(fleet, clock) as watched:
        assert await watched.states() == {}
        await watched.say(beat("a"))
        assert await watched.next() == ("a", None, UP)
        await watched.say(beat("b"))
        assert await watched.next() == ("b", None, UP)
        await watched.say(beat("b", state=State.DRAINING))
        assert await watched.next() == ("b", UP, DRAINING)
        await watched.say(beat("b", state=State.STOPPED))
        assert await watched.next() == ("b", DRAINING, STOPPED)
        clock.seconds += 3.1
        assert await watched.next() == ("a", UP, LOST)
        assert await watched.states() == {"a": "lost", "b": "stopped"}
        await watched.say(beat("a"))
        assert await watched.next() == ("a", LOST, UP)


async def test_other_tenants_and_nonsense_are_not_seen(
    fleet: Connection, clock: Any, beat: Callable[..., Beat]
) -> None:
    async with watching(fleet, clock) as watched:
        await watched.roster.snapshot()
        await watched.say(beat("x", tenant="other"))
        await put((await fleet.link()).nc, "default.evil", b"[" * 30_000)
        await watched.say(beat("a"))
        assert await watched.next() == ("a", None, UP)
        assert watched.roster.bad == 1
        assert await watched.states() == {"a": "up"}


async def test_who_was_there_before_is_known_at_once(fleet: Connection, clock: Any, beat: Callable[..., Beat]) -> None:
    nc = (await fleet.link()).nc
    await ensure_bucket(nc)
    await put(nc, "default.a", msgspec.json.encode(beat("a")))
    async with watching(fleet, clock) as watched:
        assert await watched.states() == {"a": "up"}
        assert await watched.next() == ("a", None, UP)


async def test_nobody_is_lost_because_the_hub_was_away(
    hub: Hub, straight: Callable[..., Any], clock: Any, beat: Callable[..., Beat]
) -> None:
    async with straight() as connection, watching(connection, clock) as watched:
        await watched.roster.snapshot()
        await watched.say(beat("a"))
        assert await watched.next() == ("a", None, UP)
        link = await connection.link()
        hub.kill()
        await link.lost.wait()
        clock.seconds += 60
        await hub.start()
        await connection.link()
        await watched.say(beat("b"))
        assert await watched.next() == ("b", None, UP)
        clock.seconds += 2.9
        await watched.say(beat("a", state=State.DRAINING))
        assert await watched.next() == ("a", UP, DRAINING)


async def test_a_bucket_that_was_removed_is_followed_again(
    fleet: Connection, hub: Hub, clock: Any, beat: Callable[..., Beat], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh.presence.roster.SILENT_SECONDS", 0.3)
    async with watching(fleet, clock, list_seconds=0.2) as watched:
        await watched.roster.snapshot()
        await watched.say(beat("a"))
        assert await watched.next() == ("a", None, UP)
        async with hub.client() as client:
            await client.jetstream().delete_stream(STREAM)
            async with asyncio.timeout(10):
                while not await _is_there(client):  # noqa: ASYNC110 - another process, nothing here could tell
                    await asyncio.sleep(0.02)
        await watched.say(beat("b"))
        assert await watched.next() == ("b", None, UP)


async def _is_there(client: Any) -> bool:
    names = [info.config.name for info in await client.jetstream().streams_info()]
    return STREAM in names
