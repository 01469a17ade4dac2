"""A simulated connection keeps the contract of the real one."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from engine.store import Store
from engine.store.connection import Connect, Connection, connect_thread
from tests.simulation.disk import Disk


@pytest.fixture(params=["thread", "inline"])
def connect(request, dice) -> Connect:
    return connect_thread if request.param == "thread" else Disk(dice, slowness=0.001).connect


@pytest.fixture
async def connection(connect, tmp_path) -> AsyncIterator[Connection]:
    opened = await connect(f"file:{tmp_path / 'c.db'}")
    yield opened
    await opened.close()


async def test_run_gives_the_result(connection):
    assert await connection.run(lambda db: db.execute("SELECT 7").fetchone()) == (7,)


async def test_run_raises_what_the_function_raised(connection):
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await connection.run(lambda db: db.execute("SELECT * FROM missing"))


async def test_functions_run_in_the_order_in_which_they_were_handed_over(connection):
    ran: list[int] = []

    await asyncio.gather(*(connection.run(lambda _, n=n: ran.append(n)) for n in range(20)))

    assert ran == list(range(20))


async def test_what_was_handed_over_runs_although_its_caller_was_cancelled(connection):
    await connection.run(lambda db: db.execute("CREATE TABLE t (n)"))
    caller = asyncio.create_task(connection.run(lambda db: db.execute("INSERT INTO t VALUES (1)")))
    await asyncio.sleep(0)
    caller.cancel()
    with suppress(asyncio.CancelledError):
        await caller

    assert await connection.run(lambda db: db.execute("SELECT n FROM t").fetchall()) == [(1,)]


async def test_a_function_that_failed_does_not_disturb_the_next(connection):
    failing = asyncio.create_task(connection.run(lambda db: db.execute("nonsense")))

    assert await connection.run(lambda _: "next") == "next"
    with pytest.raises(sqlite3.OperationalError):
        await failing


async def test_connect_raises_where_there_is_no_folder(connect, tmp_path):
    with pytest.raises(sqlite3.OperationalError):
        await connect(f"file:{tmp_path / 'no' / 'folder.db'}")


async def test_a_reader_can_not_write(connect, tmp_path):
    (tmp_path / "c.db").touch()
    reader = await connect(f"file:{tmp_path / 'c.db'}?mode=ro")

    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await reader.run(lambda db: db.execute("CREATE TABLE t (n)"))
    await reader.close()


async def test_a_store_lives_on_it(connect, tmp_path):
    async with Store.open(tmp_path / "s.db", connect=connect) as store:
        await store.submit(lambda tx: tx.execute("INSERT INTO meta VALUES ('a', 'b')"))
        with pytest.raises(sqlite3.IntegrityError):
            await store.submit(lambda tx: tx.execute("INSERT INTO meta VALUES ('a', 'c')"))
        epoch = store.epoch
        assert await store.read(lambda db: db.execute("SELECT value FROM meta WHERE key = 'a'").fetchone()) == ("b",)
    async with Store.open(tmp_path / "s.db", connect=connect) as again:
        assert (again.epoch, again.was_clean) == (epoch, True)
