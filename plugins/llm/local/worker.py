"""The thread that owns one loaded model."""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar

__all__ = ["Worker"]

T = TypeVar("T")


class Worker:
    """One thread for one model: native code is called nowhere else, and one job at a time.

    The provider of the model owns it: it starts it, and joins it in `aclose`. It is no daemon: a process does not end
    while native code runs in it. Jobs release the GIL while they are in native code.
    """

    def __init__(self, name: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=f"model {name}", daemon=False)
        self._thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            del job  # it holds what it has made; see test_an_unloaded_model_gives_its_memory_back

    async def do(self, work: Callable[[], T], abandon: Callable[[], None] = lambda: None) -> T:
        """What `work` gives or raises, on the thread. Cancelled, it calls `abandon`, which makes `work` end soon, and
        still waits for that: nothing is left running."""
        future: asyncio.Future[T] = self._loop.create_future()

        def job() -> None:
            try:
                result = work()
            except BaseException as error:  # the waiting task raises it
                self._loop.call_soon_threadsafe(_fail, future, error)
            else:
                self._loop.call_soon_threadsafe(_answer, future, result)

        self._jobs.put(job)
        return await _settled(future, abandon)

    async def aclose(self) -> None:
        """End the thread after the jobs that it has."""
        ended: asyncio.Future[None] = self._loop.create_future()
        self._jobs.put(lambda: _tell(self._loop, ended))
        self._jobs.put(None)
        await _settled(ended, lambda: None)
        self._thread.join()  # it has nothing left to do


def _tell(loop: asyncio.AbstractEventLoop, ended: "asyncio.Future[None]") -> None:
    loop.call_soon_threadsafe(_answer, ended, None)


async def _settled(future: "asyncio.Future[T]", abandon: Callable[[], None]) -> T:
    """The future's result; a cancellation is raised after the future is done, its result is dropped."""
    cancelled: asyncio.CancelledError | None = None
    while True:
        try:
            await asyncio.wait([future])
            break
        except asyncio.CancelledError as error:
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
