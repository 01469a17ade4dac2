"""Chat completions: OpenAI's, and every compatible server's (llama.cpp, vLLM, LM Studio, Groq, Mistral, OpenRouter …).

POST …/v1/chat/completions with `stream: true`: events of data only, each a `chat.completion.chunk`, the last one
`[DONE]`. After OpenAI's API reference (OpenAPI specification 2.3.0) and the servers' own pages.

- `max_tokens` goes out first, since all compatible servers take it and some know no other; OpenAI's own newer models
  want `max_completion_tokens` and say so.
- Usage comes in a chunk of its own, with empty `choices`, if `stream_options` asks for it.
- `tool_choice` is not sent: left out it means `auto` beside tools, and some servers refuse it in words only.
- `response_format` has `strict` where the schema keeps its rules; elsewhere the answer may miss the schema, which the
  caller sees. A server without it is asked for a JSON object, then for nothing but in words.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from engine.values import Json, encode_json
from plugins.llm.conversation import Finish, Message, Prompt, Role
from plugins.llm.errors import ModelError, Trouble
from plugins.llm.remote.answers import StreamFault, read_fault
from plugins.llm.remote.concessions import Asking, Way
from plugins.llm.remote.draft import Draft
from plugins.llm.remote.ndjson import read_json
from plugins.llm.remote.schemas import closed, is_strict, told
from plugins.llm.remote.sse import EventStream

__all__ = ["OpenAi"]

URL: Final = "https://api.openai.com/v1"
_DONE: Final = "[DONE]"
_FINISHES: Final = {"length": Finish.LENGTH, "max_tokens": Finish.LENGTH}


class OpenAi:
    """See `plugins.llm.remote.dialect.Dialect`."""

    default_url = URL
    optional: Mapping[str, str] = {
        "stream_options": r"stream_options|include_usage",
        "max_tokens": r"max_completion_tokens",
        "tools": r"\btools?\b.*(support|jinja|enabled)|(support|enabled?).*\btools?\b|tool.choice",
        "top_p": r"\btop_p\b",
        "temperature": r"\btemperature\b",
        "seed": r"\bseed\b",
    }
    schema_fields = r"response_format|json_schema|json_object|structured output|\bschema\b|\bgrammar\b"

    def address(self, url: str) -> str:
        """`url` is the base that such servers name in their pages, with its version (`https://api.groq.com/openai/v1`),
        the bare host, or the whole address."""
        parts = urlsplit(url or URL)
        path = parts.path.rstrip("/")
        if not path.endswith("/chat/completions"):
            path = f"{path or '/v1'}/chat/completions"
        return urlunsplit(parts._replace(path=path))

    def headers(self, key: str) -> dict[str, str]:
        return {"Accept": "text/event-stream"} | ({"Authorization": f"Bearer {key}"} if key else {})

    def body(self, prompt: Prompt, model: str, asking: Asking) -> dict[str, Json]:
        body: dict[str, Json] = {"model": model, "stream": True, "stream_options": {"include_usage": True}}
        if prompt.schema is not None:
            if asking.way is Way.FIRST:
                schema = closed(prompt.schema)
                named = {"name": "answer", "schema": schema, "strict": is_strict(schema)}
                body["response_format"] = {"type": "json_schema", "json_schema": named}
            else:
                prompt = told(prompt, prompt.schema)
                if asking.way is Way.SECOND:
                    body["response_format"] = {"type": "json_object"}
        body["messages"] = [_message(message) for message in prompt.messages]
        if prompt.tools:
            body["tools"] = [
                {"type": "function", "function": {
                    "name": tool.name, "description": tool.description, "parameters": _parameters(tool.parameters),
                }}
                for tool in prompt.tools
            ]  # fmt: skip
        body["max_tokens"] = prompt.max_tokens
        body["temperature"] = prompt.temperature
        if prompt.top_p != 1.0:
            body["top_p"] = prompt.top_p
        if prompt.seed is not None:
            body["seed"] = prompt.seed
        if prompt.stop:
            body["stop"] = list(prompt.stop)
        if "max_tokens" in asking.without:
            body["max_completion_tokens"] = prompt.max_tokens
        return {name: value for name, value in body.items() if name not in asking.without}

    def reader(self, draft: Draft, prompt: Prompt, asking: Asking) -> "_Reader":
        return _Reader(draft)


def _message(message: Message) -> dict[str, Json]:
    said: dict[str, Json] = {"role": message.role.value, "content": message.content}
    if message.calls:
        said["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": encode_json(call.arguments).decode()},
            }
            for call in message.calls
        ]
    if message.role is Role.TOOL:
        said["tool_call_id"] = message.call
    return said


def _parameters(schema: Mapping[str, Json]) -> dict[str, Json]:
    return {"type": "object", "properties": {}, **schema}


class _Reader:
    """Reads a stream of chunks."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._events = EventStream()
        self._refused: list[str] = []
        self.is_whole = self.is_over = False

    def feed(self, chunk: bytes) -> None:
        for event in self._events.feed(chunk):
            if event.data.strip() == _DONE:
                self.is_whole = self.is_over = True
                self._check_refused()
            elif event.data and not self.is_over:
                self._take(read_json(event.data.encode()))

    def whole(self, body: bytes) -> None:
        self._take(read_json(body))
        self.is_whole = self.is_over = True
        self._check_refused()

    def end(self) -> None:
        self._check_refused()

    def _check_refused(self) -> None:
        if self._refused and not self._draft.text:
            raise ModelError(Trouble.REFUSED, f"the model refuses to answer: {''.join(self._refused)[:300]}")

    def _take(self, chunk: Json) -> None:
        if fault := read_fault(chunk):
            raise StreamFault(fault)
        if not isinstance(chunk, dict):
            raise ModelError(Trouble.INVALID, "it sent a chunk that is no object: check `url`")
        if isinstance(model := chunk.get("model"), str):
            self._draft.model = model
        self._count(chunk.get("usage"))
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict) or choice.get("index", 0) != 0:
            return
        delta = choice.get("delta") or choice.get("message") or {}
        if not isinstance(delta, dict):
            raise ModelError(Trouble.INVALID, "it sent a delta that is no object: ask again")
        if isinstance(text := delta.get("content"), str):
            self._draft.write(text)
        if isinstance(refusal := delta.get("refusal"), str):
            self._refused.append(refusal)
        for nth, call in enumerate(delta.get("tool_calls") or ()):
            self._call(call, nth)
        if reason := choice.get("finish_reason"):
            self._finish(reason)

    def _call(self, piece: Json, nth: int) -> None:
        function = piece.get("function") if isinstance(piece, dict) else None
        if not isinstance(function, dict):
            raise ModelError(Trouble.INVALID, "it sent a tool call without a function: ask again")
        id, name = piece.get("id") or "", function.get("name") or ""
        key: object = piece.get("index")
        if key is None:
            # Servers without an index send a call as a whole, or its name first and then its arguments.
            key = (id or name, nth) if name else self._draft.last_call()
        elif name and id and self._draft.id_of(key) not in ("", id):
            key = (key, id)  # a server that says 0 for each of several calls
        self._draft.call(key, id=id, name=name, arguments=function.get("arguments") or "")

    def _finish(self, reason: Json) -> None:
        if reason == "content_filter":
            raise ModelError(Trouble.REFUSED, "the provider's content filter cut the answer off: say it otherwise")
        self._draft.finish = _FINISHES.get(reason, Finish.STOP) if isinstance(reason, str) else Finish.STOP
        self.is_whole = True

    def _count(self, usage: Json) -> None:
        if not isinstance(usage, dict):
            return
        self._draft.count(usage.get("prompt_tokens"), usage.get("completion_tokens"))
        details = usage.get("prompt_tokens_details")
        if isinstance(details, dict):
            self._draft.count(reused=details.get("cached_tokens"))
