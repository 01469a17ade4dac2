"""Tools for models that know of none: a text that lists them, and a schema for the answer.

    {"tool": "read_sensor", "arguments": {"id": "fridge-07"}}      a call
    {"answer": "fridge-07 is at 14.2 C"}                           the end

The text without descriptions is the one that the model triage-tiny was trained on; see `triage-tiny`'s page.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from engine.values import InvalidValue, Json, decode_json, encode_json
from plugins.llm.answers import read_answer
from plugins.llm.conversation import Finish, Message, Prompt, Reply, Role, Tool, ToolCall

__all__ = ["VERSION", "read_reply", "without_tools"]

VERSION: Final = 1
"""Of what is made from a prompt here; with another one the same prompt may be answered otherwise."""

_ANSWER_WITH: Final = 'Answer with one JSON object: {"tool": name, "arguments": {...}} or {"answer": text}.'


def without_tools(prompt: Prompt) -> Prompt:
    """The same prompt for a model without tools: the list of tools as (or after) the system message, calls and their
    results as JSON texts, and a schema that only a call with valid arguments or an answer fits."""
    text = prompt.tools_text or _listed(prompt.tools)
    said = prompt.messages
    if said and said[0].role is Role.SYSTEM:
        text = f"{said[0].content}\n\n{text}"
        said = said[1:]
    messages = (Message(role=Role.SYSTEM, content=text), *_written(said))
    return msgspec.structs.replace(prompt, messages=messages, tools=(), tools_text="", schema=_schema(prompt.tools))


def read_reply(reply: Reply, prompt: Prompt, told: Prompt) -> Reply:
    """What a model said, `told` what it was asked: the prompt itself, or `without_tools(prompt)`. Then it is the reply
    with its call and the text that it wrote, or with the answer's text. Raises ModelError (invalid_output), also where
    the text does not fit the prompt's own schema."""
    if told.schema is None:
        return reply
    value = read_answer(reply, told.schema, max_tokens=prompt.max_tokens)
    if not prompt.tools:
        return reply
    if "answer" in value:
        return msgspec.structs.replace(reply, text=value["answer"], finish=Finish.STOP)
    number = sum(len(message.calls) for message in prompt.messages) + 1
    call = ToolCall(name=value["tool"], arguments=value["arguments"], id=f"call-{number}")
    return msgspec.structs.replace(reply, calls=(call,), finish=Finish.CALLS)


# --- what the model is told --------------------------------------------------------------------------------------


def _listed(tools: Iterable[Tool]) -> str:
    tools = tuple(tools)
    if any(tool.description for tool in tools):
        lines = [f"- {tool.name} {_compact(_properties(tool))}: {tool.description}".rstrip(": ") for tool in tools]
        return "\n".join(("Tools, each with its arguments:", *lines, _ANSWER_WITH))
    signatures = ", ".join(f"{tool.name}({', '.join(_properties(tool))})" for tool in tools)
    return f"Tools: {signatures}.\n{_ANSWER_WITH}"


def _properties(tool: Tool) -> Mapping[str, Json]:
    found = tool.parameters.get("properties")
    return found if isinstance(found, Mapping) else {}


def _schema(tools: Iterable[Tool]) -> dict[str, Json]:
    """What a call of one of them, or an answer, is."""
    none = {"type": "object", "properties": {}, "additionalProperties": False}
    calls = [_object(tool={"const": tool.name}, arguments={**none, **tool.parameters}) for tool in tools]
    return {"anyOf": [*calls, _object(answer={"type": "string", "minLength": 1})]}


def _object(**properties: Json) -> dict[str, Json]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


# --- what was said before ----------------------------------------------------------------------------------------


def _written(messages: Iterable[Message]) -> Iterator[Message]:
    """A conversation as such a model would have had it: one call, or one answer, for each of its turns."""
    waiting: dict[str, ToolCall] = {}
    for message in messages:
        if message.role is Role.ASSISTANT and message.calls:
            if len(message.calls) == 1:
                yield Message(role=Role.ASSISTANT, content=_call_text(message, message.calls[0]))
            else:
                waiting = {call.id: call for call in message.calls}
        elif message.role is Role.ASSISTANT:
            yield Message(role=Role.ASSISTANT, content=_answer_text(message.content))
        elif message.role is Role.TOOL:
            # Of several calls in one turn, each is told with its result.
            if (call := waiting.pop(message.call, None)) is not None:
                yield Message(role=Role.ASSISTANT, content=_call_json(call))
            yield Message(role=Role.TOOL, content=message.content)
        else:
            yield message


def _call_text(message: Message, call: ToolCall) -> str:
    """As the model wrote it, if it did."""
    written = _read_object(message.content)
    return message.content if written is not None and written.get("tool") == call.name else _call_json(call)


def _call_json(call: ToolCall) -> str:
    return _compact({"tool": call.name, "arguments": call.arguments})


def _answer_text(content: str) -> str:
    written = _read_object(content)
    return content if written is not None and "answer" in written else _compact({"answer": content})


def _read_object(text: str) -> dict[str, Json] | None:
    if not text.lstrip().startswith("{"):
        return None
    try:
        value = decode_json(text.encode())
    except (InvalidValue, UnicodeEncodeError):
        return None
    return value if isinstance(value, dict) else None


def _compact(value: Json) -> str:
    return encode_json(value).decode()
