"""This agent's consumers of workflows that are gone: removed as soon as there is a link, unless they come back."""

import asyncio
from collections.abc import Iterable

from engine.signal import Signal
from mesh.connection import Connection, Link
from mesh.intake.source import Source
from mesh.jetstream import drop_consumer


class Departed:
    """`run` is its service. Consumers that are shared with others never come here."""

    def __init__(self, connection: Connection, changing: asyncio.Lock) -> None:
        """`changing` is held by whoever changes what is wanted."""
        self._connection = connection
        self._changing = changing
        self._names: set[tuple[str, str]] = set()
        """(stream, consumer)."""
        self._more = Signal()

    def add(self, sources: Iterable[Source], *, but: Iterable[Source] = ()) -> None:
        """These are wanted no more; `but` are wanted, perhaps again, or for other subjects."""
        self._names |= {(one.stream, one.consumer) for one in sources if one.leaves}
        self._names -= {(one.stream, one.consumer) for one in but}
        self._more.set()

    async def run(self) -> None:
        """Remove them until cancelled."""
        while True:
            await self._connection.serve(self._remove, name="removing consumers")
            await self._more.wait()

    async def _remove(self, link: Link) -> None:
        for name in list(self._names):
            async with self._changing:
                if name in self._names:
                    await drop_consumer(link.nc, *name)
                    self._names.discard(name)
