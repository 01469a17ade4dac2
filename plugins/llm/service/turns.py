"""Whose turn it is with one model."""

import asyncio
import math
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager

from plugins.llm.asking import Asker
from plugins.llm.errors import ModelError, Trouble

__all__ = ["Turns"]

TELL_SECONDS = 0.1
"""How often at most all who wait are told where they are: with 250 of them that takes a millisecond."""
SWEEP_SECONDS = 0.2
"""How often those who wait are asked whether they still want to: a cancelled execution only says so."""


class _Waiter:
    """One asker in the queue, and what `ps` says of it."""

    __slots__ = ("_block", "_before", "asker", "granted")

    def __init__(self, asker: Asker) -> None:
        self.asker = asker
        self.granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._block = ExitStack()
        self._before = -1

    def tell(self, model: str, before: int) -> None:
        if before != self._before:
            self._before = before
            self._block.close()
            self._block.enter_context(self.asker.waiting(f"model {model}, {before} before it"))

    def close(self) -> None:
        self._block.close()


class Turns:
    """A queue in front of a model: executions take turns, and within one the first comes first. So one that asks a
    thousand times holds up the others by one generation each."""

    def __init__(self, model: str, *, places: int, queue: int, pause: float = TELL_SECONDS) -> None:
        """`places` generations at the same time; `queue` askers may wait; `pause` seconds pass between two tellings of
        who is where."""
        self._pause = pause
        self._told_at = -math.inf
        self._telling: asyncio.TimerHandle | None = None
        self._model = model
        self.places = places
        self.queue = queue
        self.running = 0
        self.waiting = 0
        self._queues: OrderedDict[str, deque[_Waiter]] = OrderedDict()
        """By execution, in the order of their turns."""
        self._sweeping: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def turn(self, asker: Asker) -> AsyncIterator[None]:
        """Within the block it is the asker's turn. Raises ModelError (busy; stopped)."""
        await self._wait(asker)
        try:
            yield
        finally:
            self.running -= 1
            self._grant()

    async def _wait(self, asker: Asker) -> None:
        if self.running < self.places and not self.waiting:
            self.running += 1
            return
        if self.waiting >= self.queue:
            raise ModelError(
                Trouble.BUSY,
                f"model {self._model}: {self.waiting} already wait for it, which is all that may; give the node more "
                f"retries, or raise `queue` of the model",
            )
        waiter = _Waiter(asker)
        self._queues.setdefault(asker.execution, deque()).append(waiter)
        self.waiting += 1
        waiter.tell(self._model, self.running + self.waiting - 1)  # its place is better where others ask for more
        self._tell()
        self._sweep_later()
        try:
            await waiter.granted
        except asyncio.CancelledError:
            if waiter.granted.cancelled():
                self._leave(waiter)
            elif waiter.granted.exception() is None:  # its turn came together with the cancellation
                self.running -= 1
                self._grant()
            raise
        finally:
            waiter.close()

    def _grant(self) -> None:
        """Who is next has its turn."""
        changed = False
        while self.running < self.places and self._queues:
            execution, waiters = self._queues.popitem(last=False)
            waiter = waiters.popleft()
            if waiters:
                self._queues[execution] = waiters  # at the end: the others come first
            self.waiting -= 1
            self.running += 1
            changed = True
            waiter.close()
            waiter.granted.set_result(None)
        if changed:
            self._tell()

    def _leave(self, waiter: _Waiter) -> None:
        waiters = self._queues[waiter.asker.execution]
        waiters.remove(waiter)
        if not waiters:
            del self._queues[waiter.asker.execution]
        self.waiting -= 1
        self._tell()

    def _tell(self) -> None:
        """Everybody who waits, how many are served before: now, or when the pause is over."""
        loop = asyncio.get_running_loop()
        if loop.time() - self._told_at >= self._pause:
            self._told()
        elif self._telling is None:
            self._telling = loop.call_at(self._told_at + self._pause, self._told)

    def _told(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        self._told_at = asyncio.get_running_loop().time()
        for place, waiter in enumerate(self._order()):
            waiter.tell(self._model, self.running + place)

    def _order(self) -> Iterator[_Waiter]:
        """Those who wait, as they will have their turns."""
        left, depth = list(self._queues.values()), 0
        while left:
            for waiters in left:
                yield waiters[depth]
            depth += 1
            left = [waiters for waiters in left if len(waiters) > depth]

    def sweep(self) -> None:
        """Those who want no more leave the queue."""
        for waiter in [waiter for waiter in self._order() if waiter.asker.stopped]:
            self._leave(waiter)
            waiter.granted.set_exception(
                ModelError(Trouble.STOPPED, f"model {self._model}: cancelled while it waited for its turn")
            )

    def _sweep_later(self) -> None:
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._swept)

    def _swept(self) -> None:
        self._sweeping = None
        self.sweep()
        if self.waiting:
            self._sweep_later()
