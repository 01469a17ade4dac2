"""Three days without the hub, and a hundred thousand facts that wait: all of them arrive, in order, within bounds."""

import asyncio
from pathlib import Path
from typing import Any

import psutil
import pytest

from engine.clock import SystemClock
from engine.events import Event, Identity, Kind
from engine.fleet.query import EventQuery, Grain, StatsQuery
from engine.fleet.store import FleetStore
from engine.store import Store
from engine.store.housekeeping import Housekeeper, Retention
from engine.store.outbox import Outbox
from mesh.connection import Connection
from mesh.credentials import Credentials
from mesh.recorder import Recorder
from mesh.relay import Relay
from tests.engine.conftest import NOW, FakeClock
from tests.faults.fleet.cable import laid
from tests.faults.fleet.test_flapping import behind
from tests.faults.patience import until
from tests.hub import FLEET_PASSWORD, FLEET_USER, running_hub

pytestmark = [pytest.mark.nats, pytest.mark.crash]
HOURS, FACTS = 72, 100_000
HOUR = 3_600_000_000
MAY_GROW_BYTES = 100 * 2**20
"""In memory, while everything is drained, with the recorder in the same process."""
MAY_TAKE_BYTES = 80 * 2**20
"""On the disk: 100,000 facts of about 200 bytes, and the WAL."""


class Nobody:
    """A roster without anybody."""

    def __init__(self) -> None:
        self.listeners: list[Any] = []

    async def snapshot(self) -> list[Any]:
        return []


async def test_what_waited_for_three_days_arrives_in_order_and_in_its_own_hours(tmp_path: Path) -> None:
    clock, identity = FakeClock(NOW - NOW % HOUR), Identity("edge", "default", "e1")
    begin = clock.now()
    async with (
        running_hub(tmp_path / "hub") as hub,
        laid(hub.leafs) as cable,
        behind(cable, hub.leaf_url.replace(hub.leafs, f"127.0.0.1:{cable.port}"), tmp_path / "edge") as (own, far, _),
        Store.open(tmp_path / "ganglion.db", clock=clock, synchronous="off") as store,
        FleetStore.open(tmp_path / "fleet.db", synchronous="off") as fleet,
        asyncio.TaskGroup() as tasks,
    ):
        await cable.cut()
        relay = Relay(own, Outbox(store), identity, hub=far)
        house = Housekeeper(store, Retention())
        running = [tasks.create_task(relay.run())]
        for hour in range(HOURS):
            await store.submit(lambda tx, hour=hour: _an_hour(tx, clock.now(), hour))
            clock.advance(3600)
            await house.tidy()
        assert await store.read(_kept) == FACTS, "the hub has none of them yet"
        taken = sum(path.stat().st_size for path in tmp_path.glob("ganglion.db*"))  # noqa: ASYNC240 - a moment
        assert taken < MAY_TAKE_BYTES, f"{taken:,} bytes on the disk"

        this = psutil.Process()
        before = most = this.memory_info().rss
        reading = Connection([hub.url], credentials=Credentials(user=FLEET_USER, password=FLEET_PASSWORD))

        async def report(gap: Any) -> None:
            raise AssertionError(f"given up: {gap}")

        recorder = Recorder(
            reading, fleet, tenant="default", agent="recorder", clock=SystemClock(), roster=Nobody(), report=report
        )
        running += [tasks.create_task(reading.run()), tasks.create_task(recorder.run())]
        await cable.join()

        async def drained() -> bool:
            nonlocal most
            most = max(most, this.memory_info().rss)
            tracks = await fleet.tracks()
            return bool(tracks) and tracks[0].events >= FACTS

        began = asyncio.get_running_loop().time()
        await until(drained, seconds=60)
        took = asyncio.get_running_loop().time() - began
        print(f"{FACTS:,} facts in {took:.1f} s, {(most - before) / 2**20:.0f} MiB more at the most")
        assert most - before < MAY_GROW_BYTES
        [track] = await fleet.tracks()
        assert (track.events, track.first_seq, track.last_seq) == (FACTS, 1, FACTS)
        assert (track.missing, track.lost, track.conflicts) == (0, 0, 0)
        assert recorder.reader.counters["duplicates"] == 0
        first = await fleet.events(EventQuery(after=0, limit=1000))
        assert [one.event.seq for one in first] == list(range(1, 1001)), "in their order"
        windows = await fleet.stats(StatsQuery(grain=Grain.HOUR, since=begin, until=begin + HOURS * HOUR))
        assert [window.start for window in windows] == [begin + hour * HOUR for hour in range(HOURS)]
        assert [window.started for window in windows] == [_in_hour(hour) for hour in range(HOURS)]

        clock.advance(3600)
        while await house.tidy():
            pass
        assert await store.read(_kept) == 0, "what everybody has acknowledged is gone"
        for task in running:
            task.cancel()


def _in_hour(hour: int) -> int:
    return FACTS * (hour + 1) // HOURS - FACTS * hour // HOURS


def _an_hour(tx: Any, now: int, hour: int) -> None:
    for number in range(_in_hour(hour)):
        data = {"trigger": "nats", "params": {}, "number": number}
        tx.fact(Event(kind=Kind.WORKFLOW_STARTED, time=now, workflow="cold-chain", execution=f"x{number}", data=data))


def _kept(db: Any) -> int:
    return int(db.execute("SELECT COUNT(*) FROM facts").fetchone()[0])
