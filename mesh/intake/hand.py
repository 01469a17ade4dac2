"""What all lanes of a pump have in hand: fetched, and not taken in yet. These will need slots, and have none so far."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Hand:
    """Counts them, so that lanes which fetch at the same moment do not count on the same slots."""

    def __init__(self) -> None:
        self.count = 0
        self._less = asyncio.Event()

    @contextmanager
    def holding(self, count: int) -> Iterator[None]:
        """Within the block so many more are in hand."""
        self.count += count
        try:
            yield
        finally:
            self.count -= count
            self._less.set()
            self._less = asyncio.Event()

    async def wait_for_less(self) -> None:
        """Until some of them are taken in."""
        if self.count > 0:
            await self._less.wait()
