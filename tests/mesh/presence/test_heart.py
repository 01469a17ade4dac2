"""Beats on a real server, straight and through a leaf link."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from engine.clock import SystemClock, parse_time
from mesh.connection import Connection
from mesh.presence.beat import Beat, State
from mesh.presence.bucket import STREAM, ensure_bucket, get, put
from mesh.presence.heart import Heart
from mesh.presence.twins import find_twin, is_later
from tests.hub import Hub

pytestmark = pytest.mark.nats
KEY = "default.pi-1"


class Body:
    """What a heart belongs to."""

    def __init__(self, beat: Beat) -> None:
        self.beat = beat
        self.twins: list[tuple[Beat, Beat]] = []
        self.met = asyncio.Event()

    def say(self) -> Beat:
        return self.beat

    def meet(self, other: Beat, own: Beat) -> None:
        self.twins.append((other, own))
        self.met.set()


@asynccontextmanager
async def beating(
    connection: Connection, beat: Beat, instance: str = "one", every: float = 0.1, clock: Any = None
) -> AsyncIterator[tuple[Heart, Body]]:
    body = Body(beat)
    heart = Heart(connection, body.say, instance=instance, every=every, clock=clock or SystemClock(), on_twin=body.meet)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(heart.run())
        try:
            yield heart, body
        finally:
            running.cancel()


async def until(connection: Connection, look: Callable[[int, Beat | None], bool]) -> Beat:
    """The first value under the key that is as wanted."""
    async with asyncio.timeout(10):
        while True:
            nc = (await connection.link()).nc
            seq, beat = await get(nc, KEY) if await _is_there(connection) else (0, None)
            if look(seq, beat):
                assert beat is not None
                return beat
            await asyncio.sleep(0.01)  # another client: nothing here could tell


async def _is_there(connection: Connection) -> bool:
    from mesh.jetstream import stream_info

    return await stream_info((await connection.link()).nc, STREAM) is not None


async def test_an_agent_beats_again_and_again_and_says_when_it_goes(
    fleet: Connection, beat: Callable[..., Beat]
) -> None:
    async with beating(fleet, beat(labels={"site": "berlin"})) as (heart, body):
        said = await until(fleet, lambda seq, _: seq >= 3)
        assert (said.labels, said.instance, said.every) == ({"site": "berlin"}, "one", 0.1)
        assert abs(parse_time(said.started) - SystemClock().now()) < 5_000_000
    await heart.stop()
    assert (await until(fleet, lambda *_: True)).state is State.STOPPED
    assert body.twins == []


async def test_a_change_is_told_at_once(fleet: Connection, beat: Callable[..., Beat]) -> None:
    async with beating(fleet, beat(), every=3600.0) as (heart, body):
        await until(fleet, lambda seq, _: seq == 1)
        body.beat = beat(state=State.DRAINING)
        heart.stir()
        await until(fleet, lambda _, found: found is not None and found.state is State.DRAINING)


async def test_a_wrong_clock_does_not_change_when_an_agent_started(
    fleet: Connection, beat: Callable[..., Beat], clock: Any
) -> None:
    clock.now = lambda: SystemClock().now() + 3_600_000_000
    async with beating(fleet, beat(), clock=clock):
        said = await until(fleet, lambda seq, _: seq >= 1)
    assert abs(parse_time(said.started) - SystemClock().now()) < 5_000_000
    assert parse_time(said.time) - SystemClock().now() > 3_500_000_000


async def test_an_agent_beats_at_once_after_a_hub_comes_back(
    hub: Hub, straight: Callable[..., Any], beat: Callable[..., Beat]
) -> None:
    async with straight() as connection, beating(connection, beat(), every=3600.0) as (_, body):
        await until(connection, lambda seq, _: seq == 1)
        await hub.restart()
        await until(connection, lambda seq, _: seq == 2)
        assert body.twins == []


async def test_a_bucket_that_was_removed_is_made_anew(
    fleet: Connection, hub: Hub, beat: Callable[..., Beat], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh.presence.bucket.API_SECONDS", 0.5)  # behind a leaf link nobody says that it is gone
    async with beating(fleet, beat()) as (_, body):
        await until(fleet, lambda seq, _: seq >= 3)
        async with hub.client() as client:
            await client.jetstream().delete_stream(STREAM)
        await until(fleet, lambda seq, _: seq >= 2)
        assert body.twins == []


async def test_both_of_two_twins_see_the_other_and_agree_who_is_later(
    fleet: Connection, straight: Callable[..., Any], beat: Callable[..., Beat]
) -> None:
    async with straight() as another, beating(fleet, beat(), "b") as (_, first):
        await until(fleet, lambda seq, _: seq >= 2)
        async with beating(another, beat(), "a") as (_, second), asyncio.timeout(10):
            await first.met.wait()
            await second.met.wait()
    assert first.twins[0][0].instance == "a"
    assert second.twins[0][0].instance == "b"
    assert not is_later(first.twins[0][1], first.twins[0][0])
    assert is_later(second.twins[0][1], second.twins[0][0])


async def test_the_process_before_is_no_twin(fleet: Connection, beat: Callable[..., Beat]) -> None:
    async with beating(fleet, beat(), "before"):
        await until(fleet, lambda seq, _: seq >= 2)
    async with beating(fleet, beat(), "now") as (_, body):
        await until(fleet, lambda seq, found: found is not None and found.instance == "now" and seq >= 6)
    assert body.twins == []


async def test_a_beat_that_was_late_on_its_way_is_no_twin(fleet: Connection, beat: Callable[..., Beat]) -> None:
    async with beating(fleet, beat(), "now") as (_, body):
        await until(fleet, lambda seq, _: seq >= 2)
        nc = (await fleet.link()).nc
        for seq in (1, 2, 3):  # a hub that stood still lets them through together
            await put(nc, KEY, msgspec.json.encode(beat(instance="before", last_seq=seq)))
        await until(fleet, lambda seq, found: found is not None and found.instance == "now" and seq >= 9)
    assert body.twins == []


async def test_a_silenced_heart_does_not_speak_for_the_other_one(fleet: Connection, beat: Callable[..., Beat]) -> None:
    async with beating(fleet, beat(), "mine") as (heart, _):
        await until(fleet, lambda seq, _: seq >= 1)
        heart.hush()
        await put((await fleet.link()).nc, KEY, msgspec.json.encode(beat(instance="other")))
        heart.stir()
    await heart.stop()
    assert (await until(fleet, lambda *_: True)).instance == "other"


async def test_a_look_before_the_first_beat_finds_who_lives(
    fleet: Connection, straight: Callable[..., Any], beat: Callable[..., Beat], monkeypatch: pytest.MonkeyPatch
) -> None:
    link = await fleet.link()
    await ensure_bucket(link.nc)
    with monkeypatch.context() as impatient:
        impatient.setattr("mesh.presence.twins.MARGIN_SECONDS", 0.1)
        assert await find_twin(link, "default", "pi-1", every=0.1) is None
        await put(link.nc, KEY, msgspec.json.encode(beat(instance="dead", every=0.1)))
        assert await find_twin(link, "default", "pi-1", every=0.1) is None
    async with straight() as another, beating(another, beat(), "alive"):
        found = await find_twin(link, "default", "pi-1", every=0.1)
        assert found is not None
        assert found.instance == "alive"
