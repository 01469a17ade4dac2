"""What may happen to facts on their way: they come twice, in any order, days late, or as something else."""

import json
import os
import random

import pytest

from tests.faults.fleet.fleet import recorded_events

pytestmark = [pytest.mark.nats, pytest.mark.crash]
SEED = int(os.environ.get("GANGLION_CHAOS_SEED", "7"))


async def test_facts_that_come_again_in_any_order_are_recorded_once(fleet) -> None:
    chance = random.Random(SEED)
    fleet.publish(60)
    await fleet.check()
    known = await fleet.recorded()
    messages = await fleet.hub_messages()
    again = [chance.choice(messages) for _ in range(300)]
    async with fleet.hub.client() as client:
        stream = client.jetstream()
        for subject, body in again:
            await stream.publish(subject, body)  # without an id: the server can't tell
        forged = [(subject, json.loads(body)) for subject, body in chance.sample(messages, 20)]
        for subject, event in forged:
            event["data"] = {"forged": True}
            await stream.publish(subject, json.dumps(event).encode())
        for body in (b"", b"{", b"[" * 5000, b'{"specversion":"1.0"}', b"\xff\xfe", os.urandom(200)):
            await stream.publish("ganglion.event.default.edge1.work.workflow.completed", body)
    fleet.publish(20)
    await fleet.check()
    recorder = await fleet.recorder.ask("fleetagents") or {}
    conflicts = sum(agent["conflicts"] for agent in recorder["agents"])
    assert conflicts == len(forged), "another fact under a known number is told, and the first one stays"
    assert not any(b"forged" in data for *_, data in recorded_events(fleet.recorder))
    assert await fleet.recorded() >= known + 20 * 3
    assert len(again) == 300


async def test_what_the_stream_lost_is_asked_for_from_the_agents(fleet) -> None:
    """Facts that the hub took and lost before the recorder saw them: only the outbox still has them."""
    fleet.publish(20)
    await fleet.check()
    assert await fleet.recorder.stop() == 0
    held = len(await fleet.hub_messages())
    fleet.publish(30)
    async with fleet.hub.client() as client:
        stream = client.jetstream()
        while (info := await stream.stream_info("GANGLION_EVENTS")).state.messages < held + 30 * 3:
            pass
        for sequence in range(info.state.last_seq - 40, info.state.last_seq - 10):
            await stream.delete_msg("GANGLION_EVENTS", sequence)
    await fleet.recorder.start()
    await fleet.check(restarted=True)
