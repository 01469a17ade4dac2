"""The embedded server's store is gone: a new disk, or a hand that removed it."""

import shutil

import pytest

pytestmark = [pytest.mark.nats, pytest.mark.crash]


async def test_events_are_published_again_from_what_is_kept_and_messages_are_told_apart(siege) -> None:
    agent = siege.agent
    assert await agent.start()
    before = await siege.publish_anonymously(5)
    first = siege.publisher.stored[0]
    assert await siege.done(siege.publish(30) | before)
    assert await agent.stop() == 0
    shutil.rmtree(agent.data_dir / "nats" / "jetstream")
    assert await agent.start()
    siege.publisher.stored.clear()
    after = await siege.publish_anonymously(5)
    assert siege.publisher.stored[0] == first, "streams count from 1 again: the same numbers, and other messages"
    assert await siege.publisher.once("siege.7", b'{"message": 7}', id="7"), "an old one, once more"
    assert await siege.done(siege.publish(30) | after)
    status = await agent.ask("status")
    assert status["engine"]["counters"]["messages.duplicate"] == 1
    assert "sending the rest again" in agent.log
    await siege.check()
    assert siege.sink.repeats == 0
