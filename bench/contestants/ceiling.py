"""The ceiling: what Ganglion writes per execution, by a bare loop with group commit and no engine.

The same tables, rows, facts and settings of SQLite, and the same waits: an execution is committed before its first
step, a step before the next. What is missing is everything else: plan, expressions, attempts, states, checks.
"""

import asyncio
import sqlite3
import time
import zlib
from pathlib import Path

import uvloop

from contestants import STEPS, steps_per_second
from engine.ids import new_execution_id
from engine.store.connection import Connection, open_writer
from engine.store.schema import migrate

CREATE = (
    "INSERT INTO executions (id, workflow, version, status, root, cause, hops, trigger, params, created_at, crc) "
    "VALUES (?, 'chain', 1, 'queued', ?, '', 0, ?, '{}', ?, ?)"
)
START = (
    "UPDATE executions SET status = 'running', due = NULL, finished_at = NULL, started_at = COALESCE(started_at, ?) "
    "WHERE id = ?"
)
STEP = (
    "INSERT OR REPLACE INTO nodes "
    "(execution, path, status, attempt, port, output, error, started_at, finished_at, due, crc) "
    "VALUES (?, ?, 'completed', 1, NULL, ?, NULL, ?, ?, NULL, ?)"
)
FINISH = "UPDATE executions SET status = 'completed', outputs = ?, finished_at = ?, due = NULL WHERE id = ?"
FACT = "INSERT INTO facts (time, kind, workflow, version, execution, node, data) VALUES (?, ?, 'chain', 1, ?, ?, ?)"

Statement = tuple[str, tuple[object, ...]]


def chain(executions: int, at_once: int, directory: Path) -> float:
    return uvloop.run(_chain(executions, at_once, directory))


class _Writer:
    """Group commit, as bare as it gets."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._pending: list[tuple[list[Statement], asyncio.Future[None]]] = []
        self._work = asyncio.Event()

    def submit(self, statements: list[Statement]) -> asyncio.Future[None]:
        future = asyncio.get_running_loop().create_future()
        self._pending.append((statements, future))
        self._work.set()
        return future

    async def run(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            batch, self._pending = self._pending, []

            def commit(
                db: sqlite3.Connection, batch: list[tuple[list[Statement], asyncio.Future[None]]] = batch
            ) -> None:
                db.execute("BEGIN IMMEDIATE")
                for statements, _ in batch:
                    for statement, values in statements:
                        db.execute(statement, values)
                db.execute("COMMIT")

            await self._connection.run(commit)
            for _, future in batch:
                future.set_result(None)


async def _chain(executions: int, at_once: int, directory: Path) -> float:
    connection = await open_writer(directory / "store.db", "full")
    await connection.run(lambda db: migrate(db, 0))
    writer = _Writer(connection)
    writing = asyncio.create_task(writer.run())

    async def execute(x: int) -> int:
        return await _execute(writer, x)

    rate = await steps_per_second(execute, executions, at_once)
    writing.cancel()
    await connection.close()
    return rate


async def _execute(writer: _Writer, x: int) -> int:
    """One chain: eleven commits to wait for."""
    now = _now()
    id = new_execution_id(now)
    trigger = (
        b'{"kind":"bench","subject":"","headers":{},"id":"","time":"2026-01-01T00:00:00.000000Z","data":{"x":%d}}' % x
    )
    await writer.submit([(CREATE, (id, id, trigger, now, zlib.crc32(trigger)))])
    unit: list[Statement] = [
        (START, (now, id)),
        (FACT, (now, "workflow.started", id, "", b'{"trigger":"bench"}')),
    ]
    for index in range(STEPS):
        x += 1
        now = _now()
        path, output = f"s{index}", b"%d" % x
        unit.append((STEP, (id, path, output, now, now, zlib.crc32(output))))
        unit.append((FACT, (now, "node.completed", id, path, b'{"attempt":1,"duration_seconds":0.000123}')))
        if index == STEPS - 1:
            unit.append((FINISH, (output, now, id)))
            end = b'{"status":"completed","duration_seconds":0.0123,"outputs":%d}' % x
            unit.append((FACT, (now, "workflow.completed", id, "", end)))
        await writer.submit(unit)
        unit = []
    return x


def _now() -> int:
    return time.time_ns() // 1000
