"""From readings of the load to a limit. Pure: no clock, no I/O.

reading -> moving average (peaks of a second are no load)
        -> hysteresis     (a load that swings by less than the band moves nothing)
        -> interpolation  (between the marks the limit falls in a straight line)
"""

import math

import msgspec

from engine.resources.gauge import Load
from engine.resources.scheduling import Marks, Policy, Scheduling

__all__ = ["Throttle", "interpolate"]


def interpolate(load: float, marks: Marks, *, least: int, most: int) -> int:
    """How many may run under a load: `most` up to the low mark, `least` from the high mark on, rounded down between."""
    if load <= marks.low:
        return most
    if load >= marks.high:
        return least
    return least + math.floor((most - least) * (marks.high - load) / (marks.high - marks.low))


class Average:
    """A moving average with exponential weights (EWMA): a reading counts for 1 - exp(-seconds / constant), so that it
    is the same however often the load is read."""

    def __init__(self, constant: float) -> None:
        self._constant = constant
        self.value: float | None = None

    def take(self, reading: float, seconds: float) -> float:
        """The average with this reading, `seconds` after the last one."""
        if self.value is None or self._constant <= 0:
            self.value = reading
        else:
            self.value += (1 - math.exp(-seconds / self._constant)) * (reading - self.value)
        return self.value


class Backlash:
    """Follows a rise at once and a fall only when it is wider than the band, at that distance: a load that swings
    within the band leaves it where it is. (The play operator of hysteresis, with its play on one side.)"""

    def __init__(self, band: float) -> None:
        self._band = band
        self.value = 0.0

    def follow(self, load: float) -> float:
        """Where it stands after this load: from `load` to `load + band`."""
        self.value = min(max(self.value, load), load + self._band)
        return self.value


class _Track(msgspec.Struct, frozen=True):
    """One kind of load that counts."""

    marks: Marks
    average: Average
    backlash: Backlash


class Throttle:
    """The limit under the load so far."""

    def __init__(self, scheduling: Scheduling, *, most: int) -> None:
        """`most` executions run at rest. A least above that is that."""
        self.most = most
        self.least = min(scheduling.least, most)
        self.limit = most
        policy = scheduling.policy

        def track(marks: Marks) -> _Track:
            return _Track(marks, Average(scheduling.smoothing), Backlash(scheduling.hysteresis))

        self._cpu = track(scheduling.cpu)
        self._memory = track(scheduling.memory)
        self._counts: list[_Track] = []
        if policy in (Policy.CPU, Policy.BALANCED):
            self._counts.append(self._cpu)
        if policy in (Policy.MEMORY, Policy.BALANCED):
            self._counts.append(self._memory)

    @property
    def load(self) -> Load | None:
        """The moving average of both; None before the first reading."""
        cpu, memory = self._cpu.average.value, self._memory.average.value
        return None if cpu is None or memory is None else Load(cpu, memory)

    def take(self, reading: Load, seconds: float) -> int:
        """The limit after a reading, `seconds` after the last one."""
        for track, value in ((self._cpu, reading.cpu), (self._memory, reading.memory)):
            track.backlash.follow(track.average.take(value, seconds))
        self.limit = min(
            (
                interpolate(track.backlash.value, track.marks, least=self.least, most=self.most)
                for track in self._counts
            ),
            default=self.most,
        )
        return self.limit

    def release(self) -> int:
        """Nothing can be read: nothing is bounded by it."""
        self.limit = self.most
        return self.limit
