"""kill -9 at each crash point of the recorder, n rising until a run ends without hitting it."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from mesh.streams import Limits, ensure_events
from tests import warm

pytestmark = [pytest.mark.nats, pytest.mark.crash]

FACTS = 300
PROGRAM = """
import asyncio, sys
from pathlib import Path
from engine.clock import SystemClock
from engine.fleet.store import FleetStore
from mesh.connection import Connection
from mesh.credentials import Credentials
from mesh.recorder import Recorder, reader

url, user, password, path, facts = sys.argv[1:]
reader.ROOM, reader.TOP_UP = 40, 10

class Nobody:
    listeners = []

    async def snapshot(self):
        return []

async def report(gap):
    raise AssertionError(gap)

async def main():
    connection = Connection([url], credentials=Credentials(user=user, password=password))
    async with FleetStore.open(Path(path)) as store, asyncio.TaskGroup() as tasks:
        recorder = Recorder(
            connection, store, tenant="default", agent="w", clock=SystemClock(), roster=Nobody(), report=report
        )
        running = [tasks.create_task(connection.run()), tasks.create_task(recorder.run())]
        link = await connection.link()
        async with asyncio.timeout(30):
            while True:
                known = await reader._consumer(link.nc, recorder.reader.consumer)
                if known is not None and known.ack_floor.stream_seq == int(facts):
                    break
        for task in running:
            task.cancel()

asyncio.run(main())
"""


@pytest.mark.parametrize("point", ["recorder-before-commit", "recorder-after-commit-before-ack"])
async def test_the_recorder_loses_nothing_at_its_crash_points(point, tmp_path: Path, server, link, fleet, wire):
    await ensure_events(link.nc, Limits())
    for seq in range(1, FACTS // 2 + 1):
        for agent in ("pi-1", "pi-2"):
            await link.js.publish(*wire(agent, seq))
    access = server.credentials
    for n in range(1, 60):
        arguments = ["-c", PROGRAM, server.url, access.user, access.password, tmp_path / "crash.db", FACTS]
        environ = {**os.environ, "GANGLION_CRASH_AT": f"{point}:{n}"}
        done = await asyncio.to_thread(warm.run, arguments, env=environ)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
    assert n > 2, "the point was hardly passed: this says nothing"

    async with type(fleet.store).open(tmp_path / "crash.db") as store:
        other = type(fleet)(store)
        for agent in ("pi-1", "pi-2"):
            assert sorted(await other.numbers(agent)) == list(range(1, FACTS // 2 + 1))
        assert await store.gaps() == []
        assert sum(track.events for track in await store.tracks()) == FACTS
