"""A real, small Context: the real HTTP client, real secrets from a mapping, and a record of what was published."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from engine.contract import Effect, NodeType, Outcome, Wake
from engine.limits.account import Reservation
from engine.ports import Http, Reply, Requester
from engine.secrets import UnknownSecret, reveal
from engine.values import Json, check_value
from plugins.http_client import HttpClient
from plugins.llm.service.models import Models
from plugins.llm.spec import ModelSpec

TRIAGE = Path(__file__).parents[2] / "examples/models/triage-tiny-q8_0.gguf"
NOW = 1_795_000_000_000_000


@dataclass
class Secrets:
    values: dict[str, str] = field(default_factory=dict)

    def reveal(self, name: str) -> str:
        try:
            return self.values[name]
        except KeyError:
            raise UnknownSecret(name) from None


class Refused(AssertionError):
    """A pure run asked for something that it may not have."""


@dataclass(kw_only=True)
class RecordingContext:
    """One attempt. A pure one refuses everything that touches the world, as the engine's does."""

    pure: bool = False
    client: Http | None = None
    requester: Requester | None = None
    secrets: Secrets = field(default_factory=Secrets)
    execution: str = "x1"
    workflow: str = "test"
    path: str = "node"
    attempt: int = 1
    wake: Wake | None = None
    deadline: float | None = None
    cancelled: bool = False
    now: int = NOW
    idempotency_key: str = "0123456789abcdef0123456789abcdef"
    published: list[tuple[str, bytes, Mapping[str, str] | None]] = field(default_factory=list)
    lines: list[tuple[str, str, dict[str, Json]]] = field(default_factory=list)
    streamed: list[str] = field(default_factory=list)
    kept: dict[tuple[str, bytes], Json] = field(default_factory=dict)
    """What was remembered; nothing expires."""

    def seconds_left(self) -> float | None:
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    @property
    def http(self) -> Http:
        self._world("http")
        if self.client is None:
            raise Refused("this test has no HTTP client")
        return self.client

    async def request(self, subject: str, body: bytes, *, headers: Mapping[str, str], timeout: float) -> Reply:
        self._world("request")
        if self.requester is None:
            raise Refused("this test has no NATS")
        return await self.requester.request(subject, body, headers=headers, timeout=timeout)

    def publish(self, subject: str, body: bytes, *, headers: Mapping[str, str] | None = None) -> None:
        self._world("publish")
        self.published.append((subject, body, headers))

    def secret(self, text: str) -> str:
        self._world("secret")
        return reveal(text, self.secrets)

    async def reserve_tokens(self, tokens: int) -> Reservation:
        self._world("reserve_tokens")
        return Reservation(None, tokens)

    def waiting(self, reason: str) -> AbstractContextManager[None]:
        return nullcontext()

    async def remembered(self, scope: str, key: bytes) -> Json | msgspec.UnsetType:
        self._world("remembered")
        return self.kept.get((scope, key), msgspec.UNSET)

    def remember(self, scope: str, key: bytes, value: Json, *, ttl: float) -> None:
        self._world("remember")
        check_value(value)
        self.kept[scope, key] = value

    def stream(self, text: str) -> None:
        self.streamed.append(text)

    def log(self, message: str, *, level: str = "info", **fields: Json) -> None:
        self.lines.append((level, message, fields))

    def emit(self, progress: float | None = None, message: str = "", **data: Json) -> None:
        pass

    def _world(self, what: str) -> None:
        if self.pure:
            raise Refused(f"a pure run asked for {what}")


def run_pure(node_type: NodeType, ctx: RecordingContext, params: msgspec.Struct) -> Outcome:
    """Drive a pure run to its end in one step; it must not suspend."""
    coroutine = node_type.run(ctx, params)
    try:
        coroutine.send(None)  # type: ignore[attr-defined]
    except StopIteration as end:
        return end.value
    raise AssertionError(f"{node_type.name} suspended in a pure run")


class Received(msgspec.Struct, frozen=True):
    """A request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Answer = bytes | Callable[[Received, asyncio.StreamWriter], Awaitable[None]]


def http_reply(status: int = 200, body: bytes = b"", **headers: str) -> bytes:
    """The bytes of an answer; `content_type="text/plain"` is the header Content-Type."""
    lines = [f"HTTP/1.1 {status} Reason", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-').title()}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class LocalServer:
    """A real HTTP server that answers with what the test says, in order; the last answer repeats."""

    def __init__(self) -> None:
        self.answers: list[Answer] = [http_reply()]
        self.requests: list[Received] = []
        self.connections = 0
        self.asked = asyncio.Event()
        """A request has arrived."""
        self.closed = asyncio.Event()
        """A client has closed its connection."""
        self.url = ""
        self.port = 0
        self._readers: dict[asyncio.StreamWriter, asyncio.StreamReader] = {}

    async def gone(self, writer: asyncio.StreamWriter) -> None:
        """For an answer that hangs: wait until its client has closed the connection."""
        await self._readers[writer].read()

    def answer(self, *answers: Answer) -> None:
        self.answers = list(answers)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._readers[writer] = reader
        try:
            while True:
                await self._exchange(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.closed.set()
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
        received = Received(method, target, headers, await reader.readexactly(int(headers.get("content-length", 0))))
        self.requests.append(received)
        self.asked.set()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, bytes):
            writer.write(answer)
            await writer.drain()
        else:
            await answer(received, writer)


@pytest.fixture
async def start_server() -> AsyncIterator[Callable[[], Awaitable[LocalServer]]]:
    servers: list[tuple[asyncio.Server, set[asyncio.Task[None]]]] = []

    async def start() -> LocalServer:
        local = LocalServer()
        tasks: set[asyncio.Task[None]] = set()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.get_running_loop().create_task(local.serve(reader, writer))
            tasks.add(task)

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        servers.append((server, tasks))
        local.port = server.sockets[0].getsockname()[1]
        local.url = f"http://127.0.0.1:{local.port}"
        return local

    yield start
    for server, tasks in servers:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


@pytest.fixture
async def server(start_server: Callable[[], Awaitable[LocalServer]]) -> LocalServer:
    return await start_server()


@pytest.fixture
def reply() -> Callable[..., bytes]:
    return http_reply


@pytest.fixture
async def client(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Http]:
    """The real client, without the proxies of the machine that runs the test."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    client = HttpClient()
    yield client
    await client.aclose()


@pytest.fixture
async def models() -> AsyncIterator[Models]:
    """The local model triage-tiny, also as `short`, whose context holds 64 tokens."""
    file = str(TRIAGE)
    one = Models([ModelSpec(name="triage-tiny", file=file), ModelSpec(name="short", file=file, context=64)])
    yield one
    await one.aclose()


@pytest.fixture
def ctx() -> RecordingContext:
    """The context of the test's attempts; set what the test is about."""
    return RecordingContext()


@pytest.fixture
def attempt(ctx: RecordingContext) -> Callable[..., Awaitable[Outcome]]:
    """`await attempt(TYPE, **params)`: one attempt as the engine makes it. Parameters are decoded, a pure run must not
    suspend, and the outcome must be data that can be stored."""

    async def run(node_type: NodeType, **params: Json) -> Outcome:
        decoded = msgspec.convert(params, node_type.params)
        ctx.pure = node_type.effect is Effect.PURE
        outcome = run_pure(node_type, ctx, decoded) if ctx.pure else await node_type.run(ctx, decoded)
        check_value(getattr(outcome, "output", None))
        return outcome

    return run


@pytest.fixture
def pure() -> Callable[[NodeType, RecordingContext, msgspec.Struct], Outcome]:
    """Drive a pure run to its end in one step."""
    return run_pure
