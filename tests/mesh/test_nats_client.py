import gc

import nats.errors
import pytest
from nats.aio.client import Client

from mesh.connection import Link
from mesh.nats_client import AnySubjectClient, retire

pytestmark = pytest.mark.nats


async def test_a_batch_arrives_in_order_with_headers_and_replies(link: Link, device: Client) -> None:
    heard = await device.subscribe("batch.>")
    await device.flush()
    bodies = [b"%d" % number for number in range(500)]
    await link.nc.publish_batch(("batch.many", "", {}, body) for body in bodies)
    await link.nc.publish_batch([("batch.one", "back.to.me", {"Name": "Zoë", "Empty": ""}, b"")])
    messages = [await heard.next_msg(5) for _ in range(501)]
    assert [message.data for message in messages[:500]] == bodies
    assert (messages[0].headers, messages[0].reply) == (None, "")
    last = messages[500]
    assert (last.subject, last.reply, last.data) == ("batch.one", "back.to.me", b"")
    assert last.headers == {"Name": "Zoë", "Empty": ""}


async def test_a_message_that_the_server_would_not_take_is_refused(link: Link) -> None:
    room = link.nc.max_payload - len("NATS/1.0\r\nA: b\r\n\r\n")
    await link.nc.publish_batch([("large", "", {"A": "b"}, b"x" * room)])
    with pytest.raises(nats.errors.MaxPayloadError):
        await link.nc.publish_batch([("large", "", {"A": "b"}, b"x" * (room + 1))])
    await link.nc.flush()
    assert link.nc.is_connected


async def test_a_flush_comes_after_what_was_sent_before_it(link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that its answer says of a subscription that the server has it."""
    transport, written = link.nc._transport, list[bytes]()
    write, write_lines = transport.write, transport.writelines

    def noted(payload: bytes) -> None:
        written.append(payload)
        write(payload)

    def lines_noted(payload: list[bytes]) -> None:
        written.extend(payload)
        write_lines(payload)

    monkeypatch.setattr(transport, "write", noted)
    monkeypatch.setattr(transport, "writelines", lines_noted)
    await link.nc.subscribe("ask")
    await link.nc.flush()
    commands = b"".join(written)
    assert 0 <= commands.find(b"SUB ask") < commands.find(b"PING")


async def test_without_a_connection_a_batch_is_refused(link: Link) -> None:
    await link.nc.close()
    with pytest.raises(nats.errors.ConnectionClosedError):
        await link.nc.publish_batch([("late", "", {}, b"")])


async def test_a_client_that_never_began_to_connect_is_retired(caplog: pytest.LogCaptureFixture) -> None:
    await retire(AnySubjectClient())
    gc.collect()  # an error that nobody retrieved would be told now
    assert not caplog.records
