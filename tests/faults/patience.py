"""Waiting for another process: nothing here could tell, so looking again and again is all there is."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
PAUSE_SECONDS = 0.02


async def until(look: Callable[..., Awaitable[T]], *arguments: object, seconds: float = 20.0) -> T:
    """What `look(*arguments)` sees, once that is something."""
    async with asyncio.timeout(seconds):
        while True:
            seen = await look(*arguments)
            if seen:
                return seen
            await asyncio.sleep(PAUSE_SECONDS)
