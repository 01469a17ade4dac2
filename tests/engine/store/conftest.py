import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from engine.store import Store


@pytest.fixture
async def store(tmp_path: Path, clock) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "ganglion.db", clock=clock) as opened:
        yield opened


def damaged_leaf(path: Path, table: str) -> None:
    """Overwrite the head of the page in the middle of a table."""
    db = sqlite3.connect(path)
    (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    db.close()
    content = bytearray(path.read_bytes())
    size = int.from_bytes(content[16:18], "big")
    at = (root - 1) * size
    assert content[at] in (2, 5), "the root is an inner page"
    first = int.from_bytes(content[at + 12 : at + 14], "big")
    child = int.from_bytes(content[at + first : at + first + 4], "big")
    content[(child - 1) * size : (child - 1) * size + 8] = b"\xff" * 8
    path.write_bytes(content)


@pytest.fixture
def damage_leaf() -> Callable[[Path, str], None]:
    return damaged_leaf
