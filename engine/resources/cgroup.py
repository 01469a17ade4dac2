"""The limits of the control group that this process runs in: a container, a systemd unit with MemoryMax.

Version 2 only (https://docs.kernel.org/admin-guide/cgroup-v2.html). Each group above counts too: the tightest one is
the one that is felt. Without limits, or on another system, there is nothing to tell.
"""

from collections.abc import Iterator
from pathlib import Path

__all__ = ["Cgroup"]

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")


class Cgroup:
    """What is used of the limits."""

    def __init__(self, root: Path = ROOT, own: Path = OWN) -> None:
        self._folders = list(_folders(root, own))
        self._used: dict[Path, int] = {}
        """Microseconds of CPU that each group had used at the last reading."""

    def memory(self) -> float | None:
        """Percent of the tightest `memory.max`; None without one."""
        found = (_memory(folder) for folder in self._folders)
        return max((_percent(used / limit) for limit, used in filter(None, found)), default=None)

    def memory_left(self) -> Iterator[tuple[int, int]]:
        """Of each group with a limit: that, and what is left of it, in bytes."""
        for folder in self._folders:
            if (found := _memory(folder)) is not None:
                limit, used = found
                yield limit, max(0, limit - used)

    def cpu(self, seconds: float) -> float | None:
        """Percent of the tightest `cpu.max` that was used in the `seconds` since the last reading; None without one.
        The first reading gives 0."""
        return max(
            (share for folder in self._folders if (share := self._cpu(folder, seconds)) is not None), default=None
        )

    def _cpu(self, folder: Path, seconds: float) -> float | None:
        quota, _, period = _text(folder / "cpu.max").partition(" ")
        used = _field(folder / "cpu.stat", "usage_usec")
        if not quota.isdigit() or not period.isdigit() or int(period) == 0 or used is None:
            return None
        before = self._used.get(folder, used)
        self._used[folder] = used
        allowed = seconds * 1_000_000 * int(quota) / int(period)
        return 0.0 if allowed <= 0 else _percent((used - before) / allowed)


def _folders(root: Path, own: Path) -> Iterator[Path]:
    """Our group and those above it."""
    line = next((line for line in _text(own).splitlines() if line.startswith("0::")), "0::/")
    folder = root / line[3:].lstrip("/")
    while folder.is_relative_to(root):
        if folder.is_dir():  # in a container our path may be one of outside
            yield folder
        if folder == root:
            return
        folder = folder.parent


def _memory(folder: Path) -> tuple[int, int] | None:
    """The limit and what is used of it, in bytes; None without a limit."""
    limit, used = _text(folder / "memory.max"), _text(folder / "memory.current")
    if not limit.isdigit() or not used.isdigit() or int(limit) == 0:
        return None
    # Cached files that nobody uses now are given back under pressure: they are no load.
    idle = _field(folder / "memory.stat", "inactive_file") or 0
    return int(limit), max(0, int(used) - idle)


def _field(path: Path, name: str) -> int | None:
    """The number behind a name in a file of `name number` lines."""
    for line in _text(path).splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.isdigit():
            return int(value)
    return None


def _text(path: Path) -> str:
    """A small file's text; empty if it is not there: the root group has no limits, and other systems no groups."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _percent(share: float) -> float:
    return min(100.0, max(0.0, share * 100))
