"""The thread that owns one loaded model."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import TypeVar

__all__ = ["Worker"]

T = TypeVar("T")
U = TypeVar("U")


class Worker:
    """One thread for one model: native code is called nowhere else, and one job at a time.

    The provider of the model owns it: it starts it, and joins it in `aclose`. Jobs release the GIL while they are in
    native code. It is a daemon for the cases in which it can't be joined: native code that never comes back, or an
    owner who forgot to close it, must not keep the process from its end.
    """

    def __init__(self, name: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=f"model {name}", daemon=True)
        self._is_stuck = False
        self._thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            del job  # it holds what it has made

    async def do(self, work: Callable[[], T], abandon: Callable[[], None] = lambda: None) -> T:
        """What `work` gives or raises, on the thread. Cancelled, it calls `abandon`, which makes `work` end soon, and
        still waits for that: nothing is left running. Cancelled once more, it lets go of a thread that hangs."""
        future: asyncio.Future[T] = self._loop.create_future()

        def job() -> None:
            try:
                result = work()
            except BaseException as error:  # the waiting task raises it
                self._tell(_fail, future, error)
            else:
                self._tell(_answer, future, result)

        self._jobs.put(job)
        try:
            return await _settled(future, abandon)
        finally:
            self._is_stuck = not future.done()

    async def aclose(self) -> None:
        """End the thread after the jobs that it has; one that hangs is left alone."""
        if self._is_stuck:
            return
        ended: asyncio.Future[None] = self._loop.create_future()
        self._jobs.put(lambda: self._tell(_answer, ended, None))
        self._jobs.put(None)
        await _settled(ended, lambda: None)
        self._thread.join()  # it has nothing left to do

    def _tell(self, told: "Callable[[asyncio.Future[T], U], None]", future: "asyncio.Future[T]", what: U) -> None:
        """From the thread to the loop, which is gone where nobody waited for the end."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(told, future, what)


async def _settled(future: "asyncio.Future[T]", abandon: Callable[[], None]) -> T:
    """The future's result; a cancellation is raised after the future is done, its result is dropped, and a second one
    at once."""
    cancelled: asyncio.CancelledError | None = None
    while True:
        try:
            await asyncio.wait([future])
            break
        except asyncio.CancelledError as error:
            if cancelled is not None:
                raise
            cancelled = error
            abandon()
    if cancelled is not None:
        future.exception()  # looked at: nobody else will
        raise cancelled
    return future.result()


def _answer(future: "asyncio.Future[T]", result: T) -> None:
    future.set_result(result)


def _fail(future: "asyncio.Future[T]", error: BaseException) -> None:
    future.set_exception(error)
    future.exception()  # looked at: where the thread was let go, nobody else will
