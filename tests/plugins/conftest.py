"""A real, small Context: the real HTTP client, real secrets from a mapping, and a record of what was published."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import msgspec
import pytest

from engine.contract import Effect, NodeType, Outcome, Wake
from engine.ports import Http, Reply, Requester
from engine.secrets import UnknownSecret, reveal
from engine.values import Json, check_value

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


@pytest.fixture
async def client() -> AsyncIterator[Http]:
    from plugins.http_client import HttpClient

    client = HttpClient()
    yield client
    await client.aclose()


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
