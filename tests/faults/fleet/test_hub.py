"""What happens to a hub: it is killed under load, comes back with an older copy of its store, loses a stream."""

import os
import random
import shutil

import pytest

from tests.faults.patience import until

pytestmark = [pytest.mark.nats, pytest.mark.crash]

KILLS = int(os.environ.get("GANGLION_CHAOS_HUB_KILLS", "4"))
EACH = 400
"""Messages for each kill."""
SEED = int(os.environ.get("GANGLION_CHAOS_SEED", "4"))


async def test_a_hub_that_is_killed_again_and_again_loses_nothing_and_repeats_nothing(fleet) -> None:
    chance = random.Random(SEED)
    busy = 0
    for _ in range(KILLS):
        before = await fleet.recorded()
        fleet.publish(EACH)
        await fleet.has_recorded(chance.randrange(1, 20))  # some of it is on its way
        fleet.hub.kill()
        busy += await fleet.recorded() < before + EACH * 3  # three facts for each message
        await fleet.hub.start()
    assert busy >= KILLS / 2, "the kills came when all was done"
    await fleet.check()


async def test_a_hub_that_comes_back_with_an_older_copy_gets_again_what_it_has_lost(fleet, tmp_path) -> None:
    fleet.publish(40)
    await fleet.has_recorded(60)
    fleet.hub.kill()
    shutil.copytree(fleet.hub.directory / "store", tmp_path / "copy")
    await fleet.hub.start()
    fleet.publish(60)
    await fleet.has_recorded(100)
    fleet.hub.kill()
    held = await fleet.recorded()
    shutil.rmtree(fleet.hub.directory / "store")
    shutil.copytree(tmp_path / "copy", fleet.hub.directory / "store")
    await fleet.hub.start()
    fleet.publish(40)
    await fleet.check()
    assert await fleet.recorded() > held

    async def whole() -> bool:
        """What the hub had lost is in its stream again: for readers other than ours."""
        wanted = {f"{agent.id}/{seq}" for agent in fleet.edges for seq in range(1, 41)}
        return wanted <= set(await fleet.in_the_hubs_stream())

    await until(whole, seconds=30)
    assert any("sending the rest again" in agent.log for agent in fleet.edges)


async def test_a_stream_that_is_deleted_under_load_and_made_anew_is_filled_again(fleet) -> None:
    fleet.publish(60)
    await fleet.has_recorded(30)
    async with fleet.hub.client() as client:
        stream = client.jetstream()
        config = (await stream.stream_info("GANGLION_EVENTS")).config
        assert await stream.delete_stream("GANGLION_EVENTS")
        await stream.add_stream(config)
    fleet.publish(60)
    await fleet.check()


async def test_a_stream_that_is_deleted_is_made_again_by_the_agents(fleet) -> None:
    fleet.publish(20)
    await fleet.has_recorded(30)
    async with fleet.hub.client() as client:
        assert await client.jetstream().delete_stream("GANGLION_EVENTS")
    fleet.publish(40)
    await fleet.check()


async def test_links_that_are_cut_and_fall_silent_under_load_hold_up_nothing_else(fleet) -> None:
    cut, mute = fleet.cables
    for _ in range(2):
        fleet.publish(40)
        await fleet.has_recorded(10)
        await cut.cut()
        await fleet.has_recorded(1)  # of the other edge
        await cut.join()
        mute.mute()
        fleet.publish(20)
        await fleet.has_recorded(5)
        await mute.join()
    await fleet.check()
    assert cut.connections >= 2
