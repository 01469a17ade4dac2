"""Tools for models that know of none."""

import pytest

from plugins.llm.conversation import Finish, Message, Prompt, Reply, Role, Tool, ToolCall
from plugins.llm.errors import ModelError, Trouble
from plugins.llm.protocol import read_reply, without_tools

TRAINED = (
    "Tools: read_sensor(id), set_relay(id, state), send_alert(message).\n"
    'Answer with one JSON object: {"tool": name, "arguments": {...}} or {"answer": text}.'
)
TEXT = {"type": "string", "maxLength": 40}


def tool(name: str, *arguments: str, description: str = "") -> Tool:
    return Tool(
        name=name,
        description=description,
        parameters={
            "type": "object",
            "properties": dict.fromkeys(arguments, TEXT),
            "required": list(arguments),
            "additionalProperties": False,
        },
    )


TOOLS = (tool("read_sensor", "id"), tool("set_relay", "id", "state"), tool("send_alert", "message"))


def asked(*messages: Message, tools: tuple[Tool, ...] = TOOLS, **more: str) -> Prompt:
    return without_tools(Prompt(messages=messages, tools=tools, **more))


def user(text: str) -> Message:
    return Message(role=Role.USER, content=text)


def test_tools_without_descriptions_are_told_in_the_text_that_was_trained() -> None:
    prompt = asked(user("Switch relay-3 off."))
    assert prompt.messages == (Message(role=Role.SYSTEM, content=TRAINED), user("Switch relay-3 off."))
    assert prompt.tools == ()


def test_tools_with_descriptions_are_told_a_line_each_with_their_arguments() -> None:
    [system, _] = asked(user("x"), tools=(tool("read", "id", description="Reads a sensor."), tool("off"))).messages
    assert system.content.splitlines() == [
        "Tools, each with its arguments:",
        '- read {"id":{"type":"string","maxLength":40}}: Reads a sensor.',
        "- off {}",
        'Answer with one JSON object: {"tool": name, "arguments": {...}} or {"answer": text}.',
    ]


def test_a_system_message_stands_before_the_list() -> None:
    prompt = asked(Message(role=Role.SYSTEM, content="Be brief."), user("x"))
    assert [message.role for message in prompt.messages] == ["system", "user"]
    assert prompt.messages[0].content == f"Be brief.\n\n{TRAINED}"


def test_a_text_of_the_workflow_replaces_the_list() -> None:
    assert asked(user("x"), tools_text="Call things.").messages[0].content == "Call things."


def test_calls_are_replayed_as_the_model_wrote_them() -> None:
    written = '{ "tool": "read_sensor",  "arguments": {"id": "fridge-07"} }'
    call = ToolCall(name="read_sensor", arguments={"id": "fridge-07"}, id="call-1")
    said = (
        Message(role=Role.ASSISTANT, content=written, calls=(call,)),
        Message(role=Role.TOOL, content='{"celsius":14.2}', call="call-1", tool="read_sensor"),
    )
    assert asked(user("x"), *said).messages[2:] == (
        Message(role=Role.ASSISTANT, content=written),
        Message(role=Role.TOOL, content='{"celsius":14.2}'),
    )


def test_what_a_model_with_tools_said_is_told_as_one_without_would_have_said_it() -> None:
    calls = tuple(ToolCall(name="read_sensor", arguments={"id": id}, id=id) for id in ("a", "b"))
    said = (
        Message(role=Role.ASSISTANT, content="I shall look.", calls=calls),
        Message(role=Role.TOOL, content="1", call="a", tool="read_sensor"),
        Message(role=Role.TOOL, content="2", call="b", tool="read_sensor"),
        Message(role=Role.ASSISTANT, content="Both are on."),
        user("And now?"),
    )
    assert [message.content for message in asked(user("x"), *said).messages[2:]] == [
        '{"tool":"read_sensor","arguments":{"id":"a"}}',
        "1",
        '{"tool":"read_sensor","arguments":{"id":"b"}}',
        "2",
        '{"answer":"Both are on."}',
        "And now?",
    ]


def read(text: str, *before: Message, finish: Finish = Finish.STOP) -> Reply:
    prompt = Prompt(messages=(user("x"), *before), tools=TOOLS, max_tokens=50)
    return read_reply(Reply(text=text, finish=finish), prompt, without_tools(prompt))


def test_a_call_is_read() -> None:
    reply = read('{"tool":"read_sensor","arguments":{"id":"fridge-07"}}')
    assert reply.calls == (ToolCall(name="read_sensor", arguments={"id": "fridge-07"}, id="call-1"),)
    assert reply.finish is Finish.CALLS
    assert reply.text.startswith('{"tool"')


def test_calls_are_numbered_through_the_conversation() -> None:
    calls = tuple(ToolCall(name="send_alert", id=id) for id in ("a", "b"))
    reply = read('{"tool":"send_alert","arguments":{"message":"m"}}', Message(role=Role.ASSISTANT, calls=calls))
    assert reply.calls[0].id == "call-3"


def test_an_answer_is_its_text() -> None:
    reply = read('{"answer":"relay-3 is off"}')
    assert (reply.text, reply.calls, reply.finish) == ("relay-3 is off", (), Finish.STOP)


@pytest.mark.parametrize(
    "text",
    [
        "relay-3 is off",
        '{"tool":"format_disk","arguments":{}}',
        '{"tool":"read_sensor","arguments":{}}',
        '{"tool":"read_sensor","arguments":{"id":7}}',
        '{"tool":"read_sensor","arguments":{"id":"a","more":1}}',
        '{"answer":""}',
        '{"answer":3}',
        "{}",
    ],
)
def test_anything_else_is_invalid_output(text) -> None:
    with pytest.raises(ModelError) as caught:
        read(text)
    assert caught.value.trouble is Trouble.INVALID


def test_a_tool_without_parameters_is_called_without_arguments() -> None:
    prompt = Prompt(messages=(user("x"),), tools=(Tool(name="stop"),))
    told = without_tools(prompt)
    assert read_reply(Reply(text='{"tool":"stop","arguments":{}}'), prompt, told).calls[0].name == "stop"
    with pytest.raises(ModelError):
        read_reply(Reply(text='{"tool":"stop","arguments":{"now":true}}'), prompt, told)


def test_a_call_that_was_cut_off_says_how_to_get_the_rest() -> None:
    with pytest.raises(ModelError, match=r"raise max_tokens \(now 50\)"):
        read('{"tool":"read_sen', finish=Finish.LENGTH)


def test_a_reply_of_a_model_with_tools_is_left_as_it_is() -> None:
    prompt = Prompt(messages=(user("x"),), tools=TOOLS)
    reply = Reply(text="Nothing to do.")
    assert read_reply(reply, prompt, prompt) is reply
