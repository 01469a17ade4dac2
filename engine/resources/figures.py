"""The machine in figures. On Linux these are small reads of /proc; psutil, which takes 4 MB of memory and a fiftieth of
a start, tells them elsewhere, and where /proc tells something else than it should."""

from pathlib import Path

__all__ = ["memory_bytes", "processor_times"]

_STAT, _MEMORY = Path("/proc/stat"), Path("/proc/meminfo")


def processor_times(stat: Path = _STAT) -> tuple[float, float]:
    """How long the processors were busy since the machine was started, and how long they were there: in a unit that is
    the same for both and for all readings. Raises OSError."""
    try:
        name, *fields = stat.read_bytes().split(b"\n", 1)[0].split()
        # user nice system idle iowait irq softirq steal; those of guests, which follow, are in the first two as well.
        times = [int(field) for field in fields[:8]]
        if name == b"cpu" and len(times) == 8:
            return float(sum(times) - times[3] - times[4]), float(sum(times))
    except (OSError, ValueError):
        pass
    import psutil

    try:
        found = psutil.cpu_times()
    except (psutil.Error, RuntimeError) as error:
        raise OSError(f"psutil can't read the load: {error}") from error
    # Not psutil.cpu_percent: it remembers its last call for the whole process, and we are not its only caller.
    idle = found.idle + getattr(found, "iowait", 0.0)
    total = sum(found) - getattr(found, "guest", 0.0) - getattr(found, "guest_nice", 0.0)
    return total - idle, total


def memory_bytes(meminfo: Path = _MEMORY) -> tuple[int, int]:
    """All of the machine's memory, and what of it can be had without swapping. Raises OSError."""
    try:
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        return 1024 * int(lines["MemTotal"].split()[0]), 1024 * int(lines["MemAvailable"].split()[0])
    except (OSError, ValueError, KeyError, IndexError):
        pass
    import psutil

    try:
        memory = psutil.virtual_memory()
    except (psutil.Error, RuntimeError) as error:
        raise OSError(f"psutil can't read the memory: {error}") from error
    return int(memory.total), int(memory.available)
