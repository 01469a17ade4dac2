"""What the kernel has counted of a process, from /proc."""

import os
from contextlib import suppress
from pathlib import Path

import msgspec

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Counted(msgspec.Struct, frozen=True):
    """Since the start of a process."""

    cpu_seconds: float = 0.0
    wakeups: int = 0
    """How often one of its threads had waited and went on."""
    written: int = 0
    """Bytes for a disk, in whole pages: a page that is flushed and changed again counts again."""

    def since(self, before: "Counted") -> "Counted":
        """What came to it."""
        return Counted(
            self.cpu_seconds - before.cpu_seconds, self.wakeups - before.wakeups, self.written - before.written
        )


def counted(*pids: int) -> Counted:
    """Of these processes together."""
    return Counted(sum(_cpu_ticks(pid) for pid in pids) / _TICKS, sum(map(_wakeups, pids)), sum(map(_written, pids)))


def resident_bytes(pid: int) -> int:
    """Memory that a process has in use."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES


def _cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _wakeups(pid: int) -> int:
    count = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError):  # it has just ended
            count += _field(thread / "status", "voluntary_ctxt_switches")
    return count


def _written(pid: int) -> int:
    file = Path(f"/proc/{pid}/io")
    return _field(file, "write_bytes") - _field(file, "cancelled_write_bytes")


def _field(file: Path, name: str) -> int:
    lines = (line.split(":") for line in file.read_text().splitlines())
    return next(int(value) for key, value in lines if key == name)
