"""The outside world: an HTTP service that remembers every call. What it saw is the truth about external effects."""

import asyncio
import json
from collections import Counter, defaultdict
from typing import Any, NamedTuple


class Effect(NamedTuple):
    """What a node was to do to the world: by which workflow, for which message, at which node."""

    workflow: str
    message: int
    node: str


class Sink:
    """Answers every POST with 200 once the call is in the record. Opened by `serve`."""

    def __init__(self) -> None:
        self.calls: Counter[Effect] = Counter()
        self.keys: defaultdict[Effect, set[str]] = defaultdict(set)
        """The Idempotency-Keys that came."""
        self.bodies: defaultdict[Effect, set[bytes]] = defaultdict(set)
        self.url = ""
        self.slow_seconds = 0.0
        """How long an answer takes."""
        self.grew = asyncio.Event()
        self._handlers: set[asyncio.Task[Any]] = set()

    @property
    def repeats(self) -> int:
        """Calls beyond the first of each effect."""
        return self.calls.total() - len(self.calls)

    async def wait_for(self, count: int) -> None:
        """Until there were so many calls."""
        while self.calls.total() < count:
            self.grew.clear()
            await self.grew.wait()

    async def serve(self, port: int = 0) -> asyncio.Server:
        server = await asyncio.start_server(self._accept, "127.0.0.1", port)
        host, port = server.sockets[0].getsockname()[:2]
        self.url = f"http://{host}:{port}/"
        return server

    async def end(self, server: asyncio.Server) -> None:
        server.close()
        for handler in list(self._handlers):
            handler.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handler = asyncio.ensure_future(self._answer(reader, writer))
        self._handlers.add(handler)
        handler.add_done_callback(self._handlers.discard)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[1:]
                fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head)}
                self._record(fields.get("idempotency-key", ""), await reader.readexactly(int(fields["content-length"])))
                await asyncio.sleep(self.slow_seconds)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the agent was killed, or needs the connection no more
        finally:
            writer.close()

    def _record(self, key: str, body: bytes) -> None:
        data = json.loads(body)
        effect = Effect(data["workflow"], data["message"], data["node"])
        self.calls[effect] += 1
        self.keys[effect].add(key)
        self.bodies[effect].add(body)
        self.grew.set()
