from typing import Any

import pytest
from nats.aio.client import Client

from engine.ports import NoResponders, Unreachable
from mesh.connection import Connection
from mesh.credentials import Credentials
from mesh.requester import NatsRequester

pytestmark = pytest.mark.nats


async def test_a_request_is_answered_with_headers(connection: Connection, device: Client) -> None:
    async def square(message: Any) -> None:
        await device.publish(message.reply, message.data * 2, headers={"Seen": message.headers["A"]})

    await device.subscribe("square", cb=square)
    await device.flush()
    await connection.link()
    reply = await NatsRequester(connection).request("square", b"ab", headers={"A": "b"}, timeout=5)
    assert (reply.body, reply.headers) == (b"abab", {"Seen": "b"})


async def test_what_goes_wrong_has_a_name(connection: Connection, device: Client) -> None:
    requester = NatsRequester(connection)
    await connection.link()
    with pytest.raises(NoResponders, match="nobody serves nowhere"):
        await requester.request("nowhere", b"", headers={}, timeout=5)

    async def silent(_: Any) -> None: ...

    await device.subscribe("silent", cb=silent)
    await device.flush()
    with pytest.raises(TimeoutError, match=r"no answer on silent within 0\.05 s"):
        await requester.request("silent", b"", headers={}, timeout=0.05)
    with pytest.raises(ValueError, match="larger than the server takes"):
        await requester.request("silent", b"x" * 5_000_000, headers={}, timeout=1)
    with pytest.raises(ValueError, match="the agent's own"):
        await requester.request("ganglion.service.default.edge.deploy", b"{}", headers={}, timeout=1)
    with pytest.raises(ValueError, match="line end"):
        await requester.request("a", b"", headers={"A": "b\r\n"}, timeout=1)


async def test_without_a_connection_nothing_is_waited_for() -> None:
    requester = NatsRequester(Connection(["nats://127.0.0.1:9"], credentials=Credentials()))
    with pytest.raises(Unreachable, match=r"no connection to NATS at nats://127\.0\.0\.1:9"):
        await requester.request("a", b"", headers={}, timeout=1)
