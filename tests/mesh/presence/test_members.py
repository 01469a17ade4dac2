from collections.abc import Callable

import msgspec
import pytest

from mesh.connection import Connection
from mesh.presence.beat import Beat, State
from mesh.presence.bucket import Entry, Listing, ensure_bucket, key_of, put
from mesh.presence.members import Standing, members, members_of


def test_an_agent_is_lost_after_three_beats_by_the_servers_time(beat: Callable[..., Beat]) -> None:
    now = 1_000_000.0
    found = Listing(
        [
            Entry(beat("d", state=State.STOPPED), 1, now - 1000),
            Entry(beat("c", every=5.0), 2, now - 15.5),
            Entry(beat("b", every=5.0, time="1999-01-01T00:00:00Z"), 3, now - 14.9),
            Entry(beat("a", state=State.DRAINING), 4, now + 0.5),
        ],
        now,
    )
    assert [(one.beat.agent, one.age_seconds, one.state) for one in members_of(found)] == [
        ("a", 0.0, Standing.DRAINING),
        ("b", pytest.approx(14.9), Standing.UP),
        ("c", 15.5, Standing.LOST),
        ("d", 1000, Standing.STOPPED),
    ]


@pytest.mark.nats
async def test_all_agents_of_a_tenant_are_members(fleet: Connection, beat: Callable[..., Beat]) -> None:
    link = await fleet.link()
    assert await members(link, "default") == []
    await ensure_bucket(link.nc)
    for one in (beat("b"), beat("a"), beat("z", tenant="other")):
        await put(link.nc, key_of(one.tenant, one.agent), msgspec.json.encode(one))
    assert [one.beat.agent for one in await members(link, "default")] == ["a", "b"]
    assert await members(link.nc, "other") != []
