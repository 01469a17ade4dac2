"""What holds for each remote provider: how bytes may come, and what is sent."""

import asyncio
import gzip
import json
import time

import jsonschema
import pytest

from plugins.llm.conversation import Finish, Message, Prompt, Role, Tool, ToolCall
from plugins.llm.errors import ModelError, Trouble
from plugins.llm.remote.provider import remote
from tests.plugins.llm.contract.conftest import (
    ANSWER,
    JSON_ANSWER,
    KEY,
    READ_SENSOR,
    SCHEMA,
    Called,
    Ear,
    ModelServer,
    Script,
    asked,
)

CALLS = Script(
    text=["Let me ", "see."],
    calls=[
        Called("read_sensor", {"id": "kühlschrank-07"}, "toolu_01"),
        Called("set_relay", {"id": "relay-3", "state": "on"}, "toolu_02"),
    ],
)
SET_RELAY = Tool(name="set_relay", parameters={"type": "object", "properties": {"id": {"type": "string"}}})
TOLD = Prompt(
    messages=(
        Message(role=Role.SYSTEM, content="You watch fridges."),
        Message(role=Role.USER, content="Check fridge-07."),
        Message(role=Role.USER, content="And be quick."),
        Message(
            role=Role.ASSISTANT,
            content="",
            calls=(
                ToolCall(name="read_sensor", arguments={"id": "fridge-07"}, id="call-1"),
                ToolCall(name="set_relay", arguments={"id": "relay-3"}, id="call-2"),
            ),
        ),
        Message(role=Role.TOOL, content='{"celsius":14.2}', call="call-1", tool="read_sensor"),
        Message(role=Role.TOOL, content="done", call="call-2", tool="set_relay"),
        Message(role=Role.USER, content="Well?"),
    ),
    tools=(READ_SENSOR, SET_RELAY),
)


@pytest.mark.parametrize("number", [0, 1, 2], ids=["LF", "CRLF", "CR"])
async def test_lines_may_end_in_any_way(cloud: ModelServer, ask, number: int) -> None:
    if number >= len(cloud.wire.ends):
        pytest.skip("lines of JSON do not end so")
    cloud.answer(cloud.say(ANSWER, cut=3, end=cloud.wire.ends[number]))
    assert (await ask()).text == "".join(ANSWER.text)


async def test_a_compressed_stream_is_read_too(cloud: ModelServer, ask) -> None:
    body = gzip.compress(cloud.wire.stream(ANSWER))
    cloud.answer(cloud.send(body, cut=5, Content_Encoding="gzip"))
    assert (await ask()).text == "".join(ANSWER.text)


async def test_only_whole_characters_are_heard(cloud: ModelServer, ask) -> None:
    cloud.answer(cloud.say(ANSWER, cut=1))
    ear = Ear()
    await ask(asked(), ear)
    assert ear.pieces == ANSWER.text
    assert ear.signs > len(ear.pieces), "each chunk is a sign of life"


async def test_connections_are_used_again(cloud: ModelServer, ask) -> None:
    cloud.answer(cloud.say(ANSWER))
    for _ in range(4):
        await ask()
    assert cloud.local.connections == 1


async def test_usage_and_the_providers_name_of_the_model_are_the_providers(cloud: ModelServer, ask) -> None:
    cloud.answer(cloud.say(ANSWER))
    reply = await ask()
    assert (reply.usage.input, reply.usage.output, reply.usage.guessed) == (21, 7, False)
    assert reply.usage.reused in (0, 4)
    assert reply.model.endswith("-of-the-test")


async def test_usage_that_did_not_come_is_guessed_and_marked(cloud: ModelServer, ask) -> None:
    cloud.answer(cloud.say(Script(text=ANSWER.text, input=None, output=None)))
    usage = (await ask()).usage
    assert usage.guessed
    assert usage.input > 10
    assert usage.output >= len("".join(ANSWER.text)) // 4


async def test_thinking_is_a_sign_of_life_and_no_text(cloud: ModelServer, ask) -> None:
    cloud.answer(cloud.say(Script(text=["yes"], thinks="hmm, well")))
    ear = Ear()
    assert (await ask(asked(), ear)).text == "yes"
    assert ear.pieces == ["yes"]


async def test_an_answer_without_text_is_empty_output(cloud: ModelServer, ask) -> None:
    cloud.answer(cloud.say(Script(thinks="and so on", is_cut=True)), cloud.say(Script()))
    for said in ("before it wrote anything: raise max_tokens", "it wrote nothing"):
        with pytest.raises(ModelError, match=said) as caught:
            await ask()
        assert caught.value.trouble is Trouble.EMPTY


# --- tools ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [0, 1])
async def test_calls_come_with_ids_and_arguments(cloud: ModelServer, ask, cut: int) -> None:
    cloud.answer(cloud.say(CALLS, cut=cut))
    ear = Ear()
    reply = await ask(asked(tools=(READ_SENSOR, SET_RELAY)), ear)
    assert [(call.name, call.arguments) for call in reply.calls] == [
        (call.name, call.arguments) for call in CALLS.calls
    ]
    assert len({call.id for call in reply.calls if call.id}) == 2
    assert reply.finish is Finish.CALLS
    assert reply.text == ear.text == "Let me see."


async def test_a_call_without_arguments_has_none(cloud: ModelServer, ask) -> None:
    cloud.answer(cloud.say(Script(calls=[Called("list_sensors", {}, "toolu_03")])))
    (call,) = (await ask(asked(tools=(READ_SENSOR,)))).calls
    assert (call.name, call.arguments) == ("list_sensors", {})


async def test_a_conversation_with_calls_and_results_is_sent_as_the_api_wants_it(cloud: ModelServer, ask) -> None:
    cloud.answer(cloud.say(ANSWER))
    assert (await ask(TOLD)).text
    sent = json.dumps(cloud.bodies[0])
    for said in ("You watch fridges.", "Check fridge-07.", "And be quick.", "14.2", "done", "Well?", "read_sensor"):
        assert said in sent


async def test_calls_of_several_models_get_ids_that_are_unique(cloud: ModelServer, ask) -> None:
    turn = TOLD.messages[3:6]
    odd = (
        Message(role=Role.ASSISTANT, calls=(ToolCall(name="read_sensor", arguments={}, id="a b/" * 20),)),
        Message(role=Role.TOOL, content="none", call="a b/" * 20, tool="read_sensor"),
    )
    messages = (TOLD.messages[1], *turn, TOLD.messages[6], *turn, TOLD.messages[6], *odd)
    cloud.answer(cloud.say(ANSWER))
    assert (await ask(Prompt(messages=messages, tools=TOLD.tools))).text


async def test_a_conversation_with_calls_but_no_tools_is_told_as_text(cloud: ModelServer, ask) -> None:
    cloud.answer(cloud.say(ANSWER))
    await ask(Prompt(messages=TOLD.messages))
    sent = json.dumps(cloud.bodies[0])
    assert "tool_calls" not in sent
    assert "tool_use" not in sent
    assert "14.2" in sent


async def test_an_instruction_alone_is_a_question(cloud: ModelServer, ask) -> None:
    cloud.answer(cloud.say(ANSWER))
    assert (await ask(Prompt(messages=(Message(role=Role.SYSTEM, content="Say something."),)))).text


# --- settings and schemas -------------------------------------------------------------------------------------------


async def test_every_setting_that_the_api_has_is_sent(cloud: ModelServer, ask) -> None:
    cloud.answer(cloud.say(ANSWER))
    await ask(asked(temperature=0.5, top_p=0.9, seed=7, stop=("END",), max_tokens=99))
    sent = json.dumps(cloud.bodies[0])
    assert ("m-1" in sent, "0.5" in sent, "0.9" in sent, "END" in sent, "99" in sent) == (True,) * 5
    assert ('"seed": 7' in sent) == (cloud.wire.source != "anthropic")


async def test_the_schema_that_is_sent_admits_the_answer(cloud: ModelServer, ask) -> None:
    cloud.answer(cloud.say(JSON_ANSWER))
    reply = await ask(asked(schema=SCHEMA))
    sent = cloud.wire.schema_of(cloud.bodies[0])
    jsonschema.validate(json.loads(reply.text), sent)
    assert sent["required"] == ["level", "reason"]


# --- what breaks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("then", ["cut", "end"])
async def test_a_stream_that_breaks_off_is_unreachable(cloud: ModelServer, ask, then: str) -> None:
    body = cloud.wire.stream(ANSWER)
    cloud.answer(cloud.send(body[: len(body) // 2], then=then))
    with pytest.raises(ModelError, match=r"model cloud: .*broke off") as caught:
        await ask()
    assert (caught.value.trouble, caught.value.passing) == (Trouble.UNREACHABLE, True)


async def test_a_connection_that_is_cut_after_the_whole_answer_does_no_harm(cloud: ModelServer, ask) -> None:
    cloud.answer(cloud.send(cloud.wire.stream(ANSWER), then="cut"))
    assert (await ask()).text == "".join(ANSWER.text)


async def test_a_server_that_never_ends_its_body_does_not_hold_the_answer_up(cloud: ModelServer, ask) -> None:
    cloud.answer(cloud.send(cloud.wire.stream(ANSWER), then="hang"))
    begun = time.monotonic()
    assert (await ask()).text == "".join(ANSWER.text)
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize("begins", [False, True], ids=["before the headers", "in mid-stream"])
async def test_silence_is_a_stall(cloud: ModelServer, client, begins: bool) -> None:
    body = cloud.wire.stream(ANSWER)
    cloud.answer(cloud.send(body[: len(body) // 2], then="hang") if begins else cloud.hang())
    import msgspec

    provider = remote(msgspec.structs.replace(cloud.spec, stall=0.2), {"MODEL_KEY": KEY}.get)
    with pytest.raises(ModelError, match=r"came within 0\.2 s: .*raise `stall`") as caught:
        await provider.generate(asked(), Ear(), client)
    assert caught.value.trouble is Trouble.STALLED
    await asyncio.wait_for(cloud.local.closed.wait(), 5)


@pytest.mark.parametrize("begins", [False, True], ids=["before the headers", "in mid-stream"])
async def test_a_stop_in_a_silence_is_seen_soon(cloud: ModelServer, ask, begins: bool) -> None:
    body = cloud.wire.stream(ANSWER)
    cloud.answer(cloud.send(body[: len(body) // 2], then="hang") if begins else cloud.hang())

    class Leaving(Ear):
        gone = False

        @property
        def stopped(self) -> bool:
            return self.gone

    ear = Leaving()
    task = asyncio.create_task(ask(asked(), ear))
    await (ear.has_heard.wait() if begins else cloud.local.asked.wait())
    begun, ear.gone = time.monotonic(), True
    with pytest.raises(ModelError) as caught:
        await task
    assert caught.value.trouble is Trouble.STOPPED
    assert time.monotonic() - begun < 1
    await asyncio.wait_for(cloud.local.closed.wait(), 5)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'data: {"x": "\xff\xfe"}\n\n', "no UTF-8"),
        (b"data: {oops\n\n", "else than JSON"),
        (b"data: " + b"x" * 5_000_000, "a line of more than"),
        (b"data: [1, 2]\n\n", "no object"),
    ],
    ids=["no UTF-8", "no JSON", "a giant line", "another shape"],
)
async def test_what_is_no_answer_is_invalid_output(cloud: ModelServer, ask, body: bytes, said: str) -> None:
    if cloud.wire.source == "ollama":
        body = body.removeprefix(b"data: ")
    cloud.answer(cloud.send(body, cut=100_000))
    with pytest.raises(ModelError, match=f"model cloud: .*{said}") as caught:
        await ask()
    assert (caught.value.trouble, caught.value.passing) == (Trouble.INVALID, True)


async def test_a_page_instead_of_a_stream_is_invalid_output(cloud: ModelServer, ask) -> None:
    cloud.answer(cloud.send(b"<html>log in first</html>", content_type="text/html; charset=utf-8"))
    with pytest.raises(ModelError, match=r"answers with text/html and no stream: check `url` in \[models\.cloud\]"):
        await ask()


async def test_an_error_in_the_middle_of_a_stream_is_the_providers(cloud: ModelServer, ask) -> None:
    body = cloud.wire.stream(ANSWER)
    half = body[: body.index(b"14.2")]
    end = b"\n\n" if b"data:" in body else b"\n"
    half = half[: half.rindex(end) + len(end)]
    cloud.answer(cloud.send(half + cloud.wire.fault_event("the machine is on fire", "overloaded_error")))
    ear = Ear()
    with pytest.raises(ModelError, match="the machine is on fire") as caught:
        await ask(asked(), ear)
    assert (caught.value.trouble, caught.value.passing) == (Trouble.FAILED, True)
    assert ear.pieces


async def test_a_server_that_is_not_there_is_unreachable(wire, client) -> None:
    import socket

    from plugins.llm.spec import ModelSpec

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}{wire.base}"
        provider = remote(ModelSpec(name="cloud", provider=wire.source, url=url), {}.get)
        with pytest.raises(
            ModelError, match="model cloud: the provider can't be reached: connection refused"
        ) as caught:
            await provider.generate(asked(), Ear(), client)
    assert caught.value.trouble is Trouble.UNREACHABLE
    assert caught.value.elsewhere
