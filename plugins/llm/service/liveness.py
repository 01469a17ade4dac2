"""A generation under watch: given up when it shows no sign of life, and let go when it does not even end then."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from engine.clock import Clock
from plugins.llm.asking import Asker
from plugins.llm.conversation import Reply
from plugins.llm.errors import ModelError, Trouble

__all__ = ["PATIENCE_SECONDS", "Hearing", "attended"]

LOOK_SECONDS = 0.25
"""How often a generation is looked at."""
PATIENCE_SECONDS = 5.0
"""How long one that was given up may take to end: a batch of a prompt on a slow machine."""


class Hearing:
    """Between a generation and its asker: remembers when something was heard last, and lets nothing through after the
    end. A provider's `Listener`."""

    def __init__(self, asker: Asker, clock: Clock) -> None:
        self._asker = asker
        self._clock = clock
        self._is_over = False
        self.last = clock.monotonic()
        self.has_text = False

    def heard(self, text: str) -> None:
        if self._is_over:
            return
        self.last = self._clock.monotonic()
        self.has_text = self.has_text or text != ""
        self._asker.heard(text)

    @property
    def stopped(self) -> bool:
        return self._is_over or self._asker.stopped

    @property
    def silence(self) -> float:
        """Seconds since the last sign of life."""
        return self._clock.monotonic() - self.last

    def end(self) -> None:
        """Nobody listens any more."""
        self._is_over = True


async def attended(
    generation: Coroutine[Any, Any, Reply],
    hearing: Hearing,
    *,
    model: str,
    stall: float,
    stuck: Callable[[], None],
    patience: float | None = None,
    look: float = LOOK_SECONDS,
) -> Reply:
    """The reply, unless nothing is heard for `stall` seconds (0: however long it takes).

    Given up or cancelled, the generation is cancelled and its end awaited for `patience` seconds (None:
    PATIENCE_SECONDS). If it goes on all the same it is cancelled once more, which lets go of it, and `stuck` is told.
    Raises ModelError (stalled, and what the generation raises).
    """
    task = asyncio.create_task(generation, name=f"generation of {model}")
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=look)
            if not task.done() and 0 < stall <= hearing.silence:
                raise ModelError(
                    Trouble.STALLED,
                    f"model {model}: nothing was heard of it for {stall:g} s; if it needs longer, raise `stall` of the "
                    f"model or of the node",
                )
        if task.cancelled():
            raise ModelError(Trouble.FAILED, f"model {model}: its generation was cut off; try again")
        return task.result()
    finally:
        hearing.end()
        if not task.done():
            task.cancel()
            await _ended(task, PATIENCE_SECONDS if patience is None else patience, stuck)


async def _ended(task: asyncio.Task[Reply], patience: float, stuck: Callable[[], None]) -> None:
    """Wait for the end of a cancelled task. Cancelled itself, it waits no less."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    cancelled = False
    while not task.done() and (left := deadline - loop.time()) > 0:
        try:
            await asyncio.wait({task}, timeout=left)
        except asyncio.CancelledError:
            cancelled = True
    if not task.done():
        task.cancel()
        stuck()
    elif not task.cancelled():
        task.exception()  # seen: why it was given up goes before
    if cancelled:
        raise asyncio.CancelledError
