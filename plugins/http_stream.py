"""The body of an HTTP answer as it comes."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import TYPE_CHECKING, cast

from plugins.http_faults import as_ports
from plugins.inflate import Inflate

if TYPE_CHECKING:
    import httpx


class Incoming:
    """Implements `engine.ports.Streaming`; whoever made it closes it. Its chunks can be read once."""

    def __init__(self, response: "httpx.Response", *, timeout: float, max_bytes: int) -> None:
        headers = dict(response.headers.items())
        self._inflate = Inflate.of(headers.get("content-encoding", ""))
        if self._inflate is not None:
            # They describe the body as it travels, not as it is handed over.
            headers.pop("content-encoding", None)
            headers.pop("content-length", None)
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = headers
        self._response = response
        self._raw = cast("AsyncGenerator[bytes, None]", response.aiter_raw())
        self._timeout = timeout
        self._room = max_bytes
        self._max_bytes = max_bytes

    def chunks(self) -> AsyncIterator[bytes]:
        # No generator of its own: a reader that stops in the middle would leave it to the garbage collector.
        return self

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while True:
            chunk = self._unpacked(await self._next())
            self._room -= len(chunk)
            if self._room < 0:
                raise ValueError(f"the body is longer than {self._max_bytes} bytes")
            if chunk:
                return chunk

    async def aclose(self) -> None:
        """End the exchange. A connection whose body was read to its end is kept for the next one."""
        await self._raw.aclose()
        await self._response.aclose()

    async def _next(self) -> bytes:
        with as_ports():
            try:
                async with asyncio.timeout(self._timeout):
                    return await anext(self._raw)
            except TimeoutError:
                raise TimeoutError(f"nothing more came within {self._timeout:g} s") from None
            except StopAsyncIteration:
                if self._inflate is not None:
                    self._inflate.finish()
                raise

    def _unpacked(self, chunk: bytes) -> bytes:
        if self._inflate is None:
            return chunk
        with as_ports():
            return self._inflate.feed(chunk, self._room + 1)
