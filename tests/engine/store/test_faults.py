"""A full disk, a broken disk, a damaged file: real ones."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import suppress
from pathlib import Path

import pytest

from engine.contract import Done
from engine.events import Event, Kind
from engine.states import ExecutionState
from engine.store import Store, StoreBroken, StoreCorrupt, StoreFull, outbox, writer
from engine.store.housekeeping import Housekeeper, Retention

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def impatient_room_check(monkeypatch):
    monkeypatch.setattr(writer, "ROOM_CHECK_SECONDS", 0.02)


def put(key: str, size: int = 0):
    def unit(tx):
        tx.execute("INSERT INTO meta VALUES (?, zeroblob(?))", (key, size))
        tx.fact(Event(kind=Kind.AGENT_STARTED, time=1, data={"key": key}))
        return key

    return unit


async def seqs(store) -> list[int]:
    return [fact.seq for fact in await store.read(lambda db: outbox.history(db, after=0, limit=1000))]


# --- full -----------------------------------------------------------------------------------------------------------


async def test_on_a_full_disk_the_impatient_are_refused_and_the_patient_go_on_when_there_is_room(small_disk):
    async with Store.open(small_disk / "s.db") as store:
        await store.submit(put("before"))
        ballast = small_disk / "ballast"
        ballast.write_bytes(b"\0" * (shutil.disk_usage(small_disk).free - 200 * 1024))
        patient = store.submit(put("patient", 500_000))
        impatient = store.submit(put("impatient", 10), patient=False)

        with pytest.raises(StoreFull, match="free some space, work goes on by itself"):
            await impatient
        assert store.writer.full
        with pytest.raises(StoreFull):
            await store.submit(put("also refused"), patient=False)
        await asyncio.sleep(0)
        assert not patient.done()
        assert await seqs(store) == [1]  # reading goes on

        ballast.unlink()

        assert await patient == "patient"
        assert await store.submit(put("after"), patient=False) == "after"
        assert not store.writer.full
        assert await seqs(store) == [1, 2, 3]
        names = await store.read(lambda db: db.execute("SELECT key FROM meta").fetchall())
        assert {"before", "patient", "after"} <= {name for (name,) in names}
        assert not {"impatient", "also refused"} & {name for (name,) in names}


async def test_full_disk_is_noticed_to_have_room_again_without_any_work(small_disk):
    async with Store.open(small_disk / "s.db") as store:
        ballast = small_disk / "ballast"
        fill(ballast)
        with pytest.raises(StoreFull):
            await store.submit(put("impatient", 100_000), patient=False)
        assert store.writer.full

        ballast.unlink()
        commits = store.writer.commits
        while store.writer.full:
            await store.maintain(lambda db: None)

        assert store.writer.commits > commits


def fill(path: Path) -> None:
    """Take all the room that is left."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT)
    with suppress(OSError):
        while True:
            os.write(file, b"\0" * 4096)
    os.close(file)


async def test_closing_on_a_full_disk_ends_and_refuses_what_is_parked(small_disk):
    async with Store.open(small_disk / "s.db") as store:
        fill(small_disk / "ballast")
        parked = store.submit(put("parked", 100_000))
        with pytest.raises(StoreFull):
            await store.submit(put("impatient", 100_000), patient=False)
    with pytest.raises(StoreFull):
        await parked


async def test_store_opens_when_there_is_room_and_says_so_when_there_is_none(small_disk):
    fill(small_disk / "ballast")
    with pytest.raises(StoreFull):
        async with Store.open(small_disk / "s.db"):
            pass
    (small_disk / "ballast").unlink()
    async with Store.open(small_disk / "s.db") as store:
        await store.submit(put("fine"))


async def test_shared_memory_that_can_not_grow_counts_as_a_full_disk(small_disk):
    """The index of the WAL is a file too, which a start makes first of all."""
    async with Store.open(small_disk / "s.db") as store:
        await store.submit(put("first"))
    fill(small_disk / "ballast")

    with pytest.raises(StoreFull):
        async with Store.open(small_disk / "s.db"):
            pass

    (small_disk / "ballast").unlink()
    async with Store.open(small_disk / "s.db") as store:
        assert await seqs(store) == [1]


async def test_housekeeping_on_a_full_disk_is_patient(small_disk):
    async with Store.open(small_disk / "s.db") as store:
        await store.submit(put("x", 300_000))
        await store.submit(lambda tx: tx.execute("DELETE FROM meta WHERE key = 'x'"))
        fill(small_disk / "ballast")

        assert await Housekeeper(store, Retention()).tidy() in (True, False)


async def test_executions_wait_out_a_full_disk_and_finish_by_themselves(open_rig, small_disk, decoded):
    async with open_rig(small_disk) as rig:
        gate = asyncio.Event()

        async def act(ctx, data):
            fill(ballast)
            gate.set()
            return Done("x" * 100_000)

        ballast = small_disk / "ballast"
        rig.acts["a"] = act
        await rig.deploy("name: w\nnodes:\n  a: {type: act}\n  b: {type: act, needs: a}\n")
        execution = await rig.start()
        await gate.wait()
        while not rig.store.writer.full:
            await rig.store.maintain(lambda db: None)
        assert rig.executor.free_slots() == 0
        assert (await rig.ask("engine"))["state"] == "disk-full"
        with pytest.raises(StoreFull):
            await rig.start()
        assert rig.called("b") == 0

        ballast.unlink()
        row = await rig.end(execution)

        assert row.status is ExecutionState.COMPLETED
        assert rig.ran() == ["a", "b"]


async def test_page_limit_is_a_full_disk_too(store):
    pages = await store.maintain(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
    await store.maintain(lambda db: db.execute(f"PRAGMA max_page_count = {pages + 5}").fetchall())
    with pytest.raises(StoreFull):
        await store.submit(put("large", 100_000), patient=False)
    await store.maintain(lambda db: db.execute("PRAGMA max_page_count = 1000000").fetchall())

    await store.submit(put("large", 100_000))


# --- broken ---------------------------------------------------------------------------------------------------------


def child(code: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_io_error_stops_the_store_loudly_and_the_next_start_finds_all_that_was_reported(tmp_path):
    """A file size limit makes write() fail with EFBIG, which SQLite reports as an I/O error."""
    done = child(
        """
        import asyncio, resource, signal, sys
        from pathlib import Path
        from engine.store import Store, StoreBroken

        async def main(path):
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            async with Store.open(path) as store:
                def put(i):
                    return lambda tx: tx.execute("INSERT INTO meta VALUES (?, zeroblob(20000))", (f"k{i}",))
                for i in range(5):
                    await store.submit(put(i))
                print("reported", 5, flush=True)
                resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
                futures = [store.submit(put(i)) for i in range(5, 20)]
                try:
                    await futures[0]
                except StoreBroken as error:
                    print("broken:", error, flush=True)
                try:
                    await asyncio.wait_for(store.submit(put(99)), 5)
                except StoreBroken:
                    print("refused", flush=True)

        try:
            asyncio.run(main(Path(sys.argv[1])))
        except* StoreBroken as group:
            print("stopped", flush=True)
        """,
        str(tmp_path / "s.db"),
    )

    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0] == "reported 5"
    assert "stopped" in lines
    db = sqlite3.connect(tmp_path / "s.db")
    assert db.execute("SELECT COUNT(*) FROM meta WHERE key LIKE 'k%'").fetchone() == (5,)
    assert db.execute("SELECT value FROM meta WHERE key = 'clean'").fetchone() == ("no",)
    db.close()


async def test_io_error_reaches_every_caller(tmp_path):
    """The file is cut under the open database: what it holds can't be trusted any more."""
    futures = []
    with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012
        async with Store.open(tmp_path / "s.db") as store:
            for i in range(50):
                await store.submit(put(f"k{i}", 5000))
            await store.maintain(lambda db: db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
            await store.maintain(lambda db: db.execute("PRAGMA cache_size = 1").fetchall())
            os.truncate(tmp_path / "s.db", 8192)
            futures = [store.submit(put(f"n{i}", 5000)) for i in range(3)]
            await asyncio.gather(*futures)
    assert caught.group_contains(StoreBroken, match="can't be written")
    for future in futures:
        with pytest.raises(StoreBroken):
            await future


# --- damaged --------------------------------------------------------------------------------------------------------


async def written(path: Path) -> None:
    async with Store.open(path) as store:
        for i in range(200):
            await store.submit(put(f"key number {i}", 200))


def mark_unclean(path: Path) -> None:
    db = sqlite3.connect(path)
    with db:
        db.execute("UPDATE meta SET value = 'no' WHERE key = 'clean'")
    db.close()


async def test_damage_is_found_after_an_unclean_stop(tmp_path):
    path = tmp_path / "s.db"
    await written(path)
    mark_unclean(path)
    content = bytearray(path.read_bytes())
    db = sqlite3.connect(path)
    (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'facts'").fetchone()
    db.close()
    page = (root - 1) * int.from_bytes(content[16:18], "big")
    content[page + 8 : page + 200] = b"\xff" * 192
    path.write_bytes(content)

    with pytest.raises(StoreCorrupt, match=r"(?s)is damaged .*nothing was run.*`ganglion restore FILE`"):
        async with Store.open(path):
            pass


async def test_file_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "s.db"
    path.write_bytes(b"this is a text and has been one for a long time\n" * 100)

    with pytest.raises(StoreCorrupt, match="ganglion restore FILE"):
        async with Store.open(path):
            pass


async def test_file_with_a_damaged_head_is_refused(tmp_path):
    path = tmp_path / "s.db"
    await written(path)
    content = bytearray(path.read_bytes())
    content[100:300] = b"\xff" * 200
    path.write_bytes(content)

    with pytest.raises(StoreCorrupt):
        async with Store.open(path):
            pass


async def test_folder_that_can_not_be_written_says_so(tmp_path):
    (tmp_path / "s.db").mkdir()

    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        async with Store.open(tmp_path / "s.db"):
            pass


@pytest.mark.parametrize("suffix", ["-wal"])
async def test_torn_end_of_the_wal_loses_nothing_that_was_reported_before(tmp_path, suffix):
    path = tmp_path / "s.db"
    async with Store.open(path) as store:
        await store.submit(put("first"))

        def copy(_) -> None:
            for name in ("s.db", "s.db-wal"):
                (tmp_path / f"copy-{name}").write_bytes((tmp_path / name).read_bytes())

        await store.submit(put("second"))
        await store.maintain(copy)
    torn = tmp_path / f"copy-s.db{suffix}"
    torn.write_bytes(torn.read_bytes() + b"\x07" * 1000)
    async with Store.open(tmp_path / "copy-s.db") as store:
        assert not store.was_clean
        assert await seqs(store) == [1, 2]


def test_the_epoch_stays_and_differs_between_stores(tmp_path):
    async def main() -> tuple[str, str, str]:
        epochs = []
        for name in ("a.db", "a.db", "b.db"):
            async with Store.open(tmp_path / name) as store:
                epochs.append(store.epoch)
        return tuple(epochs)

    first, again, other = asyncio.run(main())
    assert first == again != other


async def test_broken_store_ends_the_executor_too(open_rig, tmp_path):
    with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012
        async with open_rig(running=False) as rig:
            running = asyncio.create_task(rig.engine.run())
            await rig.deploy("name: w\nnodes:\n  a: {type: act}")
            await rig.store.submit(lambda tx: tx.db.execute("DROP TABLE facts"))
            execution = await rig.start()
            with pytest.raises(ExceptionGroup):
                await asyncio.wait_for(running, 10)
            assert execution
            raise RuntimeError("the agent stops")
    assert caught.group_contains(RuntimeError)


# --- a quota --------------------------------------------------------------------------------------------------------

QUOTA = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int over(int fd) {
    struct stat about;
    return access(getenv("QUOTA_FLAG"), F_OK) == 0 && fstat(fd, &about) == 0 && S_ISREG(about.st_mode);
}
#define REFUSE(fd) if (over(fd)) { errno = EDQUOT; return -1; }

ssize_t write(int fd, const void *data, size_t size) {
    REFUSE(fd)
    return ((ssize_t (*)(int, const void *, size_t)) dlsym(RTLD_NEXT, "write"))(fd, data, size);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    REFUSE(fd)
    return ((ssize_t (*)(int, const void *, size_t, off64_t)) dlsym(RTLD_NEXT, "pwrite64"))(fd, data, size, at);
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    REFUSE(fd)
    return ((ssize_t (*)(int, const void *, size_t, off_t)) dlsym(RTLD_NEXT, "pwrite"))(fd, data, size, at);
}
"""


@pytest.fixture
def quota(tmp_path: Path) -> dict[str, str]:
    """An environment in which regular files can't be written while `tmp_path/over` exists, as over a disk quota."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("a quota is simulated with a C compiler, and there is none")
    (tmp_path / "quota.c").write_text(QUOTA)
    library = tmp_path / "quota.so"
    command = [compiler, "-shared", "-fPIC", "-o", str(library), str(tmp_path / "quota.c"), "-ldl"]
    subprocess.run(command, check=True)
    return {"LD_PRELOAD": str(library), "QUOTA_FLAG": str(tmp_path / "over")}


def test_quota_that_is_used_up_parks_like_a_full_disk(tmp_path, quota):
    """SQLite reports it as an I/O error, which would stop the process."""
    done = child(
        """
        import asyncio, sys
        from pathlib import Path
        from engine.store import Store, StoreFull, writer

        writer.ROOM_CHECK_SECONDS = 0.02

        async def main(path):
            def put(key):
                return lambda tx: tx.execute("INSERT INTO meta VALUES (?, zeroblob(20000))", (key,))
            async with Store.open(path) as store:
                await store.submit(put("before"))
                over = path.with_name("over")
                over.touch()
                patient = store.submit(put("patient"))
                try:
                    await store.submit(put("impatient"), patient=False)
                except StoreFull:
                    print("full", store.writer.full, patient.done())
                over.unlink()
                await patient
                print("went on", store.writer.full)

        asyncio.run(main(Path(sys.argv[1])))
        """,
        str(tmp_path / "s.db"),
        **quota,
    )

    assert done.stderr == ""
    assert done.stdout.splitlines() == ["full True False", "went on False"]
    assert not (tmp_path / ".room").exists()
    db = sqlite3.connect(tmp_path / "s.db")
    assert db.execute("SELECT COUNT(*) FROM meta WHERE key IN ('before', 'patient', 'impatient')").fetchone() == (2,)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


# --- how long a start may look --------------------------------------------------------------------------------------


async def test_look_at_a_large_file_ends_in_time_and_says_that_it_was_cut_off(tmp_path):
    path = tmp_path / "s.db"
    await written(path)
    mark_unclean(path)

    async with Store.open(path, check_seconds=0.0) as store:
        assert not store.was_clean
        assert not store.was_checked
        assert await seqs(store)
    mark_unclean(path)
    async with Store.open(path) as store:
        assert not store.was_clean
        assert store.was_checked


async def test_damaged_page_that_a_commit_meets_stops_the_store_with_the_remedy(tmp_path, damage_leaf):
    path = tmp_path / "s.db"
    await written(path)
    async with Store.open(path) as store:
        await store.submit(lambda tx: tx.db.executemany("INSERT INTO meta VALUES (?, zeroblob(900))", KEYS))
    damage_leaf(path, "meta")

    with pytest.raises((ExceptionGroup, StoreCorrupt)) as caught:
        async with Store.open(path) as store:
            await store.submit(lambda tx: tx.execute("UPDATE meta SET value = value || 'x' WHERE key LIKE 'key%'"))
    error = caught.value.exceptions[0] if isinstance(caught.value, ExceptionGroup) else caught.value
    assert "ganglion restore FILE" in str(error)


KEYS = [(f"key{i:03}",) for i in range(300)]
