"""A wake-up for loops: setting it is a hint that there may be work, looking for the work is the truth."""

import asyncio


class Signal:
    """An event that clears itself when a waiter takes it, before that waiter looks for its work."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        self._event.set()

    async def wait(self, timeout: float | None = None) -> bool:
        """True when it was set, False after `timeout` seconds."""
        try:
            if timeout is None:
                await self._event.wait()
            else:
                async with asyncio.timeout(timeout):
                    await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True
