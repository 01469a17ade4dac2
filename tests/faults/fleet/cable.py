"""The cable between two boxes: carries bytes of a TCP port to another one, and can be cut, or fall silent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

CHUNK = 65_536


class Cable:
    """Made by `laid`. `cut` ends what goes through and refuses the rest; `mute` keeps all open and carries nothing."""

    def __init__(self, host: str, port: int) -> None:
        self._far = (host, port)
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()
        self._carrying: set[asyncio.Task[None]] = set()
        self._audible = asyncio.Event()
        self._audible.set()
        self.port = 0
        self.connections = 0
        """How many were ever made through it."""

    async def join(self) -> None:
        """Carry again."""
        self._audible.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._plugged, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """As if somebody pulled the plug, and the other side was told at once."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.drop()

    def drop(self) -> None:
        """End the connections of now; new ones may be made."""
        for end in self._ends:
            end.transport.abort()

    def mute(self) -> None:
        """As a dead router: nobody is told anything."""
        self._audible.clear()

    async def close(self) -> None:
        self._audible.set()
        await self.cut()
        for carrying in self._carrying:
            carrying.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)

    async def _plugged(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._carrying.add(task)
        self._ends.add(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._far)
            self.connections += 1
            self._ends.add(far_writer)
            try:
                await asyncio.gather(self._carry(reader, far_writer), self._carry(far_reader, writer))
            finally:
                self._ends.discard(far_writer)
                far_writer.transport.abort()
        except OSError:
            pass
        finally:
            self._ends.discard(writer)
            self._carrying.discard(task)
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(CHUNK):
                await self._audible.wait()
                writer.write(chunk)
                await writer.drain()
        writer.transport.abort()


@asynccontextmanager
async def laid(address: str) -> AsyncIterator[Cable]:
    """A cable to `host:port`; it carries."""
    host, _, port = address.rpartition(":")
    cable = Cable(host, int(port))
    await cable.join()
    try:
        yield cable
    finally:
        await cable.close()
