"""Anthropic's Messages API, and servers that speak it.

POST …/v1/messages with `stream: true`; events message_start, content_block_start, _delta and _stop for each block,
message_delta (why it stopped, usage so far), message_stop, and ping and error between them. After the pages Messages,
Streaming, Stop reasons, Structured outputs, Tool use and Versions of Anthropic's documentation.

- `anthropic-version: 2023-06-01`, which all models and compatible servers take; 2026-10-21 does away with `temperature`
  and `top_p`, which older models still honour, up to 1. Newer ones refuse them, and are then asked without.
- A schema goes into `output_config.format`, which holds the answer to it: bounds of numbers and lengths, which it
  refuses, left out. Models and servers without it are made to use a tool whose input is the answer. It is not done the
  other way round, for newest models refuse to be made to use a tool.
- What a model thinks comes in blocks of its own, which are read over; it counts into `max_tokens`. A model that wants
  its thoughts back beside its calls, which a conversation here does not hold, is asked for calls in JSON.
"""

from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from engine.values import Json, encode_json
from plugins.llm.conversation import Finish, Message, Prompt, Role
from plugins.llm.errors import ModelError, Trouble
from plugins.llm.remote.answers import StreamFault, read_fault
from plugins.llm.remote.concessions import Asking, Way
from plugins.llm.remote.draft import Draft
from plugins.llm.remote.ndjson import read_json
from plugins.llm.remote.schemas import closed, told, without_bounds, wrapped
from plugins.llm.remote.sse import EventStream

__all__ = ["Anthropic"]

URL: Final = "https://api.anthropic.com"
VERSION: Final = "2023-06-01"
ANSWER: Final = "give_answer"
"""The tool whose input is the answer."""
_FINISHES: Final = {"max_tokens": Finish.LENGTH, "model_context_window_exceeded": Finish.LENGTH}


class Anthropic:
    """See `plugins.llm.remote.dialect.Dialect`."""

    default_url = URL
    optional: Mapping[str, str] = {
        "tools": r"expected.*thinking|thinking.? blocks?|start with.*thinking",
        "top_p": r"\btop_p\b",
        "temperature": r"\btemperature\b",
    }
    schema_fields = r"output_config|output_format|structured output|json_schema|\bschema\b|tool_choice|forced? tool"

    def address(self, url: str) -> str:
        parts = urlsplit(url or URL)
        path = parts.path.rstrip("/")
        if not path.endswith("/messages"):
            path = f"{path if path.endswith('/v1') else f'{path}/v1'}/messages"
        return urlunsplit(parts._replace(path=path))

    def headers(self, key: str) -> dict[str, str]:
        told = {"Accept": "text/event-stream", "anthropic-version": VERSION}
        return told | ({"x-api-key": key} if key else {})

    def body(self, prompt: Prompt, model: str, asking: Asking) -> dict[str, Json]:
        body: dict[str, Json] = {"model": model, "max_tokens": prompt.max_tokens, "stream": True}
        if prompt.schema is not None:
            if asking.way is Way.FIRST:
                schema = closed(without_bounds(prompt.schema))
                body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
            elif asking.way is Way.SECOND:
                whole = prompt.schema if _is_object(prompt.schema) else wrapped(prompt.schema)
                body["tools"] = [{"name": ANSWER, "description": "Gives the answer.", "input_schema": whole}]
                body["tool_choice"] = {"type": "tool", "name": ANSWER}
            else:
                prompt = told(prompt, prompt.schema)
        system = "\n\n".join(message.content for message in prompt.messages if message.role is Role.SYSTEM)
        messages = list(_merged(prompt.messages))
        if not messages:  # an instruction alone: somebody has to say it
            messages, system = [{"role": "user", "content": [_text(system)]}], ""
        if system:
            body["system"] = system
        body["messages"] = messages
        if prompt.tools:
            body["tools"] = [
                {
                    "name": tool.name,
                    "description": tool.description,
                    "input_schema": {"type": "object", "properties": {}, **tool.parameters},
                }
                for tool in prompt.tools
            ]
        body["temperature"] = min(prompt.temperature, 1.0)
        if prompt.top_p != 1.0:
            body["top_p"] = prompt.top_p
        if prompt.stop:
            body["stop_sequences"] = list(prompt.stop)
        return {name: value for name, value in body.items() if name not in asking.without}

    def reader(self, draft: Draft, prompt: Prompt, asking: Asking) -> "_Reader":
        by_tool = prompt.schema is not None and asking.way is Way.SECOND
        is_wrapped = by_tool and prompt.schema is not None and not _is_object(prompt.schema)
        return _Reader(draft, by_tool=by_tool, is_wrapped=is_wrapped)


def _is_object(schema: Mapping[str, Json]) -> bool:
    return schema.get("type") == "object"


def _merged(messages: tuple[Message, ...]) -> Iterator[dict[str, Json]]:
    """User and assistant in turn, as the API wants it: what follows each other in one role becomes one message. Texts
    that are empty are refused, and results of tools stand before any text."""
    role = ""
    blocks: list[dict[str, Json]] = []
    for message in messages:
        if message.role is Role.SYSTEM:
            continue
        whose = "assistant" if message.role is Role.ASSISTANT else "user"
        if whose != role and blocks:
            yield {"role": role, "content": sorted(blocks, key=_results_first)}
            blocks = []
        role = whose
        blocks += _blocks(message)
    if blocks:
        yield {"role": role, "content": sorted(blocks, key=_results_first)}


def _blocks(message: Message) -> Iterator[dict[str, Json]]:
    if message.role is Role.TOOL:
        yield {"type": "tool_result", "tool_use_id": message.call, "content": message.content}
        return
    if message.content.strip():
        yield _text(message.content)
    for call in message.calls:
        yield {"type": "tool_use", "id": call.id, "name": call.name, "input": dict(call.arguments)}


def _text(text: str) -> dict[str, Json]:
    return {"type": "text", "text": text}


def _results_first(block: Mapping[str, Json]) -> bool:
    return bool(block["type"] != "tool_result")


class _Reader:
    """Reads a stream of events."""

    def __init__(self, draft: Draft, *, by_tool: bool, is_wrapped: bool) -> None:
        self._draft = draft
        self._by_tool = by_tool
        self._is_wrapped = is_wrapped
        self._events = EventStream()
        self._kinds: dict[Json, str] = {}
        """Of the blocks, by index."""
        self._given: dict[Json, Json] = {}
        """Input of a tool that stood whole at its block's beginning; pieces that follow replace it."""
        self._answer = ""
        """Input of the answer's tool, where the answer is inside it."""
        self.is_whole = self.is_over = False

    def feed(self, chunk: bytes) -> None:
        for event in self._events.feed(chunk):
            if event.data and not self.is_over:
                self._take(_object(read_json(event.data.encode())))

    def whole(self, body: bytes) -> None:
        message = _object(read_json(body))
        if fault := read_fault(message):
            raise StreamFault(fault)
        self._begin_message(message)
        for index, block in enumerate(message.get("content") or ()):
            self._begin(index, _object(block))
            self._end(index)
        self._stop(message, message.get("usage"))
        self._finish()

    def end(self) -> None:
        """All that matters is in whole events."""

    def _take(self, event: dict[str, Json]) -> None:
        if fault := read_fault(event):
            raise StreamFault(fault)
        index = event.get("index")
        match event.get("type"):
            case "message_start":
                self._begin_message(_object(event.get("message")))
            case "content_block_start":
                self._begin(index, _object(event.get("content_block")))
            case "content_block_delta":
                self._more(index, _object(event.get("delta")))
            case "content_block_stop":
                self._end(index)
            case "message_delta":
                self._stop(_object(event.get("delta")), event.get("usage"))
            case "message_stop":
                self._finish()
            case _:
                pass  # ping, and kinds that are yet to come, as the documentation says

    def _begin_message(self, message: dict[str, Json]) -> None:
        if isinstance(model := message.get("model"), str):
            self._draft.model = model
        self._count(message.get("usage"))

    def _begin(self, index: Json, block: dict[str, Json]) -> None:
        kind = str(block.get("type"))
        self._kinds[index] = kind
        if kind == "text":
            self._write(_string(block.get("text")))
        elif kind == "tool_use":
            self._given[index] = block.get("input")
            if not self._by_tool:
                self._draft.call(index, id=_string(block.get("id")), name=_string(block.get("name")))

    def _more(self, index: Json, delta: dict[str, Json]) -> None:
        if delta.get("type") == "text_delta":
            self._write(_string(delta.get("text")))
        elif self._kinds.get(index) == "tool_use" and (piece := _string(delta.get("partial_json"))):
            self._given.pop(index, None)
            self._input(index, piece)

    def _end(self, index: Json) -> None:
        if given := self._given.pop(index, None):
            self._input(index, encode_json(given).decode())

    def _write(self, text: str) -> None:
        if not self._by_tool:
            self._draft.write(text)

    def _input(self, index: Json, piece: str) -> None:
        if not self._by_tool:
            self._draft.call(index, arguments=piece)
        elif self._is_wrapped:
            self._answer += piece
        else:
            self._draft.write(piece)

    def _stop(self, delta: dict[str, Json], usage: Json) -> None:
        self._count(usage)
        reason = delta.get("stop_reason")
        if reason == "refusal":
            raise ModelError(Trouble.REFUSED, "the model refuses to answer: say it otherwise, or take another model")
        if isinstance(reason, str):
            self._draft.finish = _FINISHES.get(reason, Finish.STOP)
            self.is_whole = True

    def _finish(self) -> None:
        for index in list(self._given):
            self._end(index)
        if self._answer:
            answer = read_json(self._answer.encode())
            inner = answer.get("value") if isinstance(answer, dict) and "value" in answer else answer
            self._draft.write(encode_json(inner).decode())
        self.is_whole = self.is_over = True

    def _count(self, usage: Json) -> None:
        """Input is given without what came from, or went into, the provider's cache."""
        if not isinstance(usage, dict):
            return
        parts = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
        counts = [usage[part] for part in parts if isinstance(usage.get(part), int)]
        self._draft.count(sum(counts) if counts else None, usage.get("output_tokens"), usage.get(parts[1]))


def _object(value: Json) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise ModelError(Trouble.INVALID, "it sent an event that is no object: check `url`")
    return value


def _string(value: Json) -> str:
    return value if isinstance(value, str) else ""
