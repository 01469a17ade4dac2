"""The watchdog is fed as long as the loop turns and the database commits; real sockets, real files."""

import asyncio
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from agent.service.supervisor import Supervisor
from agent.service.watchdog import FULL, SILENT, Watchdog
from engine.store import Store, StoreFull
from tests.agent.service.conftest import Ear

SECONDS = 0.2


@asynccontextmanager
async def fed(store: Store, ear: Ear, seconds: float = SECONDS) -> AsyncIterator[Watchdog]:
    """A watchdog at its work."""
    watchdog = Watchdog(Supervisor(ear.address, watchdog_seconds=seconds), store)
    watchdog.ready()
    task = asyncio.create_task(watchdog.run())
    try:
        yield watchdog
    finally:
        task.cancel()
        await asyncio.wait([task])


async def heard(ear: Ear, key: str) -> dict[str, str]:
    return await asyncio.to_thread(ear.until, key)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "s.db") as store:
        yield store


async def test_an_idle_agent_gives_signs_of_life_in_time(store, ear) -> None:
    seconds = 0.6
    async with fed(store, ear, seconds) as watchdog:
        started = asyncio.get_running_loop().time()
        for _ in range(4):
            await heard(ear, "WATCHDOG")
        assert asyncio.get_running_loop().time() - started < 4 * seconds
        assert watchdog.supervision.watchdog == seconds
        assert watchdog.supervision.fed is not None


async def test_before_everything_serves_it_asks_for_time(store, ear) -> None:
    task = asyncio.create_task(Watchdog(Supervisor(ear.address, watchdog_seconds=SECONDS), store).run())
    assert await heard(ear, "STATUS") == {"STATUS": "starting"}
    assert await asyncio.to_thread(ear.next) == {"EXTEND_TIMEOUT_USEC": "200000"}
    task.cancel()
    await asyncio.wait([task])


async def test_a_pulse_writes_nothing(store, ear) -> None:
    wal = store.path.with_name("s.db-wal")
    await store.submit(lambda tx: tx.execute("INSERT INTO meta VALUES ('a', 'b')"))
    before = wal.stat(), store.path.stat(), store.writer.commits

    async with fed(store, ear, 0.02):
        for _ in range(10):
            await heard(ear, "WATCHDOG")

    after = wal.stat(), store.path.stat(), store.writer.commits
    assert after[2] >= before[2] + 9
    for one, other in zip(before[:2], after[:2], strict=True):
        assert (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)


async def test_commits_that_are_made_anyway_are_proof_enough(store, ear) -> None:
    async with fed(store, ear, 60) as watchdog:
        await heard(ear, "WATCHDOG")
        commits = store.writer.commits
        await store.submit(lambda tx: None)
        assert await watchdog._pulse(commits, 1) == commits + 1
        assert store.writer.commits == commits + 1


async def test_a_database_that_takes_no_commits_ends_the_signs_of_life(store, ear) -> None:
    async with fed(store, ear):
        await heard(ear, "WATCHDOG")
        with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            message = await heard(ear, "STATUS")
            while message["STATUS"] != SILENT:
                message = await heard(ear, "STATUS")
            ear.forget()
            assert await asyncio.to_thread(ear.is_silent, 2 * SECONDS)
            other.execute("ROLLBACK")
        await heard(ear, "WATCHDOG")


async def test_a_thread_that_hangs_ends_the_signs_of_life(store, ear) -> None:
    hang = threading.Event()
    async with fed(store, ear):
        await heard(ear, "WATCHDOG")
        hanging = asyncio.create_task(store.maintain(lambda db: hang.wait(10)))
        while (await heard(ear, "STATUS"))["STATUS"] != SILENT:
            pass
        ear.forget()
        assert await asyncio.to_thread(ear.is_silent, 2 * SECONDS)
        hang.set()
        await hanging
        await heard(ear, "WATCHDOG")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip("needs to mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


async def test_a_full_disk_is_no_reason_to_be_killed(small_disk, ear) -> None:
    async with Store.open(small_disk / "s.db") as store:
        ballast = small_disk / "ballast"
        ballast.write_bytes(b"\0" * (shutil.disk_usage(small_disk).free - 100 * 1024))
        async with fed(store, ear):
            with pytest.raises(StoreFull):
                await store.submit(lambda tx: tx.execute("INSERT INTO meta VALUES ('a', ?)", ("x" * 500_000,)),
                                   patient=False)  # fmt: skip
            while (await heard(ear, "STATUS"))["STATUS"] != FULL:
                pass
            ear.forget()
            for _ in range(3):
                await heard(ear, "WATCHDOG")
            assert store.writer.full
            ballast.unlink()
            assert await heard(ear, "STATUS") == {"STATUS": "running"}


LOOP = """
import asyncio, sys, threading, time
from pathlib import Path
from agent.service.supervisor import Supervisor
from agent.service.watchdog import Watchdog
from engine.store import Store

async def main():
    async with Store.open(Path(sys.argv[1])) as store:
        watchdog = Watchdog(Supervisor(sys.argv[2], watchdog_seconds=0.2), store)
        watchdog.ready()
        feeding = asyncio.create_task(watchdog.run())
        await asyncio.to_thread(sys.stdin.readline)
        time.sleep(60)  # what no coroutine may do

asyncio.run(main())
"""


def test_a_loop_that_hangs_ends_the_signs_of_life(tmp_path, ear) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LOOP, tmp_path / "s.db", ear.address], stdin=subprocess.PIPE, text=True
    ) as process:
        try:
            ear.until("WATCHDOG", 20)
            assert process.stdin is not None
            process.stdin.write("hang\n")
            process.stdin.flush()
            while not ear.is_silent(2 * SECONDS):
                pass
            assert process.poll() is None
        finally:
            process.kill()
