"""The providers of models behind one contract: the local one with its real model, the remote ones against a server that
speaks their protocol, cuts its bytes where the test wants, and refuses requests that the API would refuse."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Literal

import msgspec
import pytest

from engine.ports import Http
from engine.values import Json
from plugins.llm.conversation import Message, Prompt, Role, Tool
from plugins.llm.provider import Provider
from plugins.llm.remote.provider import remote
from plugins.llm.spec import ModelSpec, Source

KEY = "sk-test-0123456789abcdef"
TRIAGE = Path(__file__).parents[4] / "examples/models/triage-tiny-q8_0.gguf"
QUESTION = "fridge-07 temperature 14.2 C, limit 8 C"
SCHEMA: dict[str, Json] = {
    "type": "object",
    "properties": {
        "level": {"enum": ["normal", "warning", "critical"]},
        "reason": {"type": "string", "minLength": 1, "maxLength": 200},
    },
    "required": ["level", "reason"],
    "additionalProperties": False,
}


def asked(text: str = QUESTION, **options: Json) -> Prompt:
    """A prompt of one message."""
    return Prompt(messages=(Message(role=Role.USER, content=text),), **options)


READ_SENSOR = Tool(
    name="read_sensor",
    description="What a sensor shows.",
    parameters={"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
)


class Ear:
    """A Listener that keeps what it heard, and stops once it has heard enough."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.pieces: list[str] = []
        self.signs = 0
        self.stop_after = stop_after
        self.has_heard = asyncio.Event()

    def heard(self, text: str) -> None:
        self.signs += 1
        if text:
            self.pieces.append(text)
            self.has_heard.set()

    @property
    def stopped(self) -> bool:
        return self.stop_after is not None and len(self.pieces) >= self.stop_after

    @property
    def text(self) -> str:
        return "".join(self.pieces)


# --- what a scripted model says ----------------------------------------------------------------------------------


class Called(msgspec.Struct, frozen=True):
    name: str
    arguments: dict[str, Json]
    id: str


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, in the pieces in which it is streamed."""

    text: Sequence[str] = ()
    calls: Sequence[Called] = ()
    is_cut: bool = False
    """It came to `max_tokens`."""
    input: int | None = 21
    output: int | None = 7
    thinks: str = ""


ANSWER = Script(text=["fridge-07", " is at", " 14.2 °C", " 🌡", ": critical"])
JSON_ANSWER = Script(text=['{"level": "cri', 'tical", "reason": "14.2 °C', ' is too warm"}'])


# --- the wires ------------------------------------------------------------------------------------------------------


class Strict(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A part of a request; a field that the API does not know fails the test."""


class OpenAiFunction(Strict):
    name: str
    arguments: str


class OpenAiCall(Strict):
    id: str
    function: OpenAiFunction
    type: Literal["function"]


class OpenAiMessage(Strict):
    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: list[OpenAiCall] = []
    tool_call_id: str = ""


class Function(Strict):
    name: str
    description: str
    parameters: dict[str, Json]


class FunctionTool(Strict):
    type: Literal["function"]
    function: Function


class OpenAiRequest(Strict):
    model: str
    messages: list[OpenAiMessage]
    stream: Literal[True]
    stream_options: dict[str, bool] = {}
    max_tokens: int = 0
    max_completion_tokens: int = 0
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    stop: list[str] = []
    tools: list[FunctionTool] = []
    response_format: dict[str, Json] = {}


class OpenAiWire:
    """POST /v1/chat/completions."""

    source = Source.OPENAI
    base = "/v1"
    target = "/v1/chat/completions"
    content_type = "text/event-stream; charset=utf-8"
    needs_key: ClassVar = {"authorization": f"Bearer {KEY}"}
    ends = (b"\n", b"\r\n", b"\r")

    def check(self, body: bytes) -> None:
        request = msgspec.json.decode(body, type=OpenAiRequest)
        open_calls: set[str] = set()
        for message in request.messages:
            assert message.content or message.tool_calls or message.role in ("assistant", "tool")
            assert (message.role == "tool") == bool(message.tool_call_id)
            if message.role == "tool":
                open_calls.remove(message.tool_call_id)
            else:
                assert not open_calls, "a call without a result"
            for call in message.tool_calls:
                assert isinstance(json.loads(call.function.arguments), dict)
                assert 0 < len(call.id) <= 40
                open_calls.add(call.id)
        assert bool(request.max_tokens) != bool(request.max_completion_tokens)

    def events(self, script: Script) -> Iterator[Json]:
        def chunk(delta: Json, finish: str | None = None) -> Json:
            return {
                "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-of-the-test",
                "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], "usage": None,
            }  # fmt: skip

        yield chunk({"role": "assistant", "content": "", "refusal": None})
        if script.thinks:
            yield chunk({"reasoning_content": script.thinks})
        for text in script.text:
            yield chunk({"content": text})
        for index, call in enumerate(script.calls):
            first = {
                "index": index,
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": ""},
            }
            yield chunk({"tool_calls": [first]})
            arguments = json.dumps(call.arguments, ensure_ascii=False)
            for start in range(0, len(arguments), 5):
                yield chunk({"tool_calls": [{"index": index, "function": {"arguments": arguments[start : start + 5]}}]})
        yield chunk({}, "length" if script.is_cut else "tool_calls" if script.calls else "stop")
        if script.output is not None:
            counts = {"prompt_tokens": script.input, "completion_tokens": script.output}
            yield {"choices": [], "usage": counts | {"prompt_tokens_details": {"cached_tokens": 4}}}

    def stream(self, script: Script, end: bytes = b"\n") -> bytes:
        frames = [b"data: " + dumped(event) + end + end for event in self.events(script)]
        return b": connected" + end + end + b"".join(frames) + b"data: [DONE]" + end + end

    def schema_of(self, body: Json) -> Json:
        return body["response_format"]["json_schema"]["schema"]

    def fault(self, message: str, kind: str) -> bytes:
        return dumped({"error": {"message": message, "type": kind, "param": None, "code": None}})

    def fault_event(self, message: str, kind: str) -> bytes:
        return b"data: " + self.fault(message, kind) + b"\n\n"


class AnthropicMessage(Strict):
    role: Literal["user", "assistant"]
    content: list[dict[str, Json]]


class AnthropicTool(Strict):
    name: str
    description: str
    input_schema: dict[str, Json]


class AnthropicRequest(Strict):
    model: str
    max_tokens: int
    messages: list[AnthropicMessage]
    stream: Literal[True]
    system: str = ""
    temperature: float | None = None
    top_p: float | None = None
    stop_sequences: list[str] = []
    tools: list[AnthropicTool] = []
    tool_choice: dict[str, str] = {}
    output_config: dict[str, Json] = {}


class AnthropicWire:
    """POST /v1/messages."""

    source = Source.ANTHROPIC
    base = ""
    target = "/v1/messages"
    content_type = "text/event-stream"
    needs_key: ClassVar = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}
    ends = (b"\n", b"\r\n", b"\r")

    def check(self, body: bytes) -> None:
        request = msgspec.json.decode(body, type=AnthropicRequest)
        assert request.max_tokens > 0
        assert request.temperature is None or 0 <= request.temperature <= 1
        roles = [message.role for message in request.messages]
        assert roles[0] == "user"
        assert all(one != other for one, other in pairwise(roles)), "roles take turns"
        seen: set[str] = set()
        open_calls: set[str] = set()
        for message in request.messages:
            kinds = [block["type"] for block in message.content]
            assert kinds, "content is empty"
            assert kinds == sorted(kinds, key=lambda kind: kind != "tool_result"), "results come first"
            results = {block["tool_use_id"] for block in message.content if block["type"] == "tool_result"}
            assert results == open_calls, "each call has its result in the next message"
            open_calls = {block["id"] for block in message.content if block["type"] == "tool_use"}
            assert not open_calls & seen, "ids are unique"
            seen |= open_calls
            for block in message.content:
                assert block["type"] != "text" or block["text"].strip(), "text is not empty"
        assert not seen or request.tools, "calls need tools"

    def events(self, script: Script) -> Iterator[Json]:
        usage = {} if script.input is None else {"input_tokens": script.input - 4, "cache_read_input_tokens": 4}
        start = {
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-of-the-test", "content": [],
            "stop_reason": None, "stop_sequence": None, "usage": usage | {"output_tokens": 1} if usage else {},
        }  # fmt: skip
        yield {"type": "message_start", "message": start}
        for index, (kind, pieces) in enumerate(self._blocks(script)):
            yield {"type": "content_block_start", "index": index, "content_block": kind}
            yield {"type": "ping"}
            for delta in pieces:
                yield {"type": "content_block_delta", "index": index, "delta": delta}
            yield {"type": "content_block_stop", "index": index}
        reason = "max_tokens" if script.is_cut else "tool_use" if script.calls else "end_turn"
        counted = {} if script.output is None else {"output_tokens": script.output}
        yield {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": counted}
        yield {"type": "message_stop"}

    def _blocks(self, script: Script) -> Iterator[tuple[Json, list[Json]]]:
        if script.thinks:
            block = {"type": "thinking", "thinking": "", "signature": ""}
            yield (
                block,
                [{"type": "thinking_delta", "thinking": script.thinks}, {"type": "signature_delta", "signature": "x"}],
            )
        if script.text:
            yield {"type": "text", "text": ""}, [{"type": "text_delta", "text": text} for text in script.text]
        for call in script.calls:
            arguments = json.dumps(call.arguments, ensure_ascii=False)
            pieces = ["", *(arguments[start : start + 5] for start in range(0, len(arguments), 5))]
            block = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
            yield block, [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]

    def stream(self, script: Script, end: bytes = b"\n") -> bytes:
        return b"".join(
            b"event: " + event["type"].encode() + end + b"data: " + dumped(event) + end + end
            for event in self.events(script)
        )

    def schema_of(self, body: Json) -> Json:
        return body["output_config"]["format"]["schema"]

    def fault(self, message: str, kind: str) -> bytes:
        return dumped({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"})

    def fault_event(self, message: str, kind: str) -> bytes:
        return b"event: error\ndata: " + self.fault(message, kind) + b"\n\n"


class OllamaFunction(Strict):
    name: str
    arguments: dict[str, Json]


class OllamaCall(Strict):
    function: OllamaFunction


class OllamaMessage(Strict):
    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: list[OllamaCall] = []
    tool_name: str = ""


class OllamaOptions(Strict):
    temperature: float
    num_predict: int
    top_p: float = 1.0
    seed: int | None = None
    stop: list[str] = []
    num_ctx: int = 0


class OllamaRequest(Strict):
    model: str
    messages: list[OllamaMessage]
    stream: Literal[True]
    options: OllamaOptions
    tools: list[FunctionTool] = []
    format: dict[str, Json] | Literal["json"] | None = None


class OllamaWire:
    """POST /api/chat."""

    source = Source.OLLAMA
    base = ""
    target = "/api/chat"
    content_type = "application/x-ndjson"
    needs_key: ClassVar = {"authorization": f"Bearer {KEY}"}
    ends = (b"\n", b"\r\n")

    def check(self, body: bytes) -> None:
        request = msgspec.json.decode(body, type=OllamaRequest)
        assert request.messages

    def events(self, script: Script) -> Iterator[Json]:
        frame = {"model": "llama-of-the-test", "created_at": "2026-11-22T08:00:00.0Z", "done": False}
        if script.thinks:
            yield frame | {"message": {"role": "assistant", "content": "", "thinking": script.thinks}}
        for text in script.text:
            yield frame | {"message": {"role": "assistant", "content": text}}
        for call in script.calls:
            calls = [{"function": {"name": call.name, "arguments": call.arguments}}]
            yield frame | {"message": {"role": "assistant", "content": "", "tool_calls": calls}}
        last = frame | {"message": {"role": "assistant", "content": ""}, "done": True, "total_duration": 5}
        last["done_reason"] = "length" if script.is_cut else "stop"
        counts = {"prompt_eval_count": script.input, "eval_count": script.output}
        yield last | {name: count for name, count in counts.items() if count is not None}

    def stream(self, script: Script, end: bytes = b"\n") -> bytes:
        return b"".join(dumped(event) + end for event in self.events(script))

    def schema_of(self, body: Json) -> Json:
        return body["format"]

    def fault(self, message: str, kind: str) -> bytes:
        return dumped({"error": message})

    def fault_event(self, message: str, kind: str) -> bytes:
        return self.fault(message, kind) + b"\n"


Wire = OpenAiWire | AnthropicWire | OllamaWire
WIRES: dict[str, Wire] = {"openai": OpenAiWire(), "anthropic": AnthropicWire(), "ollama": OllamaWire()}


def dumped(value: Json) -> bytes:
    """Raw UTF-8, so that a boundary can fall inside a character."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


# --- the server -----------------------------------------------------------------------------------------------------

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


class ModelServer:
    """Answers each request with what the test says, the last answer again and again; checks each request first."""

    def __init__(self, local, wire: Wire) -> None:
        self.local = local
        self.wire = wire
        self.wrong: list[str] = []
        self.bodies: list[Json] = []
        """Of the requests, decoded."""
        self._answers: list[Answer] = []
        local.answer(self._serve)

    @property
    def spec(self) -> ModelSpec:
        return ModelSpec(
            name="cloud", provider=self.wire.source, url=self.local.url + self.wire.base, model="m-1", key="MODEL_KEY",
            stall=5.0,
        )  # fmt: skip

    def answer(self, *answers: Answer) -> None:
        self._answers = list(answers)

    def say(self, script: Script, *, cut: int = 0, end: bytes = b"\n", **headers: str) -> Answer:
        """Streams a script in HTTP chunks of `cut` bytes (0: each event in one)."""
        return self.send(self.wire.stream(script, end), cut=cut, **headers)

    def send(self, body: bytes, *, cut: int = 0, then: str = "end", content_type: str = "", **headers: str) -> Answer:
        """Streams bytes; `then` the body ends, the connection is cut, or nothing more happens."""

        async def answer(writer: asyncio.StreamWriter) -> None:
            head = {"Content-Type": content_type or self.wire.content_type, "Transfer-Encoding": "chunked"} | headers
            lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in head.items())
            writer.write(f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode())
            size = cut or max(1, len(body) // 7)
            for start in range(0, len(body), size):
                piece = body[start : start + size]
                writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                await writer.drain()
            if then == "hang":
                await self.local.gone(writer)
            elif then == "cut":
                writer.transport.abort()
            else:
                writer.write(b"0\r\n\r\n")

        return answer

    def refuse(self, status: int, body: bytes = b"", **headers: str) -> Answer:
        async def answer(writer: asyncio.StreamWriter) -> None:
            head = {"Content-Type": "application/json", "Content-Length": str(len(body))} | headers
            lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in head.items())
            writer.write(f"HTTP/1.1 {status} Reason\r\n{lines}\r\n".encode() + body)

        return answer

    def hang(self) -> Answer:
        return self.local.gone

    async def _serve(self, received, writer: asyncio.StreamWriter) -> None:
        self._check(received)
        self.bodies.append(json.loads(received.body))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        await answer(writer)

    def _check(self, received) -> None:
        wanted = {"content-type": "application/json"} | self.wire.needs_key
        try:
            assert (received.method, received.target) == ("POST", self.wire.target)
            assert wanted.items() <= received.headers.items()
            self.wire.check(received.body)
        except (AssertionError, msgspec.DecodeError, KeyError, ValueError) as error:
            self.wrong.append(f"{error!r} in {received.target} {received.body.decode()}")


@pytest.fixture(params=list(WIRES))
def wire(request: pytest.FixtureRequest) -> Wire:
    return WIRES[request.param]


@pytest.fixture
async def models_at(start_server) -> AsyncIterator[Callable[[Wire], Awaitable[ModelServer]]]:
    servers: list[ModelServer] = []

    async def start(wire: Wire) -> ModelServer:
        servers.append(ModelServer(await start_server(), wire))
        return servers[-1]

    yield start
    for server in servers:
        assert not server.wrong, server.wrong


@pytest.fixture
async def cloud(models_at, wire: Wire) -> ModelServer:
    """A remote model's server, of each kind in turn."""
    return await models_at(wire)


@pytest.fixture
def provider(cloud: ModelServer) -> Provider:
    return remote(cloud.spec, {"MODEL_KEY": KEY}.get)


@pytest.fixture
def ask(provider: Provider, client: Http) -> Callable[..., Awaitable]:
    """`await ask(prompt, ear)`: one generation of the remote model."""

    async def ask(prompt: Prompt | None = None, ear: Ear | None = None):
        return await provider.generate(prompt or asked(), ear or Ear(), client)

    return ask


# --- any provider ---------------------------------------------------------------------------------------------------


@dataclass
class Subject:
    """A provider under the contract, and how to make it say something; the local one says what its model thinks."""

    provider: Provider
    http: Http
    server: ModelServer | None = None

    def says(self, script: Script, *, cut: int = 0, then: str = "end") -> None:
        if self.server is not None:
            body = self.server.wire.stream(script)
            self.server.answer(
                self.server.send(body if then == "end" else body[: len(body) * 2 // 3], cut=cut, then=then)
            )

    async def ask(self, prompt: Prompt, ear: Ear | None = None):
        return await self.provider.generate(prompt, ear or Ear(), self.http)


@pytest.fixture(params=[*WIRES, "local"])
async def subject(request: pytest.FixtureRequest, models_at, client: Http) -> AsyncIterator[Subject]:
    if request.param == "local":
        pytest.importorskip("llama_cpp")
        from plugins.llm.local.provider import opened

        provider = await opened(ModelSpec(name="triage", file=str(TRIAGE), threads=1))
        yield Subject(provider, client)
    else:
        server = await models_at(WIRES[request.param])
        provider = remote(server.spec, {"MODEL_KEY": KEY}.get)
        yield Subject(provider, client, server)
    await provider.aclose()
