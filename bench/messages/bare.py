"""The ceiling: what Ganglion does with a message, in a bare loop, without an engine.

The same server with the same settings, streams, tables, rows and facts. Messages are taken in by batches: one commit
for the inbox and the executions, one for each of the three steps, five facts for each execution published and
acknowledged. Three loops, so that no stage waits for another. What is missing is everything else: routes, limits, plan,
expressions, attempts, states, recovery, a cursor; and a batch goes through its steps as one.

    python -m messages.bare DATA_DIR READY_FILE SYNC_INTERVAL      in bench/
"""

import asyncio
import itertools
import os
import sqlite3
import sys
import time
import zlib
from pathlib import Path

import msgspec
import uvloop
from contestants.ceiling import CREATE, FACT, FINISH, START, STEP, Statement

from agent.ready import Ready, write_ready
from engine.clock import format_time
from engine.ids import new_execution_id
from engine.store.connection import Connection, open_writer
from engine.store.schema import migrate
from mesh.connection import Link
from mesh.intake.pull import Pull
from mesh.jetstream import ensure_consumer
from mesh.nats_client import AnySubjectClient
from mesh.relay.pipeline import Outgoing, Pipeline, Stored
from mesh.server import EmbeddedServer, Settings
from mesh.streams import INTAKE, Limits, ensure_events, ensure_intake

CLAIM = "INSERT INTO inbox VALUES ('chain', ?, ?, ?, ?) ON CONFLICT DO NOTHING"
TRIGGER = b'{"kind":"nats","subject":"%s","headers":{},"id":"%d","time":"2026-01-01T00:00:00.000000Z","data":{"x":%d}}'
CONSUMER = "bare"
ROOM = 512
"""Messages asked for at a time."""


class _Execution(msgspec.Struct):
    id: str
    x: int


class _Bare:
    def __init__(self, db: Connection, link: Link, created: str) -> None:
        self._db = db
        self._link = link
        self._scope = f"stream {INTAKE} {created}"
        self._numbers = itertools.count(1)
        self._executions: asyncio.Queue[list[_Execution]] = asyncio.Queue()
        self._facts: asyncio.Queue[list[Outgoing]] = asyncio.Queue()

    async def take(self) -> None:
        async with Pull.open(self._link, INTAKE, CONSUMER) as pull:
            while True:
                messages = await pull.take(ROOM)
                now, batch, statements = _now(), list[_Execution](), list[Statement]()
                for message in messages:
                    sequence = int(message.reply.split(".")[5])
                    execution = _Execution(new_execution_id(now), msgspec.json.decode(message.data)["x"])
                    trigger = TRIGGER % (message.subject.encode(), sequence, execution.x)
                    statements.append((CLAIM, (self._scope, str(sequence), execution.id, now)))
                    statements.append((CREATE, (execution.id, execution.id, trigger, now, zlib.crc32(trigger))))
                    batch.append(execution)
                await self._commit(statements)
                self._executions.put_nowait(batch)
                await self._link.nc.publish_batch((message.reply, "", {}, b"+ACK") for message in messages)

    async def step(self) -> None:
        while True:
            batch = await self._executions.get()
            while not self._executions.empty():
                batch += self._executions.get_nowait()
            await self._step(batch, "a", first=True)
            await self._step(batch, "b")
            await self._step(batch, "c", last=True)

    async def _step(self, batch: list[_Execution], path: str, *, first: bool = False, last: bool = False) -> None:
        now, statements, facts = _now(), list[Statement](), list[Outgoing]()
        time = format_time(now)

        def fact(execution: _Execution, kind: str, node: str, data: bytes) -> None:
            statements.append((FACT, (now, kind, execution.id, node, data)))
            facts.append(_fact(next(self._numbers), time, execution.id, kind, node, data))

        for execution in batch:
            if first:
                statements.append((START, (now, execution.id)))
                fact(execution, "workflow.started", "", b'{"trigger":"nats"}')
            execution.x += 1
            output = b"%d" % execution.x
            statements.append((STEP, (execution.id, path, output, now, now, zlib.crc32(output))))
            fact(execution, "node.completed", path, b'{"attempt":1,"duration_seconds":0.000123}')
            if last:
                statements.append((FINISH, (output, now, execution.id)))
                end = b'{"status":"completed","duration_seconds":0.0123,"outputs":%d}' % execution.x
                fact(execution, "workflow.completed", "", end)
        await self._commit(statements)
        self._facts.put_nowait(facts)

    async def send(self) -> None:
        async with Pipeline.open(self._link) as pipeline:
            while True:
                facts = await self._facts.get()
                while not self._facts.empty():
                    facts += self._facts.get_nowait()
                answers = await pipeline.send(facts)
                assert all(isinstance(answer, Stored) for answer in answers)

    async def _commit(self, statements: list[Statement]) -> None:
        await self._db.run(lambda db: _run_all(db, statements))


def _run_all(db: sqlite3.Connection, statements: list[Statement]) -> None:
    db.execute("BEGIN IMMEDIATE")
    for statement, values in statements:
        db.execute(statement, values)
    db.execute("COMMIT")


def _fact(seq: int, time: str, execution: str, kind: str, node: str, data: bytes) -> Outgoing:
    event = {
        "specversion": "1.0", "id": f"bare/0123abcd/{seq}", "source": "/ganglion/default/bare",
        "type": f"ganglion.{kind}", "subject": execution, "time": time, "datacontenttype": "application/json",
        "sequence": str(seq), "epoch": "0123abcd", "workflow": "chain", "version": 1, "node": node,
        "data": msgspec.Raw(data),
    }  # fmt: skip
    headers = {"Nats-Msg-Id": f"bare/0123abcd/{seq}"}
    return Outgoing(f"ganglion.event.default.bare.chain.{kind}", msgspec.json.encode(event), headers)


def _now() -> int:
    return time.time_ns() // 1000


async def main(directory: Path, ready_file: Path, sync_interval: str) -> None:
    settings = Settings(name="bare", data_dir=directory, listen="127.0.0.1:0", sync_interval=sync_interval)
    async with EmbeddedServer.open(settings) as server:
        db = await open_writer(directory / "store.db", "full")
        await db.run(lambda db: migrate(db, 0))
        client = AnySubjectClient()
        await client.connect(server.url, user=server.credentials.user, password=server.credentials.password)
        info = await ensure_intake(client, ["bench.>"], Limits())
        await ensure_events(client, Limits())
        consumer = {"durable_name": CONSUMER, "ack_policy": "explicit", "max_ack_pending": 8192}
        await ensure_consumer(client, INTAKE, consumer, new={"deliver_policy": "all"})
        bare = _Bare(db, Link(1, client), info.created)
        write_ready(ready_file, Ready(pid=os.getpid(), agent="bare", nats=server.url))
        await asyncio.gather(bare.take(), bare.step(), bare.send())


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
