"""A recorder that is killed, a full disk, a broken disk: what was reported is there, and once."""

import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest

from engine.fleet.event import Recorded
from engine.fleet.query import EventQuery, StatsQuery
from engine.fleet.store import FleetRetention, FleetStore
from engine.store import StoreCorrupt, StoreFull, StoreNewer
from tests import warm

ROOT = Path(__file__).parents[3]
DRIVER = Path(__file__).with_name("driver.py")
BATCH, FACTS = 20, 28
"""Of the driver: numbers of a batch, and facts under them."""
UNTIL = 2_000_000_000_000_000


def live(path: Path, first: int, *, crash: str = "", batches: int = 0) -> list[tuple[int, int, int]]:
    """What a recorder reported before it was killed: at a point, or after so many reports."""
    env = {**os.environ, "GANGLION_CRASH_AT": crash}
    command = [DRIVER, path, first]
    told = []
    with warm.Warm(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            told.append(tuple(map(int, line.split())))
            if batches and len(told) == batches:
                process.kill()
        assert process.wait() == -9
    return told


async def check(path: Path, last: int) -> int:
    """Everything up to `last` is there, once, and the figures agree. Returns how far the file goes."""
    async with FleetStore.open(path) as store:
        kept = [(n.event.agent, n.event.seq) for n in await store.events(EventQuery(limit=10**6))]
        newest = max((seq for _, seq in kept), default=0)
        assert newest >= last - 1
        assert sorted(kept) == [(a, seq) for a in ("a1", "a2") for seq in range(1, newest + 1) if seq % 3]
        windows = await store.stats(StatsQuery(since=0, until=UNTIL, by_agent=False, by_window=False))
        assert sum(window.completed for window in windows) == len(kept)
        for track in await store.tracks():
            assert (track.last_seq, track.events) == (newest, len(kept) // 2)
            assert track.missing == newest - len(kept) // 2
        assert await store.count(EventQuery()) == len(kept)
    return newest


@pytest.mark.parametrize("crash", ["before-commit:7", "after-commit:7", "retention-before-commit:3"])
async def test_what_was_reported_is_there_after_a_kill_at_each_point(tmp_path, crash):
    path = tmp_path / "fleet.db"
    told = live(path, 1, crash=crash)
    assert told
    await check(path, told[-1][0])

    again = live(path, 1, batches=len(told) + 3)  # as a stream does that got no acknowledgement

    known = sum(new for _, new, _ in told)
    assert sum(duplicates for _, _, duplicates in again) - known in (0, FACTS)
    await check(path, again[-1][0])


async def test_what_was_reported_is_there_after_kills_at_any_time(tmp_path):
    path = tmp_path / "fleet.db"
    last = 0
    for batches in (1, 5, 2, 9):
        told = live(path, last + 1, batches=batches)
        last = told[-1][0]
        newest = await check(path, last)
        assert newest >= last - 1
        last -= last % BATCH
    assert last >= 17 * BATCH


async def test_a_full_disk_keeps_nothing_of_a_batch_and_goes_on_when_there_is_room(small_disk, fact, clock):
    async with FleetStore.open(small_disk / "fleet.db", clock=clock) as fleet:
        await fleet.record([fact(1)])
        ballast = small_disk / "ballast"
        ballast.write_bytes(b"\0" * (shutil.disk_usage(small_disk).free - 100 * 1024))
        batch = [fact(seq, data={"text": "x" * 1000}) for seq in range(2, 502)]
        with pytest.raises(StoreFull):
            await fleet.record(batch)
        assert await fleet.count(EventQuery()) == 1
        assert [track.last_seq for track in await fleet.tracks()] == [1]
        assert not await fleet.tidy(FleetRetention())

        ballast.unlink()
        await fleet.tidy(FleetRetention(age=None))  # finds that there is room
        while True:
            try:
                assert await fleet.record(batch) == Recorded(new=500)
                break
            except StoreFull:
                await fleet.newest()
        assert await fleet.gaps() == []


async def test_a_file_of_a_newer_version_is_not_touched(tmp_path):
    path = tmp_path / "fleet.db"
    async with FleetStore.open(path):
        pass
    with sqlite3.connect(path) as db:
        db.execute("INSERT INTO migrations VALUES ('far-future', 0)")
    db.close()
    with pytest.raises(StoreNewer, match="far-future"):
        async with FleetStore.open(path):
            pass


async def test_a_damaged_file_says_what_to_do(tmp_path, fact):
    path = tmp_path / "fleet.db"
    path.write_bytes(b"no database at all" * 1000)
    with pytest.raises(
        StoreCorrupt, match=r"fleet\.db is damaged .*: nothing was run\. Stop the agent and move it away"
    ):
        async with FleetStore.open(path):
            pass
