"""What others send may be anything: no text gets into a subject or header unseen, and no message stops an agent."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.subjects import check_subject
from mesh.client import ServiceClient
from mesh.connection import Connection, Link
from mesh.errors import AgentUnreachable
from mesh.intake.pull import Pull
from mesh.jetstream import ApiError, Success, ask, ensure_consumer, last_message
from mesh.line import Line
from mesh.nats_client import AnySubjectClient, retire
from mesh.permissions import inbox_of
from mesh.roll_call import roll_call
from mesh.server import EmbeddedServer
from mesh.service import verb_subject
from mesh.streams import Limits, ensure_triggers
from mesh.wire import check_headers, check_outgoing, is_ack, is_id

WORDS = st.sampled_from(
    ["a", "edge-1", "any", "*", ">", ".", "..", " ", "\r\n", "\t", "\0", "PUB x 0\r\n", "é", "\ud800", "\u2028", "$JS",
     "$SYS", "_INBOX", "ganglion", "service", "event", "trigger", "default", "API", "x" * 300]
)  # fmt: skip
TEXTS = st.one_of(
    st.text(max_size=40), st.lists(WORDS, max_size=8).map("".join), st.lists(WORDS, max_size=8).map(".".join)
)


def is_one_line(text: str) -> bool:
    """Nothing in it can end a line or an argument of the protocol."""
    return not any(character in text for character in " \t\r\n\0\f\v")


@given(TEXTS)
def test_a_subject_of_a_workflow_is_one_argument_and_never_ours(subject: str) -> None:
    try:
        check_outgoing(subject)
    except ValueError:
        return
    assert is_one_line(subject)
    tokens = subject.split(".")
    assert all(tokens)
    assert not {"*", ">"} & set(tokens)
    assert tokens[0] not in ("$JS", "$SYS", "_INBOX")
    assert tokens[0] != "ganglion" or tokens[1:2] in (["trigger"], [])
    assert len(subject.encode()) <= 255


@given(TEXTS)
def test_a_pattern_of_a_trigger_is_one_argument(pattern: str) -> None:
    try:
        check_subject(pattern, wildcards=True)
    except ValueError:
        return
    assert is_one_line(pattern)
    assert all(pattern.split("."))


@given(TEXTS, TEXTS)
def test_headers_that_pass_stay_what_they_are(name: str, value: str) -> None:
    try:
        check_headers({name: value})
    except ValueError:
        return
    line = f"{name}: {value}\r\n".encode()
    assert line.count(b"\r\n") == line.count(b"\n") == line.count(b"\r") == 1
    assert b"\0" not in line
    assert AnySubjectClient._parse_header_lines(line) == {name: value.encode().strip().decode()}


@given(TEXTS, TEXTS, TEXTS)
def test_a_verb_is_asked_at_one_agent_or_not_at_all(tenant: str, agent: str, verb: str) -> None:
    try:
        subject = verb_subject(tenant, agent, verb)
    except ValueError:
        return
    assert subject.split(".") == ["ganglion", "service", tenant, agent, verb]
    check_subject(subject, wildcards=False)
    assert inbox_of(tenant, agent).split(".") == ["_INBOX", tenant, agent]


@given(
    st.one_of(TEXTS, TEXTS.map(lambda text: f"$JS.ACK.{text}"), TEXTS.map(lambda text: f"$JS.ACK.S.c.1.2.{text}.4.5"))
)
def test_only_a_subject_with_its_numbers_is_taken_for_an_acknowledgements(reply: str) -> None:
    if is_ack(reply):
        tokens = reply.split(".")
        assert all(token.isdigit() for token in (tokens[4:9] if len(tokens) == 9 else tokens[6:11]))


@pytest.mark.parametrize("agent", ["", "any.>", "*", "a b", "x\r\nPUB y 0", "Ä", "-", "x" * 64])
def test_what_is_no_id_is_none(agent: str) -> None:
    assert not is_id(agent)


@pytest.mark.nats
async def test_a_command_to_what_is_no_agent_says_so(server: EmbeddedServer) -> None:
    async with ServiceClient.open(url=server.url, credentials=server.credentials, agent="x\r\nPUB y 0") as client:
        with pytest.raises(AgentUnreachable, match="is not the id of agent"):
            await client.call("status", None, None)  # type: ignore[arg-type, type-var]


@pytest.mark.nats
async def test_who_calls_himself_something_else_is_no_agent(server: EmbeddedServer, link: Link) -> None:
    async def forged(message: Any) -> None:
        for agent in ('"x\\r\\nPUB y 0"', '"*"', "7", '"edge-1"'):
            await message.respond(b'{"metadata": {"tenant": "default", "agent": %s}}' % agent.encode())

    await link.nc.subscribe("$SRV.PING.ganglion", cb=forged)
    async with Line.open(server.url, server.credentials) as line:
        assert await roll_call(line.nc, "default", seconds=0.3) == {"edge-1"}


@pytest.mark.nats
@pytest.mark.parametrize(
    "answer", [b"", b"null", b"[]", b"\xff", b"{" * 100_000, b'{"error": 7}', b'{"success": "x"}', b'{"error": {}}']
)
async def test_something_else_that_answers_for_jetstream_is_an_error_and_no_end(link: Link, answer: bytes) -> None:
    async def forged(message: Any) -> None:
        await message.respond(answer)

    await link.nc.subscribe("fake.>", cb=forged)
    await link.nc.flush()
    link.nc.api = "fake"
    for asking in (ask(link.nc, "STREAM.DELETE.X", Success), last_message(link.nc, "X", "y", direct=True)):
        with pytest.raises(ApiError):
            await asking


@pytest.mark.nats
async def test_what_is_put_into_the_inbox_of_a_pull_is_no_message_of_the_stream(
    server: EmbeddedServer, connection: Connection, connected: Callable[..., Any]
) -> None:
    link = await connection.link()
    await ensure_triggers(link.nc, "default", Limits())
    config = {"durable_name": "agent", "ack_policy": "explicit"}
    await ensure_consumer(link.nc, "GANGLION_TRIGGERS", config, new={"deliver_policy": "all"})
    async with connected(server) as another:
        nc = (await another.link()).nc
        async with Pull.open(link, "GANGLION_TRIGGERS", "agent") as pull:
            taking = asyncio.create_task(pull.take(5))
            for reply in ("$JS.ACK.", "$JS.ACK.x", "$JS.ACK.S.c.1.x.3.4.5"):
                await nc.publish(pull._inbox, b"forged", reply=reply, headers={"Status": "100"})
            await nc.request("ganglion.trigger.default.any.x", b"true", timeout=5)
            assert [message.data for message in await asyncio.wait_for(taking, 5)] == [b"true"]
        await retire(nc)
