"""One request to a provider, and its answer read as it comes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Protocol

import msgspec

from engine.clock import Clock
from engine.ports import Http, Streaming, Unreachable
from engine.values import InvalidValue, decode_json
from plugins.llm.errors import ModelError, Trouble
from plugins.llm.provider import Listener
from plugins.llm.remote.answers import Fault, StreamFault, read_fault, refusal, status_of
from plugins.llm.spec import ModelSpec

__all__ = ["Reader", "Request", "exchange"]

MAX_BYTES = 64 * 1024 * 1024
"""Of a whole answer, frames included: a character comes with up to a kilobyte of them."""
MAX_REFUSAL_BYTES = 64 * 1024
LOOK_SECONDS = 0.1
"""How often the listener is asked whether anybody wants the rest, also while nothing comes."""
LINGER_SECONDS = 0.1
"""How long the end of a body is awaited once the answer is whole, so that the connection can be used again."""
NO_STALL_SECONDS = 3600.0
"""A wait without a limit ends then all the same."""

_STREAMS = frozenset({"text/event-stream", "application/x-ndjson", "application/jsonl", "application/stream+json"})
_PLAIN = frozenset({"", "text/plain", "application/octet-stream"})
"""What servers say that do not care; their bytes are read as a stream."""


class Request(msgspec.Struct, frozen=True):
    """What is sent."""

    url: str
    headers: Mapping[str, str]
    body: bytes


class Reader(Protocol):
    """Reads one kind of stream into a draft. All raise ModelError."""

    is_whole: bool
    """What came is a complete answer, even if more may follow."""
    is_over: bool
    """Nothing that matters follows."""

    def feed(self, chunk: bytes) -> None: ...

    def whole(self, body: bytes) -> None:
        """A server that does not stream gave its answer as one JSON document."""
        ...

    def end(self) -> None:
        """The body has ended; what is left of it is read."""
        ...


async def exchange(
    http: Http, request: Request, reader: Reader, listener: Listener, spec: ModelSpec, clock: Clock
) -> None:
    """Fill the reader's draft. Raises ModelError, a Refusal for a status that is no success; whatever ends it, the
    connection is given back or closed, and nothing is left running."""
    stopped = ModelError(Trouble.STOPPED, "nobody wants the rest")
    if listener.stopped:
        raise stopped
    has_answered = False
    patience = spec.stall or NO_STALL_SECONDS
    try:
        async with (
            asyncio.timeout(None) as cut,
            _watching(listener, cut),
            http.stream(
                "POST", request.url, headers=request.headers, body=request.body, timeout=patience,
                max_bytes=MAX_BYTES, verify=True,
            ) as answer,
        ):  # fmt: skip
            has_answered = True
            await _read(answer, reader, listener, spec, clock)
    except TimeoutError:
        if cut.expired():
            raise stopped from None
        what = "nothing more came" if has_answered else "no answer came"
        raise ModelError(
            Trouble.STALLED,
            f"{what} within {patience:g} s: if it needs longer, raise `stall` of the model or of the node",
        ) from None
    except Unreachable as error:
        if has_answered:
            raise ModelError(Trouble.UNREACHABLE, f"the provider broke off: {error}") from None
        raise ModelError(
            Trouble.UNREACHABLE, f"the provider can't be reached: {error}; its `url` stands under [models.{spec.name}]"
        ) from None
    except ValueError as error:
        if has_answered:
            raise ModelError(Trouble.INVALID, f"the answer can't be read: {error}") from None
        raise ModelError(
            Trouble.REFUSED, f"the request can't be sent: {error}; check `url` and the key of [models.{spec.name}]"
        ) from None


@contextlib.asynccontextmanager
async def _watching(listener: Listener, cut: asyncio.Timeout) -> AsyncIterator[None]:
    """Within the block, `cut` ends what is awaited soon after nobody wants it any more."""
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle

    def look() -> None:
        nonlocal timer
        if listener.stopped:
            cut.reschedule(loop.time())
        else:
            timer = loop.call_later(LOOK_SECONDS, look)

    timer = loop.call_later(LOOK_SECONDS, look)
    try:
        yield
    finally:
        timer.cancel()


async def _read(answer: Streaming, reader: Reader, listener: Listener, spec: ModelSpec, clock: Clock) -> None:
    if not 200 <= answer.status < 300:
        body = bytearray()
        with contextlib.suppress(ValueError, Unreachable, TimeoutError):  # the status says enough
            await _fill(body, answer, MAX_REFUSAL_BYTES)
        raise refusal(answer.status, answer.headers, _fault(bytes(body)), spec, clock.now())
    media = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if media == "application/json":
            body = bytearray()
            await _fill(body, answer, MAX_BYTES)
            reader.whole(bytes(body))
        elif media in _STREAMS or media in _PLAIN:
            await _stream(answer, reader, listener)
        else:
            raise ModelError(
                Trouble.INVALID, f"it answers with {media[:80]} and no stream: check `url` in [models.{spec.name}]"
            )
    except StreamFault as error:
        raise refusal(status_of(error.fault), answer.headers, error.fault, spec, clock.now()) from None


async def _stream(answer: Streaming, reader: Reader, listener: Listener) -> None:
    chunks = answer.chunks()
    try:
        async for chunk in chunks:
            listener.heard("")
            reader.feed(chunk)
            if reader.is_over:
                break
            if listener.stopped:
                raise ModelError(Trouble.STOPPED, "nobody wants the rest")
        else:
            reader.end()
    except Unreachable:
        if not reader.is_whole:
            raise
    if not reader.is_whole:
        raise ModelError(Trouble.UNREACHABLE, "the answer broke off before it was whole: ask again")
    if reader.is_over:
        with contextlib.suppress(TimeoutError, Unreachable, ValueError):
            async with asyncio.timeout(LINGER_SECONDS):
                async for _ in chunks:
                    pass


async def _fill(body: bytearray, answer: Streaming, limit: int) -> None:
    """With all that comes, until it has more than `limit` bytes."""
    async for chunk in answer.chunks():
        body += chunk
        if len(body) > limit:
            break


def _fault(body: bytes) -> Fault:
    try:
        return read_fault(decode_json(body)) or Fault()
    except InvalidValue:
        text = body.decode(errors="replace")
        return Fault(message="" if text.lstrip().startswith("<") else text)
