"""The bucket on a real server, straight and through a leaf link."""

import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from mesh.connection import Connection
from mesh.jetstream import stream_info
from mesh.presence import bucket
from mesh.presence.beat import BUCKET, Beat
from mesh.presence.bucket import MovedOn, ensure_bucket, get, key_of, listing, put
from tests.hub import Hub

pytestmark = pytest.mark.nats


async def say(connection: Connection, beat: Beat, **options: Any) -> int:
    nc = (await connection.link()).nc
    return await put(nc, key_of(beat.tenant, beat.agent), msgspec.json.encode(beat), **options)


async def test_what_an_agent_says_is_listed_with_the_servers_time(fleet: Connection, beat: Callable[..., Beat]) -> None:
    nc = (await fleet.link()).nc
    assert (await listing(nc, "default")).entries == []
    await ensure_bucket(nc)
    await ensure_bucket(nc)
    for name in ("pi-1", "pi-2", "pi-1"):
        await say(fleet, beat(name))
    await say(fleet, beat("pi-9", tenant="other"))
    found = await listing(nc, "default")
    assert sorted((entry.beat.agent, entry.seq) for entry in found.entries) == [("pi-1", 3), ("pi-2", 2)]
    assert all(found.now - 5 < entry.time <= found.now for entry in found.entries)
    assert abs(found.now - time.time()) < 5  # the server is on this machine


async def test_the_bucket_is_one_for_every_other_client(fleet: Connection, hub: Hub, beat: Callable[..., Beat]) -> None:
    await ensure_bucket((await fleet.link()).nc)
    await say(fleet, beat("pi-1"))
    async with hub.client() as client:
        found = await client.jetstream().key_value(BUCKET)
        entry = await found.get("default.pi-1")
        assert entry.value is not None
        assert msgspec.json.decode(entry.value)["agent"] == "pi-1"
        assert await found.keys() == ["default.pi-1"]


async def test_a_bucket_that_a_client_library_made_is_taken_as_it_is(
    fleet: Connection, hub: Hub, beat: Callable[..., Beat]
) -> None:
    async with hub.client() as client:
        await client.jetstream().create_key_value(bucket=BUCKET, history=5, description="ours")
        await ensure_bucket((await fleet.link()).nc)
        assert (await (await client.jetstream().key_value(BUCKET)).status()).history == 5
    await say(fleet, beat("pi-1"))
    await say(fleet, beat("pi-1", last_seq=2))
    [entry] = (await listing((await fleet.link()).nc, "default")).entries
    assert entry.beat.last_seq == 2


async def test_a_bucket_of_one_agent_alone_is_in_memory(fleet: Connection, beat: Callable[..., Beat]) -> None:
    nc = (await fleet.link()).nc
    await ensure_bucket(nc, in_memory=True)
    await ensure_bucket(nc)
    info = await stream_info(nc, bucket.STREAM)
    assert info is not None
    assert info.config["storage"] == "memory"
    await say(fleet, beat("pi-1"))
    assert len((await listing(nc, "default")).entries) == 1


async def test_a_put_after_somebody_elses_is_refused(fleet: Connection, beat: Callable[..., Beat]) -> None:
    nc = (await fleet.link()).nc
    await ensure_bucket(nc)
    first = await say(fleet, beat(instance="a"), after=0)
    second = await say(fleet, beat(instance="b"), after=first)
    with pytest.raises(MovedOn):
        await say(fleet, beat(instance="a"), after=first)
    assert await get(nc, "default.pi-1") == (second, beat(instance="b"))
    assert await get(nc, "default.nobody") == (0, None)


async def test_what_is_no_beat_is_skipped_and_counted(fleet: Connection, hub: Hub, beat: Callable[..., Beat]) -> None:
    nc = (await fleet.link()).nc
    await ensure_bucket(nc)
    await say(fleet, beat("pi-1"))
    async with hub.client() as client:
        found = await client.jetstream().key_value(BUCKET)
        await found.put("default.evil", b"[" * 50_000)
        await found.put("default.liar", msgspec.json.encode(beat("pi-1")))
        await found.put("default.gone", b"x")
        await found.delete("default.gone")
    read = await listing(nc, "default")
    assert [entry.beat.agent for entry in read.entries] == ["pi-1"]
    assert read.bad == 2
    sequence, said = await get(nc, "default.evil")
    assert sequence > 0
    assert said is None


async def test_more_agents_than_the_server_gives_at_once_are_listed(
    hub: Hub, straight: Any, beat: Callable[..., Beat]
) -> None:
    async with straight() as connection:
        nc = (await connection.link()).nc
        await ensure_bucket(nc)
        await nc.publish_batch(
            (f"$KV.{BUCKET}.default.pi-{number}", "", {}, msgspec.json.encode(beat(f"pi-{number}")))
            for number in range(1099)
        )
        await say(connection, beat("pi-1099"))  # is stored behind the others
        assert len((await listing(nc, "default")).entries) == 1100


async def test_a_server_that_gives_no_several_values_is_asked_for_each(
    fleet: Connection, beat: Callable[..., Beat], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_: Any) -> Any:
        raise bucket._Refused("408")  # what a server before 2.11 says

    nc = (await fleet.link()).nc
    await ensure_bucket(nc)
    await say(fleet, beat("pi-1"))
    await say(fleet, beat("pi-2"))
    monkeypatch.setattr(bucket, "_several", refused)
    assert [entry.seq for entry in (await listing(nc, "default")).entries] == [1, 2]
