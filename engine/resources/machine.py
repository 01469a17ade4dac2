"""The load of this machine."""

from engine.clock import Clock
from engine.resources.cgroup import Cgroup
from engine.resources.figures import memory_bytes, processor_times
from engine.resources.gauge import Load

__all__ = ["MachineGauge"]


class MachineGauge:
    """Reads the machine, and the control group that we run in; the higher of the two is the load. A machine has no room
    where its neighbours use it, and a container none beyond its limit."""

    def __init__(self, clock: Clock, cgroup: Cgroup | None = None) -> None:
        self._clock = clock
        self._cgroup = cgroup or Cgroup()
        self._read_at: float | None = None
        self._busy = self._total = 0.0

    def read(self) -> Load:
        """See Gauge.read."""
        now = self._clock.monotonic()
        seconds = 0.0 if self._read_at is None else now - self._read_at
        self._read_at = now
        all_busy, total = processor_times()
        size, free = memory_bytes()
        memory = 100 * (size - free) / size
        busy, passed = all_busy - self._busy, total - self._total
        self._busy, self._total = all_busy, total
        cpu = 100 * busy / passed if seconds > 0 and passed > 0 else 0.0
        cpu = max(cpu, self._cgroup.cpu(seconds) or 0.0)
        return Load(cpu=min(100.0, max(0.0, cpu)), memory=max(memory, self._cgroup.memory() or 0.0))
