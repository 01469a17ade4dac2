"""An agent behind a leaf link whose user at the hub may do exactly what the list says."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import nats.errors
import pytest

from engine.control import Verb
from engine.control.messages import Nothing
from engine.definition.model import Deliver
from engine.events import Identity
from engine.triggers.routes import External
from mesh.connection import Connection, Link
from mesh.credentials import Credentials
from mesh.intake import consumer
from mesh.intake.pull import Pull
from mesh.intake.source import Source, addressed, anyones, of_stream
from mesh.jetstream import stream_info
from mesh.leaf import LeafLink
from mesh.nats_client import AnySubjectClient, connect, retire
from mesh.permissions import Member, Stream, agent_rights, inbox_of
from mesh.presence.beat import Beat
from mesh.presence.bucket import ensure_bucket, get, put, server_time
from mesh.server import EmbeddedServer, Hub, Settings
from mesh.service import ControlService, verb_subject
from mesh.streams import EVENTS, TRIGGERS, Limits, ensure_events, ensure_triggers
from tests.guarded_hub import GuardedHub

pytestmark = pytest.mark.nats
API = "$JS.hub.API"
WANTED = External("hello", "ORDERS", ("orders.*",), deliver=Deliver.ONE)


class Answered(msgspec.Struct):
    ok: bool = True


def _auth() -> str:
    source = of_stream(WANTED, tenant="red", agent="a1")
    streams = (Stream("ORDERS", ((source.consumer, source.subjects),)),)
    member = Member(tenant="red", agent="a1", workflows=("hello",), streams=streams, fleet=True, api=API)
    rights = agent_rights(member)
    permissions = {
        "publish": {"allow": [right.subject for right in rights.publish]},
        "subscribe": {"allow": [right.subject for right in rights.subscribe]},
    }
    users = [{"user": "test", "password": "test"}, {"user": "a1", "password": "a1", "permissions": permissions}]
    return f"accounts {{ FLEET {{ jetstream: enabled, users: {json.dumps(users)} }}, SYS {{}} }}\nsystem_account: SYS"


@asynccontextmanager
async def _operator(hub: GuardedHub) -> AsyncIterator[AnySubjectClient]:
    async def ignore(_: Exception) -> None: ...

    client = AnySubjectClient()
    await connect(client, [hub.url], Credentials(user="test", password="test"), None, name="test", on_error=ignore)
    try:
        yield client
    finally:
        await retire(client)


@asynccontextmanager
async def _beyond(hub: GuardedHub, settings: Callable[..., Settings], data_dir: Path) -> AsyncIterator[Connection]:
    remote = Hub(url=hub.leaf_url, domain="hub", credentials=Credentials(user="a1", password="a1"))
    async with (
        EmbeddedServer.open(settings(data_dir, name="a1", hub=remote)) as server,
        LeafLink.open(server, remote, seconds=0.1) as link,
        asyncio.TaskGroup() as tasks,
    ):
        beyond = Connection([server.url], credentials=server.uplink, beyond=link, inbox=inbox_of("red", "a1"))
        running = tasks.create_task(beyond.run())
        try:
            yield beyond
        finally:
            running.cancel()


async def _fetch(link: Link, source: Source) -> bytes:
    info = await stream_info(link.nc, source.stream)
    assert info is not None
    await consumer.ensure(link, source, info)
    async with Pull.open(link, source.stream, source.consumer) as pull:
        [message] = await asyncio.wait_for(pull.take(1), 10)
        await link.nc.request(message.reply, b"+ACK", timeout=5)
    return bytes(message.data)


async def test_an_agent_behind_a_leaf_link_works_under_exactly_its_rights(
    guarded: Callable[..., Any], settings: Callable[..., Settings], tmp_path: Path, relaying: Callable[..., Any]
) -> None:
    async with guarded(_auth()) as hub, _operator(hub) as test:
        await ensure_triggers(test, "red", Limits())
        await ensure_events(test, Limits())
        await ensure_bucket(test)
        await test.jetstream().add_stream(name="ORDERS", subjects=["orders.*"])
        async with _beyond(hub, settings, tmp_path / "edge") as beyond:
            link = await beyond.link()
            for subject, source in (
                ("ganglion.trigger.red.a1.hello", addressed("red", "a1")),
                ("ganglion.trigger.red.any.hello", anyones("red", "hello")),
            ):
                await test.request(subject, b"go", timeout=5)
                assert await _fetch(link, source) == b"go"
            orders = of_stream(WANTED, tenant="red", agent="a1")
            info = await stream_info(link.nc, "ORDERS")
            assert info is not None
            await consumer.ensure(link, orders, info)
            await put(link.nc, "red.a1", msgspec.json.encode(Beat(agent="a1", tenant="red", version="1")))
            assert (await get(link.nc, "red.a1"))[1] is not None
            assert await server_time(link.nc)
            async with relaying(beyond, Identity("a1", "red", "e1")) as (facts, _):
                await facts(300)
                async with asyncio.timeout(10):
                    while (held := await stream_info(test, EVENTS)) is None or held.state.messages < 300:
                        pass
            await _ask(test, beyond)
        assert not [line for line in hub.log.splitlines() if "Violation" in line or "denied" in line.lower()]


async def _ask(test: AnySubjectClient, beyond: Connection) -> None:
    """A person at the hub asks the agent, as often as they like."""

    async def handle(_: Nothing) -> Answered:
        return Answered()

    verb = Verb(name="status", description="x", request=Nothing, answer=Answered, handle=handle)
    service = ControlService(beyond, [verb], tenant="red", agent="a1", version="1.0.0", metadata={})
    serving = asyncio.create_task(service.run())
    try:
        await service.ready.wait()
        async with asyncio.timeout(10):
            while True:  # the interest travels over the link
                try:
                    reply = await test.request(verb_subject("red", "a1", "status"), b"", timeout=5)
                except nats.errors.NoRespondersError:
                    continue
                break
        assert json.loads(reply.data) == {"ok": True}
        for _ in range(20):
            await test.request(verb_subject("red", "a1", "status"), b"", timeout=5)
    finally:
        serving.cancel()
        await asyncio.wait({serving})


@pytest.mark.parametrize(
    "subject",
    [
        "ganglion.event.red.a2.x.y", "ganglion.event.blue.b1.x.y", f"{API}.STREAM.DELETE.{TRIGGERS}",
        f"{API}.STREAM.MSG.GET.{EVENTS}", f"{API}.DIRECT.GET.{EVENTS}.ganglion.event.blue.b1.>",
        f"{API}.$KV.ganglion_agents.red.a2", f"{API}.CONSUMER.DELETE.{TRIGGERS}.blue_b1", "orders.1",
        "ganglion.service.red.a2.status", "_INBOX.blue.b1.x.y",
    ],
)  # fmt: skip
async def test_what_is_not_its_own_does_not_get_beyond_the_hubs_door(
    guarded: Callable[..., Any], settings: Callable[..., Settings], tmp_path: Path, subject: str
) -> None:
    async with guarded(_auth()) as hub, _operator(hub) as test:
        await ensure_triggers(test, "red", Limits())
        await ensure_events(test, Limits())
        heard = await test.subscribe(subject.replace(API, "$JS.API").replace(">", "x"))
        await test.flush()
        async with _beyond(hub, settings, tmp_path / "edge") as beyond:
            link = await beyond.link()
            with pytest.raises((nats.errors.TimeoutError, nats.errors.NoRespondersError)):
                await link.nc.request(subject, b"{}", timeout=0.3)
        assert heard.pending_msgs == 0


async def test_answers_to_others_do_not_cross_its_link(
    guarded: Callable[..., Any], settings: Callable[..., Settings], tmp_path: Path
) -> None:
    async with (
        guarded(_auth()) as hub,
        _operator(hub) as test,
        _beyond(hub, settings, tmp_path / "edge") as beyond,
    ):
        link = await beyond.link()
        subjects = ["_INBOX.red.a2.x.y", "_INBOX.somebody.else", "_INBOX.red.a1.x"]
        own = await link.nc.subscribe(subjects[-1])
        others = [await link.nc.subscribe(subject) for subject in subjects[:-1]]
        await link.nc.flush()
        async with asyncio.timeout(10):
            while not own.pending_msgs:  # the interest travels over the link
                for subject in subjects:
                    await test.publish(subject, b"secret")
                await test.flush()
                await link.nc.flush()
        assert [subscription.pending_msgs for subscription in others] == [0, 0]
