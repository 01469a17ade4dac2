"""What is special about one API; what holds for all is in tests/plugins/llm/contract."""

import json
from types import SimpleNamespace

import pytest

from engine.clock import SystemClock
from engine.values import Json
from plugins.llm.conversation import Finish, Message, Prompt, Reply, Role, Tool
from plugins.llm.errors import ModelError, Trouble
from plugins.llm.remote.answers import StreamFault
from plugins.llm.remote.anthropic import Anthropic
from plugins.llm.remote.concessions import Asking
from plugins.llm.remote.dialect import Dialect
from plugins.llm.remote.draft import Draft
from plugins.llm.remote.ollama import Ollama
from plugins.llm.remote.openai import OpenAi

PROMPT = Prompt(messages=(Message(role=Role.USER, content="?"),))
DEAF = SimpleNamespace(heard=lambda text: None, stopped=False)


def read(dialect: Dialect, *events: Json, is_whole: bool = False) -> Reply:
    """What a dialect's reader makes of a stream, or of one document."""
    draft = Draft(PROMPT, DEAF, SystemClock(), began=0.0)
    reader = dialect.reader(draft, PROMPT, Asking())
    if is_whole:
        reader.whole(json.dumps(events[0]).encode())
    else:
        for event in events:
            frame = event if isinstance(event, str) else json.dumps(event)
            reader.feed(f"{frame}\n".encode() if isinstance(dialect, Ollama) else f"data: {frame}\n\n".encode())
        reader.end()
    assert reader.is_whole
    return draft.reply()


@pytest.mark.parametrize(
    ("dialect", "url", "address"),
    [
        (OpenAi(), "", "https://api.openai.com/v1/chat/completions"),
        (OpenAi(), "http://box:8080", "http://box:8080/v1/chat/completions"),
        (OpenAi(), "http://box:8080/", "http://box:8080/v1/chat/completions"),
        (OpenAi(), "http://box:8080/v1/", "http://box:8080/v1/chat/completions"),
        (OpenAi(), "https://api.groq.com/openai/v1", "https://api.groq.com/openai/v1/chat/completions"),
        (OpenAi(), "http://box/v1/chat/completions", "http://box/v1/chat/completions"),
        (OpenAi(), "https://x/openai/v1?api-version=1", "https://x/openai/v1/chat/completions?api-version=1"),
        (Anthropic(), "", "https://api.anthropic.com/v1/messages"),
        (Anthropic(), "http://box:8080", "http://box:8080/v1/messages"),
        (Anthropic(), "http://box/anthropic/v1/", "http://box/anthropic/v1/messages"),
        (Anthropic(), "http://box/v1/messages", "http://box/v1/messages"),
        (Ollama(), "", "http://127.0.0.1:11434/api/chat"),
        (Ollama(), "http://box:11434/", "http://box:11434/api/chat"),
        (Ollama(), "http://box/ollama/api", "http://box/ollama/api/chat"),
        (Ollama(), "http://box/api/chat", "http://box/api/chat"),
    ],
)
def test_a_url_leads_to_the_apis_address(dialect: Dialect, url: str, address: str) -> None:
    assert dialect.address(url) == address


# --- OpenAI's kind --------------------------------------------------------------------------------------------------


def delta(finish: str | None = None, **fields: Json) -> Json:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


def called(name: str = "", arguments: Json = "", **fields: Json) -> Json:
    return delta(tool_calls=[fields | {"function": {"name": name, "arguments": arguments}}])


@pytest.mark.parametrize(
    "chunks",
    [
        [called("a", '{"x":', index=0, id="1"), called("", "1}", index=0), called("b", "{}", index=1, id="2")],
        [called("a", '{"x":1}', id="1"), called("b", "{}", id="2")],
        [called("a", "", id="1"), called("", '{"x":1}'), called("b", "", id="2"), called("", "{}")],
        [called("a", '{"x":1}', index=0, id="1"), called("b", "{}", index=0, id="2")],
        [called("a", {"x": 1}, index=0, id="1"), called("b", None, index=1, id="2")],
        [called("b", "{}", index=1, id="2"), called("a", '{"x":1}', index=0, id="1")],
    ],
    ids=["in pieces", "no index", "no index, in pieces", "always index 0", "arguments as objects", "another order"],
)
def test_calls_are_put_together_as_servers_cut_them(chunks: list[Json]) -> None:
    reply = read(OpenAi(), *chunks, delta("tool_calls"), "[DONE]")
    assert {(call.id, call.name, str(call.arguments)) for call in reply.calls} == {
        ("1", "a", "{'x': 1}"),
        ("2", "b", "{}"),
    }


def test_calls_without_ids_get_some() -> None:
    reply = read(OpenAi(), called("a", "{}", index=0), called("b", "{}", index=1), delta("stop"))
    assert [call.id for call in reply.calls] == ["call-1", "call-2"]
    assert reply.finish is Finish.CALLS


@pytest.mark.parametrize("arguments", ["{oops", "[1]", '"x"'])
def test_arguments_that_are_no_object_are_invalid_output(arguments: str) -> None:
    with pytest.raises(ModelError, match="the tool a with arguments that are no object: ask again") as caught:
        read(OpenAi(), called("a", arguments, index=0), delta("tool_calls"))
    assert caught.value.trouble is Trouble.INVALID
    with pytest.raises(ModelError, match="it was cut off: raise max_tokens"):
        read(OpenAi(), called("a", arguments, index=0), delta("length"))


def test_a_call_without_a_name_is_invalid_output() -> None:
    with pytest.raises(ModelError, match="a tool without saying which"):
        read(OpenAi(), called("", "{}"), delta("tool_calls"))


def test_the_end_may_come_without_done_and_done_without_a_reason() -> None:
    assert read(OpenAi(), delta(content="a"), delta("stop")).text == "a"
    assert read(OpenAi(), delta(content="a"), "[DONE]").finish is Finish.STOP


def test_a_server_that_does_not_stream_is_read_too() -> None:
    whole = {
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "a"}, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1},
    }
    reply = read(OpenAi(), whole, is_whole=True)
    assert (reply.text, reply.finish, reply.usage.input, reply.usage.guessed) == ("a", Finish.LENGTH, 3, False)


def test_a_filter_and_a_refusal_are_a_no_of_the_provider() -> None:
    with pytest.raises(ModelError, match="content filter") as caught:
        read(OpenAi(), delta(content="a"), delta("content_filter"))
    assert caught.value.trouble is Trouble.REFUSED
    with pytest.raises(ModelError, match="refuses to answer: I can't help"):
        read(OpenAi(), delta(refusal="I can't "), delta(refusal="help"), delta("stop"))


def test_an_error_event_with_a_number_has_that_status() -> None:
    with pytest.raises(StreamFault) as caught:
        read(OpenAi(), delta(content="a"), {"error": {"code": 502, "message": "upstream"}})
    assert caught.value.fault.code == "502"


# --- Anthropic ------------------------------------------------------------------------------------------------------


def test_a_whole_message_is_read_too() -> None:
    message = {
        "type": "message",
        "model": "claude",
        "content": [
            {"type": "thinking", "thinking": "hm"},
            {"type": "text", "text": "Let me see."},
            {"type": "tool_use", "id": "t1", "name": "read_sensor", "input": {"id": "x"}},
        ],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 5, "output_tokens": 9},
    }
    reply = read(Anthropic(), message, is_whole=True)
    assert (reply.text, reply.calls[0].arguments, reply.usage.output) == ("Let me see.", {"id": "x"}, 9)


def test_a_refusal_of_claude_is_a_no_of_the_provider() -> None:
    with pytest.raises(ModelError, match="refuses to answer") as caught:
        read(Anthropic(), {"type": "message_delta", "delta": {"stop_reason": "refusal"}})
    assert caught.value.trouble is Trouble.REFUSED
    assert caught.value.elsewhere


def test_input_counts_what_came_from_the_providers_cache() -> None:
    usage = {"input_tokens": 5, "cache_read_input_tokens": 30, "cache_creation_input_tokens": 7, "output_tokens": 1}
    reply = read(
        Anthropic(),
        {"type": "message_start", "message": {"usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "a"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 4}},
    )
    assert (reply.usage.input, reply.usage.reused, reply.usage.output) == (42, 30, 4)


def test_a_kind_of_event_that_is_not_known_is_read_over() -> None:
    assert read(
        Anthropic(),
        {"type": "something_new", "index": 0},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "a"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "citations_delta", "citation": {}}},
        {"type": "message_delta", "delta": {"stop_reason": "model_context_window_exceeded"}},
        {"type": "message_stop"},
    ).finish is Finish.LENGTH  # fmt: skip


# --- Ollama ---------------------------------------------------------------------------------------------------------


def test_the_context_of_the_model_is_asked_for() -> None:
    assert Ollama(8192).body(PROMPT, "m", Asking())["options"]["num_ctx"] == 8192
    assert "num_ctx" not in Ollama().body(PROMPT, "m", Asking())["options"]


def test_arguments_as_text_are_read_too_and_ids_are_kept() -> None:
    function = {"name": "a", "arguments": '{"x": 1}'}
    line = {"message": {"content": "", "tool_calls": [{"id": "c9", "function": function}]}, "done": True}
    (call,) = read(Ollama(), line).calls
    assert (call.id, call.arguments) == ("c9", {"x": 1})


def test_tools_without_parameters_take_an_empty_object() -> None:
    prompt = Prompt(messages=PROMPT.messages, tools=(Tool(name="now"),))
    empty = {"type": "object", "properties": {}}
    for dialect in (OpenAi(), Ollama()):
        assert dialect.body(prompt, "m", Asking())["tools"][0]["function"]["parameters"] == empty
    assert Anthropic().body(prompt, "m", Asking())["tools"][0]["input_schema"] == empty
