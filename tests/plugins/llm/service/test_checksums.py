"""Files are what they should be, and are read once to know it."""

import asyncio
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from plugins.llm.errors import ModelError, Trouble
from plugins.llm.service.checksums import Checksums
from plugins.llm.spec import ModelSpec


class Counting(Checksums):
    """Counts how often it reads a file."""

    reads = 0

    def _hash(self, path: Path) -> str:
        self.reads += 1
        return super()._hash(path)


@pytest.fixture
def pinned(spec: Callable[..., ModelSpec]) -> ModelSpec:
    return spec(sha256=hashlib.sha256(Path(spec().file).read_bytes()).hexdigest())


def spoil(path: Path) -> None:
    """One bit, and another time of change."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(1, 1))


async def test_right_checksum_is_found_once_even_through_restarts(folder: Path, pinned: ModelSpec) -> None:
    first, second = Counting(folder), Counting(folder)
    await asyncio.gather(*(first.check(pinned) for _ in range(5)))
    await first.check(pinned)
    await second.check(pinned)
    assert (first.reads, second.reads) == (1, 0)


async def test_changed_file_is_read_again(folder: Path, pinned: ModelSpec) -> None:
    checksums = Counting(folder)
    await checksums.check(pinned)
    spoil(Path(pinned.file))
    with pytest.raises(ModelError, match=r"has the checksum [0-9a-f]{64}, expected [0-9a-f]{64}.* get it again") as bad:
        await checksums.check(pinned)
    assert bad.value.trouble is Trouble.DAMAGED
    assert checksums.reads == 2


async def test_missing_file_is_told_with_what_to_do(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"there is no file /nowhere/m.gguf; .*`ganglion models add`") as caught:
        await Checksums(folder).check(ModelSpec(name="m", file="/nowhere/m.gguf"))
    assert caught.value.trouble is Trouble.MISSING


async def test_file_without_a_checksum_is_not_read(folder: Path, spec: Callable[..., ModelSpec]) -> None:
    checksums = Counting(folder)
    await checksums.check(spec())
    assert checksums.reads == 0


async def test_memory_of_checksums_that_is_damaged_is_begun_anew(
    folder: Path, pinned: ModelSpec, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / ".checksums.json").write_text("{")
    checksums = Counting(folder)
    await checksums.check(pinned)
    assert checksums.reads == 1
    assert "is begun anew" in caplog.text


async def test_stop_gives_up_what_is_being_read(folder: Path, pinned: ModelSpec) -> None:
    checksums = Checksums(folder)
    asked = asyncio.create_task(checksums.check(pinned))
    await asyncio.sleep(0)
    await checksums.aclose()
    with pytest.raises(ModelError):
        await asked
