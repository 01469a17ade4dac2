"""What /proc tells of the machine is what psutil tells, which takes over where it tells nothing."""

from pathlib import Path

import psutil
import pytest

from engine.resources.figures import memory_bytes, processor_times

SECONDS = 5.0
"""What passes between two readings on a machine that has other work."""


def seconds() -> tuple[float, float]:
    """By psutil: busy, and in all."""
    times = psutil.cpu_times()
    total = sum(times) - times.guest - times.guest_nice
    return total - times.idle - times.iowait, total


def test_processor_times_are_those_of_psutil() -> None:
    ticks = 100  # USER_HZ, of every Linux architecture that we know
    found = processor_times()
    for mine, theirs in zip(found, seconds(), strict=True):
        assert abs(mine / ticks - theirs) < SECONDS * psutil.cpu_count()


def test_memory_is_that_of_psutil() -> None:
    total, free = memory_bytes()
    memory = psutil.virtual_memory()
    assert total == memory.total
    assert abs(free - memory.available) < memory.total / 4


@pytest.mark.parametrize(
    "text", ["", "cpu", "cpu 1 2 x", "cpu0 1 2 3 4 5 6 7 8", "MemTotal: 1 kB", "MemTotal:\nMemAvailable:"]
)
def test_psutil_tells_where_the_file_does_not(tmp_path: Path, text: str) -> None:
    file = tmp_path / "file"
    file.write_text(text)
    assert 0 < memory_bytes(file)[1] <= memory_bytes(tmp_path / "nowhere")[0]
    assert 0 < processor_times(file)[0] < processor_times(tmp_path / "nowhere")[1]
