"""kill -9 at each named crash point of the mesh, n rising until a run ends without hitting it."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mesh.server import EmbeddedServer, Settings
from tests import warm

pytestmark = [pytest.mark.nats, pytest.mark.crash]

COMMON = """
import asyncio, sqlite3, sys
from pathlib import Path
from engine.events import Event, Identity, Kind
from engine.store import Store
from engine.store.outbox import Outbox, Publication, publish
from engine.triggers.message import Fate, Receipt
from mesh.connection import Connection
from mesh.intake import Pump
from mesh.relay import Relay
from mesh.server import EmbeddedServer, Settings

DATA = Path(sys.argv[1])
SETTINGS = Settings(name="edge", data_dir=DATA, listen="127.0.0.1:0")

async def connected(work):
    async with EmbeddedServer.open(SETTINGS) as server, asyncio.TaskGroup() as tasks:
        connection = Connection([server.url], credentials=server.credentials)
        running = [tasks.create_task(connection.run())]
        link = await connection.link()
        await work(connection, link, tasks, running)
        for task in running:
            task.cancel()
"""
RELAY = f"""{COMMON}
async def relay(connection, link, tasks, running):
    async with Store.open(DATA / "store.db") as store:
        if await link.js.account_info() and not (await link.js.streams_info()):
            await link.js.add_stream(name="LOG", subjects=["log"])
        outbox = Outbox(store)
        def unit(tx):
            for number in range(20):
                tx.fact(Event(kind=Kind.NODE_COMPLETED, time=1, workflow="w"))
                publish(tx, Publication(execution="x", path="n", subject="log", headers={{}}, body=b"x"), 1)
        relay = Relay(connection, outbox, Identity("edge", "default", store.epoch))
        running.append(tasks.create_task(relay.run()))
        for _ in range(3):
            await store.submit(unit)
            assert await relay.drain(20)
        running[-1].cancel()
        await asyncio.wait(running[-1:])

asyncio.run(connected(relay))
"""
INTAKE = f"""{COMMON}
class Inbox:
    def __init__(self):
        self.db = sqlite3.connect(DATA / "inbox.db", isolation_level=None)
        columns = "stream, created, sequence, body, PRIMARY KEY (created, sequence)"
        self.db.execute(f"CREATE TABLE IF NOT EXISTS inbox ({{columns}})")

    async def accept(self, messages):
        self.db.execute("BEGIN")
        rows = [(m.stream, m.stream_created, m.sequence, m.body) for m in messages]
        self.db.executemany("INSERT OR IGNORE INTO inbox VALUES (?, ?, ?, ?)", rows)
        self.db.execute("COMMIT")
        return [Receipt(Fate.ACCEPTED) for _ in messages]

    def free_slots(self):
        return 7

    async def wait_for_slots(self):
        await asyncio.sleep(0)

async def intake(connection, link, tasks, running):
    inbox = Inbox()
    pump = Pump(connection, inbox, inbox, agent="edge")
    await pump.set_subjects(intake=["a"])
    if not (await link.js.stream_info("GANGLION_INTAKE")).state.last_seq:
        for number in range(30):
            await link.js.publish("a", b"%d" % number)
    running.append(tasks.create_task(pump.run()))
    while (await link.js.stream_info("GANGLION_INTAKE")).state.messages:
        await asyncio.sleep(0.01)

import mesh.intake.consumer
mesh.intake.consumer.ACK_WAIT_SECONDS = 1
asyncio.run(connected(intake))
"""


async def run_until_it_ends(program: str, data_dir: Path, point: str) -> int:
    """How often it was killed."""
    for n in range(1, 60):
        environ = {**os.environ, "GANGLION_CRASH_AT": f"{point}:{n}"}
        done = await asyncio.to_thread(warm.run, ["-c", program, data_dir], env=environ)
        if done.returncode == 0:
            return n - 1
        assert done.returncode == -signal.SIGKILL, done.stderr
    pytest.fail("it never ended")


@pytest.mark.parametrize("point", ["relay-after-publish-before-mark", "publication-after-publish-before-mark"])
async def test_the_relay_loses_nothing_at_its_crash_points(
    point: str, tmp_path: Path, settings: Callable[..., Settings], connected: Any
) -> None:
    killed = await run_until_it_ends(RELAY, tmp_path, point)
    assert killed >= 2
    async with EmbeddedServer.open(settings(tmp_path)) as server, connected(server) as connection:
        link = await connection.link()
        facts: dict[str, int] = {}
        events = (await link.js.stream_info("GANGLION_EVENTS")).state
        for seq in range(1, events.last_seq + 1):
            message = await link.js.get_msg("GANGLION_EVENTS", seq)
            event = msgspec.json.decode(message.data or b"")
            facts.setdefault(event["id"], int(event["sequence"]))
        assert list(facts.values()) == list(range(1, len(facts) + 1))
        log = (await link.js.stream_info("LOG")).state
        ids = [(await link.js.get_msg("LOG", seq)).headers["Nats-Msg-Id"] for seq in range(1, log.last_seq + 1)]
        first = list(dict.fromkeys(int(id.rpartition("/")[2]) for id in ids))
        assert first == list(range(1, len(facts) + 1))


@pytest.mark.parametrize("point", ["intake-after-fetch", "intake-after-commit-before-ack", "intake-after-ack"])
async def test_the_intake_loses_nothing_at_its_crash_points(point: str, tmp_path: Path) -> None:
    import sqlite3

    killed = await run_until_it_ends(INTAKE, tmp_path, point)
    assert killed >= 2
    with sqlite3.connect(tmp_path / "inbox.db") as db:
        bodies = sorted(int(body) for (body,) in db.execute("SELECT body FROM inbox"))
    db.close()
    assert bodies == list(range(30))
