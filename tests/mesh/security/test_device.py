"""What an anonymous program on the machine can't do at the embedded server: speak for the agent, in any way."""

import asyncio
from typing import Any

import msgspec
import nats.errors
import pytest
from nats.aio.client import Client

from engine.control import Verb
from engine.control.messages import Nothing
from mesh.client import ServiceClient
from mesh.connection import Connection, Link
from mesh.jetstream import stream_info
from mesh.line import Line
from mesh.presence.beat import Beat
from mesh.presence.bucket import ensure_bucket, get, put
from mesh.roll_call import roll_call
from mesh.server import EmbeddedServer
from mesh.server.settings import DEVICE_MAY_NOT_PUBLISH, DEVICE_MAY_NOT_SUBSCRIBE, INBOX
from mesh.service import ControlService
from mesh.streams import EVENTS, Limits, ensure_events, ensure_triggers

pytestmark = pytest.mark.nats


class Who(msgspec.Struct):
    name: str


async def _handle(_: Nothing) -> Who:
    return Who("the agent")


VERB = Verb(name="status", description="x", request=Nothing, answer=Who, handle=_handle)


async def _impostor(message: Any) -> None:
    await message.respond(b'{"name": "a device"}')


@pytest.mark.parametrize("subject", [">", "ganglion.>", "*.service.>", "ganglion.service.default.edge.status"])
@pytest.mark.parametrize("queue", ["", "ganglion-edge"])
async def test_it_answers_for_no_service(
    server: EmbeddedServer, connection: Connection, device: Client, subject: str, queue: str
) -> None:
    await device.subscribe(subject, queue=queue, cb=_impostor)
    await device.flush()
    service = ControlService(connection, [VERB], tenant="default", agent="edge", version="1.0.0", metadata={})
    serving = asyncio.create_task(service.run())
    try:
        await service.ready.wait()
        async with ServiceClient.open(url=server.url, credentials=server.credentials, agent="edge") as client:
            for _ in range(30):
                assert (await client.call("status", Nothing(), Who)).name == "the agent"
    finally:
        serving.cancel()
        await asyncio.wait({serving})


async def test_it_is_not_heard_where_agents_call_the_roll(server: EmbeddedServer, device: Client) -> None:
    async def forged(message: Any) -> None:
        await message.respond(b'{"metadata": {"tenant": "default", "agent": "edge"}}')

    for subject in ("$SRV.PING.ganglion", "$SRV.>", ">"):
        await device.subscribe(subject, cb=forged)
    await device.flush()
    async with Line.open(server.url, server.credentials) as line:
        assert await roll_call(line.nc, "default", seconds=0.3) == set()


async def test_it_neither_hears_nor_forges_what_the_agent_is_answered(link: Link, device: Client) -> None:
    inbox = link.nc.new_inbox()
    got = await link.nc.subscribe(inbox)
    spies = [await device.subscribe(pattern) for pattern in (">", "_INBOX.>", f"{inbox}", "_INBOX.*.*.*")]
    await device.publish(inbox, b"forged")
    await device.flush()
    await link.nc.publish(inbox, b"true")
    assert (await got.next_msg(5)).data == b"true"
    await device.flush()
    assert (got.pending_msgs, [spy.pending_msgs for spy in spies]) == (0, [0, 0, 0, 0])
    await ensure_events(link.nc, Limits())
    await device.flush()
    heard = [await spy.next_msg(1) for spy in spies for _ in range(spy.pending_msgs)]
    assert not [message for message in heard if message.subject.startswith(INBOX)]


async def test_it_answers_what_a_workflow_asks_it_and_that_once(link: Link, device: Client) -> None:
    replies: list[str] = []

    async def valve(message: Any) -> None:
        replies.append(message.reply)
        await message.respond(b"open")
        await message.respond(b"again")

    await device.subscribe("valves.1", cb=valve)
    await device.flush()
    for _ in range(50):
        assert (await link.nc.request("valves.1", b"?", timeout=5)).data == b"open"
    late = await link.nc.subscribe(replies[0])
    await device.publish(replies[0], b"later")
    await device.flush()
    assert late.pending_msgs == 0


async def test_it_is_no_agent_and_ends_none(link: Link, device: Client) -> None:
    await ensure_bucket(link.nc)
    await put(link.nc, "default.edge", msgspec.json.encode(Beat(agent="edge", tenant="default", version="1")))
    for subject in ("$KV.ganglion_agents.default.edge", "$KV.ganglion_agents.default.other"):
        await device.publish(subject, b'{"agent": "x"}', headers={"KV-Operation": "PURGE", "Nats-Rollup": "all"})
    await device.flush()
    seq, beat = await get(link.nc, "default.edge")
    assert (seq, beat is not None) == (1, True)
    assert (await get(link.nc, "default.other"))[0] == 0


@pytest.mark.parametrize(
    "subject",
    [
        "$JS.API.STREAM.DELETE.GANGLION_EVENTS", "$JS.edge.API.STREAM.PURGE.GANGLION_EVENTS",
        "$JS.hub.API.STREAM.PURGE.GANGLION_EVENTS", "$JS.API.$KV.ganglion_agents.default.x",
        "$JS.ACK.GANGLION_EVENTS.recorder_default_edge.1.1.1.1.1",
        "$JS.ACK._.x.GANGLION_TRIGGERS.agent.1.1.1.1.1.x", "ganglion.event.default.edge.x.workflow.completed",
        "ganglion.live.default.edge.x.node.started", "ganglion.job.default.edge", "$SYS.REQ.ACCOUNT.PING.CONNZ",
        "$O.ganglion_artifacts.C.x",
    ],
)  # fmt: skip
async def test_it_does_not_manage_acknowledge_or_tell(link: Link, device: Client, subject: str) -> None:
    await ensure_events(link.nc, Limits())
    await ensure_triggers(link.nc, "default", Limits())
    await link.nc.request("ganglion.event.default.edge.x.workflow.started", b"{}", timeout=5)
    heard = await link.nc.subscribe(subject)
    await link.nc.flush()
    with pytest.raises((nats.errors.TimeoutError, nats.errors.NoRespondersError)):
        await device.request(subject, b"{}", timeout=0.2)
    assert heard.pending_msgs == 0
    info = await stream_info(link.nc, EVENTS)
    assert info is not None
    assert info.state.messages == 1


def test_everything_of_ours_is_denied() -> None:
    """A new word under `ganglion.` is denied to devices until somebody thinks about it."""
    for word in ("service", "job", "journal", "event", "live"):
        assert f"ganglion.{word}.>" in DEVICE_MAY_NOT_PUBLISH
    assert "ganglion.service.>" in DEVICE_MAY_NOT_SUBSCRIBE
