"""What the engine needs from outside. The agent joins these to their implementations; tests bring their own."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

__all__ = ["Http", "NoResponders", "Reply", "Requester", "Response", "Streaming", "Unreachable"]


class Response(msgspec.Struct, frozen=True):
    """An HTTP answer, body bounded by the caller's limit."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case; repeated headers joined by a comma."""
    body: bytes
    truncated: bool = False
    """The body was longer than the limit; `body` holds its beginning."""


class Unreachable(ConnectionError):
    """Nothing answered: no connection, no route, a link that broke. Trying later may help."""


class NoResponders(ConnectionError):
    """Nobody serves this NATS subject now."""


class Streaming(Protocol):
    """An HTTP answer whose body is still coming."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case; repeated headers joined by a comma."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The body, unpacked, as it comes, however it is cut. Raises Unreachable when it breaks off, ValueError when
        it is longer than the caller's limit."""
        ...


class Http(Protocol):
    """An HTTP client."""

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout: float,
        max_bytes: int,
        follow_redirects: bool,
        verify: bool,
    ) -> Response:
        """One exchange. Raises Unreachable, TimeoutError, or ValueError for a URL or header that is not valid."""
        ...

    def stream(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, timeout: float, max_bytes: int,
        verify: bool,
    ) -> AbstractAsyncContextManager[Streaming]:  # fmt: skip
        """The same, with a body that is read as it comes: `timeout` bounds each wait for more of it, not the whole.
        Leaving the block ends the exchange; redirects are not followed. Raises Unreachable, TimeoutError, ValueError.
        """
        ...


class Reply(msgspec.Struct, frozen=True):
    """The answer to a NATS request."""

    body: bytes
    headers: Mapping[str, str]


class Requester(Protocol):
    """NATS request-reply."""

    async def request(self, subject: str, body: bytes, *, headers: Mapping[str, str], timeout: float) -> Reply:
        """Raises Unreachable without a connection, NoResponders, TimeoutError, ValueError for an unfit subject."""
        ...
