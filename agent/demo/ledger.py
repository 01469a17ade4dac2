"""A small HTTP service that books readings and remembers which idempotency key came how often."""

import asyncio
from collections import Counter

import msgspec

from engine.signal import Signal


class Ledger:
    """Serves `POST /readings` on a free port of the loopback. An entry is made once per Idempotency-Key."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        """Idempotency-Key -> how often it came."""
        self.bodies: dict[str, set[bytes]] = {}
        """Idempotency-Key -> the different bodies that came with it."""
        self.changed = Signal()
        self.url = ""

    async def run(self, ready: asyncio.Event) -> None:
        """Serve until cancelled."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()[:2]
        self.url = f"http://{host}:{port}"
        ready.set()
        async with server:
            await server.serve_forever()

    async def wait_for_entries(self, count: int) -> None:
        """Until that many different readings are booked."""
        while len(self.calls) < count:
            await self.changed.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                fields = _fields(head)
                body = await reader.readexactly(int(fields.get("content-length", "0")))
                key = fields.get("idempotency-key", "")
                self.calls[key] += 1
                self.bodies.setdefault(key, set()).add(body)
                self.changed.set()
                answer = msgspec.json.encode({"entry": list(self.bodies).index(key) + 1})
                writer.write(
                    b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                    % (len(answer), answer)
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the agent was killed, or closed the connection
        finally:
            writer.close()


def _fields(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
