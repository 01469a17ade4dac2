"""Servers that do not take everything are asked again without it, and from then on at once."""

import json

import pytest

from engine.values import Json
from plugins.llm.conversation import Finish, Message, Prompt, Role, ToolCall
from plugins.llm.errors import ModelError, Trouble
from plugins.llm.remote.provider import remote
from tests.plugins.llm.contract.conftest import (
    ANSWER,
    JSON_ANSWER,
    KEY,
    READ_SENSOR,
    SCHEMA,
    WIRES,
    Called,
    Ear,
    ModelServer,
    Script,
    asked,
)


@pytest.fixture
async def openai(models_at) -> ModelServer:
    return await models_at(WIRES["openai"])


@pytest.fixture
async def anthropic(models_at) -> ModelServer:
    return await models_at(WIRES["anthropic"])


@pytest.fixture
async def ollama(models_at) -> ModelServer:
    return await models_at(WIRES["ollama"])


@pytest.fixture
def ask_at(client):
    """`await ask_at(server, prompt)`: each time with a provider of its own, as the service of models does it."""

    async def ask(server: ModelServer, prompt=None, ear: Ear | None = None):
        return await remote(server.spec, {"MODEL_KEY": KEY}.get).generate(prompt or asked(), ear or Ear(), client)

    return ask


def refused(server: ModelServer, message: str, kind: str = "invalid_request_error", status: int = 400):
    return server.refuse(status, server.wire.fault(message, kind))


@pytest.mark.parametrize(
    ("message", "gone", "instead"),
    [
        ("Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
         "max_tokens", {"max_completion_tokens": 512}),
        ("Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) is supported.",
         "temperature", {}),
        ("Unrecognized request argument supplied: stream_options", "stream_options", {}),
        ("body.seed: Extra inputs are not permitted", "seed", {}),
        ("top_p is not supported by this model", "top_p", {}),
    ],
)  # fmt: skip
async def test_a_field_that_openais_kind_refuses_is_left_out(openai, ask_at, message, gone, instead) -> None:
    openai.answer(refused(openai, message), openai.say(ANSWER))
    prompt = asked(seed=1, top_p=0.5)
    assert (await ask_at(openai, prompt)).text == "".join(ANSWER.text)
    assert (await ask_at(openai, prompt)).text == "".join(ANSWER.text)
    first, second, third = openai.bodies
    assert gone in first
    assert gone not in second
    assert instead.items() <= second.items()
    assert second == third


@pytest.mark.parametrize(
    "message",
    [
        "temperature must be between 0 and 2",
        "Invalid 'temperature': must be at most 2",
        "max_tokens is too large: 99999. This model supports at most 16384 completion tokens",
        "messages.0.content: unknown field",
    ],
)
async def test_a_value_out_of_range_is_the_askers_fault_and_not_asked_again(openai, ask_at, message) -> None:
    openai.answer(refused(openai, message))
    with pytest.raises(ModelError) as caught:
        await ask_at(openai)
    assert caught.value.trouble is Trouble.REFUSED
    assert len(openai.bodies) == 1


async def test_what_was_heard_is_not_asked_for_twice(openai, ask_at) -> None:
    begun = openai.wire.stream(Script(text=["It is "]))
    begun = begun[: begun.rindex(b'data: {"id"')]  # without its end
    refusal = openai.wire.fault_event("temperature is not supported", "invalid_request_error")
    openai.answer(openai.send(begun + refusal))
    ear = Ear()
    with pytest.raises(ModelError, match="temperature is not supported"):
        await ask_at(openai, asked(), ear)
    assert (ear.pieces, len(openai.bodies)) == (["It is "], 1)


async def test_a_server_that_refuses_the_same_forever_is_not_asked_forever(openai, ask_at) -> None:
    openai.answer(refused(openai, "temperature is not supported"))
    with pytest.raises(ModelError, match="temperature is not supported"):
        await ask_at(openai)
    assert len(openai.bodies) == 2


async def test_claude_models_that_take_no_sampling_are_asked_without(anthropic, ask_at) -> None:
    anthropic.answer(
        refused(anthropic, "`temperature` and `top_p` cannot both be specified for this model. Please use only one."),
        refused(anthropic, "`temperature` is deprecated for this model."),
        anthropic.say(ANSWER),
    )
    assert (await ask_at(anthropic, asked(top_p=0.5))).text
    assert ["temperature" in body for body in anthropic.bodies] == [True, True, False]
    assert ["top_p" in body for body in anthropic.bodies] == [True, False, False]


# --- schemas --------------------------------------------------------------------------------------------------------


async def test_openais_schema_is_strict_where_it_keeps_the_rules(openai, ask_at) -> None:
    openai.answer(openai.say(JSON_ANSWER))
    loose = SCHEMA | {"required": ["level"]}
    open_one = {key: value for key, value in SCHEMA.items() if key != "additionalProperties"}
    for schema, strict in ((SCHEMA, True), (loose, False), (open_one, True)):
        await ask_at(openai, asked(schema=schema))
        sent = openai.bodies[-1]["response_format"]["json_schema"]
        assert sent["strict"] is strict
        assert sent["schema"]["additionalProperties"] is False


async def test_without_json_schema_openais_kind_is_asked_for_an_object_and_then_in_words(openai, ask_at) -> None:
    openai.answer(
        refused(openai, "'response_format.type' must be 'json_object' or 'text'"),
        refused(openai, "This server does not support response_format"),
        openai.say(Script(text=["Sure!\n```json\n", *JSON_ANSWER.text, "\n```"])),
    )
    ear = Ear()
    reply = await ask_at(openai, asked(schema=SCHEMA), ear)
    assert json.loads(reply.text)["level"] == "critical"
    assert ear.text == reply.text, "nothing is heard of what stands around it"
    kinds = [body.get("response_format", {}).get("type") for body in openai.bodies]
    assert kinds == ["json_schema", "json_object", None]
    for body in openai.bodies[1:]:
        assert '"enum":["normal","warning","critical"]' in body["messages"][0]["content"]
    # What was learned is of this schema: another one may be simple enough.
    openai.answer(openai.say(JSON_ANSWER))
    await ask_at(openai, asked(schema={"type": "object"}))
    assert openai.bodies[-1]["response_format"]["type"] == "json_schema"


async def test_a_server_that_reads_over_the_schema_is_asked_another_way_the_next_time(openai, ask_at) -> None:
    openai.answer(openai.say(ANSWER))
    for _ in range(3):
        await ask_at(openai, asked(schema=SCHEMA))
    kinds = [body.get("response_format", {}).get("type") for body in openai.bodies]
    assert kinds == ["json_schema", "json_object", None]


async def test_anthropics_schema_is_closed_and_without_bounds(anthropic, ask_at) -> None:
    anthropic.answer(anthropic.say(JSON_ANSWER))
    await ask_at(
        anthropic, asked(schema={key: value for key, value in SCHEMA.items() if key != "additionalProperties"})
    )
    assert anthropic.wire.schema_of(anthropic.bodies[0]) == {
        "type": "object",
        "properties": {"level": {"enum": ["normal", "warning", "critical"]}, "reason": {"type": "string"}},
        "required": ["level", "reason"],
        "additionalProperties": False,
    }


def given(arguments: dict[str, Json], text: str = "") -> Script:
    return Script(text=[text] if text else [], calls=[Called("give_answer", arguments, "toolu_1")])


async def test_older_claude_models_give_the_answer_through_a_tool(anthropic, ask_at) -> None:
    anthropic.answer(
        refused(anthropic, "output_config.format: Extra inputs are not permitted"),
        anthropic.say(given({"level": "critical", "reason": "14.2 °C"}, text="Here it is:"), cut=1),
    )
    ear = Ear()
    reply = await ask_at(anthropic, asked(schema=SCHEMA), ear)
    assert json.loads(reply.text) == {"level": "critical", "reason": "14.2 °C"}
    assert (ear.text, reply.finish, reply.calls) == (reply.text, Finish.STOP, ())
    assert len(ear.pieces) > 1
    sent = anthropic.bodies[1]
    assert sent["tool_choice"] == {"type": "tool", "name": "give_answer"}
    assert sent["tools"][0]["input_schema"] == SCHEMA
    assert "output_config" not in sent


async def test_an_answer_that_is_no_object_is_wrapped_for_the_tool(anthropic, ask_at) -> None:
    schema = {"type": "array", "items": {"$ref": "#/$defs/level"}, "$defs": {"level": {"enum": ["a", "b"]}}}
    anthropic.answer(
        refused(anthropic, "output_config: this model does not support structured outputs"),
        anthropic.say(given({"value": ["a", "b"]})),
    )
    ear = Ear()
    reply = await ask_at(anthropic, asked(schema=schema), ear)
    assert (reply.text, ear.text) == ('["a","b"]', '["a","b"]')
    assert anthropic.bodies[1]["tools"][0]["input_schema"] == {
        "type": "object",
        "properties": {"value": {"type": "array", "items": {"$ref": "#/$defs/level"}}},
        "required": ["value"],
        "additionalProperties": False,
        "$defs": schema["$defs"],
    }


async def test_a_claude_model_that_can_be_held_to_no_schema_is_told_it(anthropic, ask_at) -> None:
    anthropic.answer(
        refused(anthropic, "output_config.format.schema: Schema type 'array' is not supported at the root"),
        refused(anthropic, "tool_choice: forced tool use is not supported while thinking is on"),
        anthropic.say(JSON_ANSWER),
    )
    assert json.loads((await ask_at(anthropic, asked(schema=SCHEMA))).text)
    assert '"critical"' in anthropic.bodies[2]["system"]


async def test_an_old_ollama_is_asked_for_json_and_told_the_schema(ollama, ask_at) -> None:
    message = "json: cannot unmarshal object into Go struct field ChatRequest.format of type string"
    ollama.answer(refused(ollama, message), ollama.say(JSON_ANSWER))
    assert json.loads((await ask_at(ollama, asked(schema=SCHEMA))).text)
    assert [body["format"] for body in ollama.bodies] == [SCHEMA, "json"]


# --- tools ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "status", "message"),
    [
        ("ollama", 400, "registry.ollama.ai/library/gemma:2b does not support tools"),
        ("openai", 500, "tools param requires --jinja flag"),
        ("openai", 400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'),
    ],
)
async def test_a_model_without_tools_calls_them_in_json(models_at, ask_at, kind, status, message) -> None:
    server = await models_at(WIRES[kind])
    call = Script(text=['{"tool": "read_sensor", ', '"arguments": {"id": "fridge-07"}}'])
    server.answer(refused(server, message, status=status), server.say(call))
    prompt = asked("What is the temperature of fridge-07?", tools=(READ_SENSOR,))
    reply = await ask_at(server, prompt)
    assert [(call.name, call.arguments) for call in reply.calls] == [("read_sensor", {"id": "fridge-07"})]
    assert reply.finish is Finish.CALLS
    assert not remote(server.spec, {"MODEL_KEY": KEY}.get).has_tools
    assert ["tools" in body for body in server.bodies] == [True, False]


async def test_a_claude_model_that_wants_its_thoughts_back_calls_in_json(anthropic, ask_at) -> None:
    message = (
        "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`. When thinking is "
        "enabled, a final `assistant` message must start with a thinking block"
    )
    anthropic.answer(refused(anthropic, message), anthropic.say(Script(text=['{"answer": "14.2 C"}'])))
    call = ToolCall(name="read_sensor", arguments={"id": "fridge-07"}, id="toolu_1")
    said = (
        Message(role=Role.USER, content="How warm is fridge-07?"),
        Message(role=Role.ASSISTANT, calls=(call,)),
        Message(role=Role.TOOL, content='{"celsius":14.2}', call="toolu_1", tool="read_sensor"),
    )
    reply = await ask_at(anthropic, Prompt(messages=said, tools=(READ_SENSOR,)))
    assert (reply.text, reply.finish) == ("14.2 C", Finish.STOP)
