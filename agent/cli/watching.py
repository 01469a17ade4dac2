"""An execution while it goes on: looked at again whenever something may have happened to it."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from engine.control.views import Show, Shown
from engine.states import FINISHED

if TYPE_CHECKING:
    from mesh.client import ServiceClient

PAUSE_SECONDS = 0.15
"""Between two looks at least."""
LOOK_SECONDS = 2.0
"""How long a silence is believed."""


async def watched(client: "ServiceClient", request: Show) -> AsyncIterator[Shown]:
    """The execution now, and each time it may have changed; the last one is its end.

    Events only say when it is worth looking: what gets lost on the way is seen a little later, and so is everything
    once the connection broke.
    """
    shown = await client.call("show", request, Shown, is_repeatable=True)
    id = shown.info.execution
    stirred = asyncio.Event()
    listener = asyncio.ensure_future(_listen(client, id, stirred))
    try:
        while True:
            stirred.clear()
            began = time.monotonic()
            shown = await client.call("show", request, Shown, is_repeatable=True)
            pause = max(PAUSE_SECONDS, 3 * (time.monotonic() - began))  # of many nodes a look is work for the agent
            yield shown
            if shown.info.status in FINISHED:
                return
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await stirred.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(pause)
    finally:
        listener.cancel()


async def _listen(client: "ServiceClient", id: str, stirred: asyncio.Event) -> None:
    place = f"{client.tenant}.{client.agent}"
    async for _, event in client.messages(f"ganglion.event.{place}.>", f"ganglion.live.{place}.>"):
        if isinstance(event, dict) and event.get("subject") == id:
            stirred.set()
