"""Ollama's own API, which says more than the compatible one beside it: its options, and lines of JSON.

POST …/api/chat: a line for each piece, `{"message": {"content"}, "done": false}`, the last one with `done`, its reason
and the counts; an error in the middle is a line `{"error": "…"}`. After docs/api.md and docs.ollama.com (Chat,
Streaming, Errors, Structured outputs) as of Ollama 0.9 and later.

- `format` is the JSON Schema; a server older than 0.5 knows only "json", and is then told the schema in words.
- `num_ctx` is sent where `context` of the model says it: without, Ollama cuts off the beginning of a long prompt.
- Tool calls come whole, in any line, and mostly without ids. What a model thinks (`thinking`) is read over.
"""

import contextlib
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from engine.values import Json
from plugins.llm.conversation import Finish, Message, Prompt, Role
from plugins.llm.errors import ModelError, Trouble
from plugins.llm.remote.answers import StreamFault, read_fault
from plugins.llm.remote.concessions import Asking, Way
from plugins.llm.remote.draft import Draft
from plugins.llm.remote.ndjson import JsonLines
from plugins.llm.remote.schemas import told

__all__ = ["Ollama"]

URL: Final = "http://127.0.0.1:11434"


class Ollama:
    """See `plugins.llm.remote.dialect.Dialect`."""

    default_url = URL
    optional: Mapping[str, str] = {"tools": r"\btools?\b"}
    schema_fields = r"\bformat\b|\bschema\b|\bgrammar\b"

    def __init__(self, context: int = 0) -> None:
        """`context`: tokens that the model is to have room for; 0: what the server thinks."""
        self._context = context

    def address(self, url: str) -> str:
        parts = urlsplit(url or URL)
        path = parts.path.rstrip("/")
        if not path.endswith("/api/chat"):
            path = f"{path.removesuffix('/api')}/api/chat"
        return urlunsplit(parts._replace(path=path))

    def headers(self, key: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {key}"} if key else {}

    def body(self, prompt: Prompt, model: str, asking: Asking) -> dict[str, Json]:
        body: dict[str, Json] = {"model": model, "stream": True}
        if prompt.schema is not None:
            if asking.way is Way.FIRST:
                body["format"] = dict(prompt.schema)
            else:
                prompt = told(prompt, prompt.schema)
                if asking.way is Way.SECOND:
                    body["format"] = "json"
        body["messages"] = [_message(message) for message in prompt.messages]
        if prompt.tools:
            body["tools"] = [
                {"type": "function", "function": {
                    "name": tool.name, "description": tool.description,
                    "parameters": {"type": "object", "properties": {}, **tool.parameters},
                }}
                for tool in prompt.tools
            ]  # fmt: skip
        options: dict[str, Json] = {"temperature": prompt.temperature, "num_predict": prompt.max_tokens}
        if prompt.top_p != 1.0:
            options["top_p"] = prompt.top_p
        if prompt.seed is not None:
            options["seed"] = prompt.seed
        if prompt.stop:
            options["stop"] = list(prompt.stop)
        if self._context:
            options["num_ctx"] = self._context
        body["options"] = options
        return {name: value for name, value in body.items() if name not in asking.without}

    def reader(self, draft: Draft, prompt: Prompt, asking: Asking) -> "_Reader":
        return _Reader(draft)


def _message(message: Message) -> dict[str, Json]:
    said: dict[str, Json] = {"role": message.role.value, "content": message.content}
    if message.calls:
        said["tool_calls"] = [
            {"function": {"name": call.name, "arguments": dict(call.arguments)}} for call in message.calls
        ]
    if message.role is Role.TOOL:
        said["tool_name"] = message.tool
    return said


class _Reader:
    """Reads lines of JSON."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._lines = JsonLines()
        self._calls = 0
        self.is_whole = self.is_over = False

    def feed(self, chunk: bytes) -> None:
        for line in self._lines.feed(chunk):
            self._take(line)

    def whole(self, body: bytes) -> None:
        self.feed(body)
        self.end()
        if not self.is_whole:
            raise ModelError(Trouble.INVALID, "its answer says nowhere that it is done: check `url`")

    def end(self) -> None:
        if not self.is_over:
            with contextlib.suppress(ModelError):  # half a line: the answer broke off
                for line in self._lines.finish():
                    self._take(line)

    def _take(self, line: Json) -> None:
        if fault := read_fault(line):
            raise StreamFault(fault)
        if not isinstance(line, dict):
            raise ModelError(Trouble.INVALID, "it sent a line that is no object: check `url`")
        if isinstance(model := line.get("model"), str):
            self._draft.model = model
        message = line.get("message")
        if isinstance(message, dict):
            if isinstance(text := message.get("content"), str):
                self._draft.write(text)
            for call in message.get("tool_calls") or ():
                self._call(call)
        if line.get("done") is True:
            self._draft.finish = Finish.LENGTH if line.get("done_reason") == "length" else Finish.STOP
            self._draft.count(line.get("prompt_eval_count"), line.get("eval_count"))
            self.is_whole = self.is_over = True

    def _call(self, call: Json) -> None:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise ModelError(Trouble.INVALID, "it sent a tool call without a function: ask again")
        self._calls += 1
        id = call.get("id")
        self._draft.call(
            self._calls, id=id if isinstance(id, str) else "", name=function["name"],
            arguments=function.get("arguments") or "",
        )  # fmt: skip
