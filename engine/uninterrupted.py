"""Work that a cancellation must not cut in two: it goes on to its end, and the cancellation is delivered then."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`. Cancelled meanwhile, its caller waits for the end all the same, and is cancelled then: for
    what must follow a commit."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):  # raised below, once
                await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # seen: the cancellation goes before
        raise
