"""The control service with a real server: what the command line and `nats micro` see."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import msgspec
import nats.errors
import pytest
from nats.aio.client import Client
from nats.micro.service import ServiceInfo, ServicePing, ServiceStats

from engine.control import Refused, Verb
from engine.control.messages import ById, Done, Nothing
from mesh.client import ServiceClient
from mesh.connection import Connection
from mesh.credentials import Credentials
from mesh.errors import AgentUnreachable, LinkBroken
from mesh.server import EmbeddedServer
from mesh.service import ControlService

pytestmark = pytest.mark.nats


class Big(msgspec.Struct, frozen=True):
    size: int = 0
    text: str = ""


class Desk:
    """Verbs of a small engine."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.waiting = 0

    async def show(self, request: ById) -> Done:
        if request.execution == "unknown":
            raise Refused(404, "no execution unknown: `ganglion ps` lists them —\nall of them")
        if request.execution == "bug":
            raise KeyError("secret detail")
        return Done(message=f"shown {request.execution}")

    async def wait(self, _: Nothing) -> Done:
        self.waiting += 1
        await self.go_on.wait()
        return Done()

    async def big(self, request: Big) -> Big:
        return Big(text="x" * request.size)

    def verbs(self) -> list[Verb]:
        return [
            Verb(name="show", description="Show it.", request=ById, answer=Done, handle=self.show),
            Verb(name="wait", description="Wait.", request=Nothing, answer=Done, handle=self.wait),
            Verb(name="big", description="Much.", request=Big, answer=Big, handle=self.big),
        ]


@asynccontextmanager
async def serving(connection: Connection, desk: Desk, agent: str = "edge") -> AsyncIterator[ControlService]:
    service = ControlService(
        connection, desk.verbs(), tenant="default", agent=agent, version="0.1.0", metadata={"label.site": "berlin"}
    )
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(service.run())
        await service.ready.wait()
        try:
            yield service
        finally:
            running.cancel()


def opened(server: EmbeddedServer, agent: str = "edge") -> AbstractAsyncContextManager[ServiceClient]:
    return ServiceClient.open(url=server.url, credentials=server.credentials, agent=agent)


async def test_a_verb_is_carried_out_and_answered(server: EmbeddedServer, connection: Connection) -> None:
    async with serving(connection, Desk()), opened(server) as client:
        assert (await client.call("show", ById(execution="x"), Done)).message == "shown x"


async def test_a_refusal_comes_whole_and_a_bug_without_its_details(
    server: EmbeddedServer, connection: Connection
) -> None:
    async with serving(connection, Desk()), opened(server) as client:
        with pytest.raises(Refused) as refused:
            await client.call("show", ById(execution="unknown"), Done)
        assert (refused.value.code, refused.value.message[-15:]) == (404, "them —\nall of them"[-15:])
        with pytest.raises(Refused, match="a bug: KeyError") as bug:
            await client.call("show", ById(execution="bug"), Done)
        assert "secret detail" not in bug.value.message


async def test_unfit_requests_are_refused_with_the_reason(server: EmbeddedServer, connection: Connection) -> None:
    async with serving(connection, Desk()), opened(server) as client:
        for body, why in ((b'{"execution":"x","more":1}', b"more"), (b"[" * 100_000, b"nested"), (b"\xff", b"JSON")):
            reply = await client.nc.request("ganglion.service.default.edge.show", body, timeout=5)
            assert reply.headers is not None
            assert reply.headers["Nats-Service-Error-Code"] == "400"
            assert why in reply.data
        with pytest.raises(Refused, match="larger than NATS takes"):
            await client.call("big", Big(size=5_000_000), Big)
        assert len((await client.call("big", Big(size=2_000_000), Big)).text) == 2_000_000


async def test_requests_are_carried_out_side_by_side_up_to_a_bound(
    server: EmbeddedServer, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh.service.MAX_REQUESTS", 3)
    desk = Desk()
    async with serving(connection, desk), opened(server) as client, asyncio.TaskGroup() as tasks:
        calls = [tasks.create_task(client.call("wait", Nothing(), Done)) for _ in range(3)]
        async with asyncio.timeout(5):
            while desk.waiting < 3:
                await client.nc.flush()
        with pytest.raises(Refused, match="3 requests are under way"):
            await client.call("show", ById(execution="x"), Done)
        desk.go_on.set()
        assert [await call for call in calls] == [Done()] * 3


async def asked(device: Client, subject: str) -> Any:
    return msgspec.json.decode((await device.request(subject, b"")).data)


async def test_micro_tools_find_it(connection: Connection, device: Client) -> None:
    async with serving(connection, Desk()):
        ping = ServicePing.from_dict(await asked(device, "$SRV.PING"))
        info = ServiceInfo.from_dict(await asked(device, f"$SRV.INFO.ganglion.{ping.id}"))
        assert await asked(device, "$SRV.INFO") == await asked(device, "$SRV.INFO.ganglion")
        with pytest.raises(nats.errors.NoRespondersError):
            await device.request("$SRV.INFO.ganglion.another")
    assert (info.type, info.name, info.version) == ("io.nats.micro.v1.info_response", "ganglion", "0.1.0")
    assert info.metadata == {"agent": "edge", "tenant": "default", "label.site": "berlin"}
    show = info.endpoints[0]
    assert (show.name, show.subject) == ("show", "ganglion.service.default.edge.show")
    assert (show.queue_group, show.metadata["description"]) == ("ganglion-edge", "Show it.")
    assert msgspec.json.decode(show.metadata["request"])["$ref"] == "#/$defs/ById"


async def test_micro_statistics_count_requests_errors_and_time(
    server: EmbeddedServer, connection: Connection, device: Client
) -> None:
    desk = Desk()
    async with serving(connection, desk), opened(server) as client:
        await client.call("show", ById(execution="x"), Done)
        for unfit in ("unknown", "bug"):
            with pytest.raises(Refused):
                await client.call("show", ById(execution=unfit), Done)
        with pytest.raises(AgentUnreachable):
            await client.call("wait", Nothing(), Done, seconds=0.05)
        desk.go_on.set()
        await client.call("wait", Nothing(), Done)
        stats = ServiceStats.from_dict(await asked(device, "$SRV.STATS.ganglion"))
    assert [endpoint.name for endpoint in stats.endpoints] == ["show", "wait", "big"]
    show, wait, big = stats.endpoints
    assert (show.num_requests, show.num_errors, big.num_requests) == (3, 2, 0)
    assert show.last_error == "a bug: KeyError; the agent's log holds the details"
    assert (wait.num_requests, wait.processing_time > 40_000_000) == (2, True)
    assert wait.average_processing_time == wait.processing_time // 2


async def test_it_is_served_again_after_the_server_was_killed(server: EmbeddedServer, connection: Connection) -> None:
    async with serving(connection, Desk()) as service:
        id = service._micro.id
        for _ in range(4):
            link = await connection.link()
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)
            await link.lost.wait()
        link = await connection.link()
        async with asyncio.timeout(10):
            while True:
                try:
                    await link.nc.request("ganglion.service.default.edge.show", b'{"execution":"x"}', timeout=1)
                    break
                except nats.errors.NoRespondersError:
                    continue
        assert (await asked(link.nc, "$SRV.PING"))["id"] == id


async def test_the_only_agent_is_found_and_several_must_be_told_apart(
    server: EmbeddedServer, connection: Connection
) -> None:
    async with serving(connection, Desk(), "north"):
        async with opened(server, "") as client:
            assert client.agent == "north"
        async with serving(connection, Desk(), "south"):
            with pytest.raises(AgentUnreachable, match=r"several agents .* --agent: north, south"):
                async with opened(server, ""):
                    pytest.fail("which one?")


async def test_who_does_not_answer_is_named(
    server: EmbeddedServer, connection: Connection, client: Callable[..., Any]
) -> None:
    async with opened(server, "gone") as nobody:
        with pytest.raises(AgentUnreachable, match="the agent gone is not at nats://"):
            await nobody.call("show", ById(execution="x"), Done)
    with pytest.raises(AgentUnreachable, match="no agent of tenant default answers"):
        async with opened(server, ""):
            pytest.fail("nobody is there")
    async with serving(connection, Desk()), opened(server) as slow:
        with pytest.raises(AgentUnreachable, match=r"did not answer wait within 0\.05 s"):
            await slow.call("wait", Nothing(), Done, seconds=0.05)
    with pytest.raises(AgentUnreachable, match=r"no NATS server answers at nats://127\.0\.0\.1:9"):
        async with ServiceClient.open(url="nats://a:b@127.0.0.1:9", agent="edge"):
            pytest.fail("there is none")


async def test_a_question_is_asked_again_when_the_connection_broke_before_the_answer(
    server: EmbeddedServer, connection: Connection
) -> None:
    desk = Desk()
    async with serving(connection, desk), opened(server) as client:
        again = asyncio.ensure_future(client.call("wait", Nothing(), Done, is_repeatable=True))
        once = asyncio.ensure_future(client.at("edge").call("wait", Nothing(), Done))
        async with asyncio.timeout(5):
            while desk.waiting < 2:
                await client.nc.flush()
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        with pytest.raises(LinkBroken, match="broke before the answer came"):
            await once
        while desk.waiting < 3 and not again.done():
            await asyncio.wait({again}, timeout=0.01)
        desk.go_on.set()
        assert await again == Done()


async def test_wrong_credentials_are_told_without_showing_them(server: EmbeddedServer) -> None:
    wrong = Credentials(user="agent", password="not-the-one")
    with pytest.raises(AgentUnreachable, match="Authorization Violation") as told:
        async with ServiceClient.open(url=server.url, credentials=wrong, agent="edge"):
            pytest.fail("it must not get in")
    assert "not-the-one" not in str(told.value)


async def test_messages_are_followed(server: EmbeddedServer, device: Client) -> None:
    async with opened(server) as client:
        following = client.messages("a.*", "b")
        first = asyncio.ensure_future(anext(following))
        while not first.done():
            await device.publish("a.x", b'{"n":1}')
            await device.flush()
            await asyncio.wait({first}, timeout=0.01)
        assert first.result() == ("a.x", {"n": 1})
        await following.aclose()


async def test_a_device_can_neither_ask_nor_answer(
    server: EmbeddedServer, connection: Connection, device: Client
) -> None:
    async def forge(message: Any) -> None:
        await message.respond(b'{"message":"forged"}')

    await device.subscribe("ganglion.service.default.edge.show", queue="ganglion-edge", cb=forge)
    await device.flush()
    async with serving(connection, Desk()), opened(server) as client:
        for _ in range(20):
            assert (await client.call("show", ById(execution="x"), Done)).message == "shown x"
        with pytest.raises(Exception, match="timeout"):
            await device.request("ganglion.service.default.edge.show", b'{"execution":"x"}', timeout=0.1)
