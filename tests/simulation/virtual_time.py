"""An event loop whose time is made up: when nothing can run, it jumps to the next timer.

A week of sleeping costs nothing, and two runs with the same dice take the same steps: no thread, no socket and no real
clock has a say in what comes next.
"""

import asyncio
import selectors
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


class Stuck(AssertionError):
    """Nothing can run, and no timer will ever ring: somebody waits for what never comes."""


class _Idle(selectors.SelectSelector):
    """Asked to wait, it moves the time instead. Real sockets are looked at only when a thread may have spoken."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        self.steps = 0
        self.waits = 0
        self.on_step: Callable[[int], None] = lambda _: None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.steps += 1
        self.on_step(self.steps)
        if timeout is None:
            raise Stuck("nothing can run, and no timer will ring")
        if timeout > 0:
            self.waits += 1
            self.seconds += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """`begin` is the time at which it starts: one life of a process begins where the one before ended."""

    def __init__(self, *, begin: float = 0.0) -> None:
        self._idle = _Idle()
        self._idle.seconds = begin
        super().__init__(self._idle)

    def time(self) -> float:
        return self._idle.seconds

    @property
    def steps(self) -> int:
        """How often it went round."""
        return self._idle.steps

    @property
    def waits(self) -> int:
        """How often it had nothing to do: on a real machine each is a wakeup."""
        return self._idle.waits

    def on_step(self, told: Callable[[int], None]) -> None:
        """Called at each round with its number; what it raises leaves `run_until_complete`."""
        self._idle.on_step = told

    def run_in_executor(self, executor: object, func: Callable[..., T], *args: object) -> "asyncio.Future[T]":
        """On the loop: a thread would be done at a moment that no dice decided."""
        future: asyncio.Future[T] = self.create_future()

        def work() -> None:
            if future.cancelled():
                return
            try:
                future.set_result(func(*args))
            except Exception as error:
                future.set_exception(error)

        self.call_soon(work)
        return future

    def bury(self) -> None:
        """End what is left of a process that died: its tasks see a cancellation, and nothing that they do counts."""
        self._idle.on_step = lambda _: None
        self.set_exception_handler(lambda _, __: None)

        async def end() -> None:
            while tasks := asyncio.all_tasks(self) - {asyncio.current_task()}:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks, timeout=3600)
            await self.shutdown_asyncgens()

        ending = self.create_task(end())
        while not ending.done():
            with suppress(SystemExit, RuntimeError):  # what killed it goes up through its groups, and stops us
                self.run_until_complete(ending)
        self.close()
