"""Who reads: all questions that came while a visit of the thread was under way go with the next one.

A visit costs about 140 µs, most queries a tenth of that; a start with thousands of interrupted executions asks
thousands of questions at once.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.signal import Signal
from engine.store.connection import RESTORE, Connection, explained
from engine.store.errors import StoreBroken
from engine.store.transaction import T

MAX_QUERIES = 128
"""In one visit: the first answer waits for the last."""

_Query = Callable[[sqlite3.Connection], Any]


class Reader:
    """Answers queries in the order in which they were asked; `run` is its service."""

    def __init__(self, connection: Connection, path: Path, remedy: str = RESTORE) -> None:
        self._connection = connection
        self._remedy = remedy
        self._path = path
        self._asked: list[tuple[_Query, asyncio.Future[Any]]] = []
        self._signal = Signal()
        self._closed = False

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """The result of a query, or what it raised; SQLite's own errors as StoreCorrupt or StoreBroken."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if self._closed:
            raise StoreBroken("the store is closed: nothing can be read any more")
        self._asked.append((query, future))
        self._signal.set()
        return await future

    async def run(self) -> None:
        """Answer until `close`."""
        try:
            while not self._closed:
                batch, self._asked = self._asked[:MAX_QUERIES], self._asked[MAX_QUERIES:]
                if batch:
                    await self._visit(batch)
                else:
                    await self._signal.wait()
        finally:
            self.close()
            for _, future in self._asked:
                future.cancel()

    def close(self) -> None:
        """Answer nothing more."""
        self._closed = True
        self._signal.set()

    async def _visit(self, batch: list[tuple[_Query, asyncio.Future[Any]]]) -> None:
        try:
            answers = await self._connection.run(lambda db: [self._answer(db, query) for query, _ in batch])
        except BaseException:
            for _, future in batch:
                future.cancel()
            raise
        for (_, future), (result, error) in zip(batch, answers, strict=True):
            if future.done():
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

    def _answer(self, db: sqlite3.Connection, query: _Query) -> tuple[Any, Exception | None]:
        try:
            with explained(self._path, "this can't be read; everything else goes on", self._remedy):
                return query(db), None
        except Exception as error:
            return None, error
