import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from engine.store import Store
from engine.store.connection import CHECKPOINT_BYTES, PAGE_BYTES


def pages_of(db: sqlite3.Connection) -> tuple[int, int]:
    """Bytes of a page, and of the WAL at which it goes to the file."""
    (size,) = db.execute("PRAGMA page_size").fetchone()
    (count,) = db.execute("PRAGMA wal_autocheckpoint").fetchone()
    return size, count * size


async def test_a_new_store_has_small_pages_since_each_commit_writes_them_whole(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "s.db") as store:
        assert await store.maintain(pages_of) == (PAGE_BYTES, CHECKPOINT_BYTES)


@pytest.mark.parametrize("size", [512, 4096])
async def test_a_store_that_is_there_keeps_its_pages_and_goes_to_the_file_as_often(tmp_path: Path, size: int) -> None:
    async with Store.open(tmp_path / "s.db", page_bytes=size):
        pass
    async with Store.open(tmp_path / "s.db") as store:
        found, checkpoint = await store.maintain(pages_of)
    assert found == size
    assert checkpoint == pytest.approx(CHECKPOINT_BYTES, abs=size)
    with closing(sqlite3.connect(tmp_path / "s.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
