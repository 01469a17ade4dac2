"""How the load of the machine bounds what runs: what a person may set."""

from enum import StrEnum

import msgspec

__all__ = ["Marks", "Policy", "Scheduling"]


class Policy(StrEnum):
    """Which load bounds how many executions run at the same time."""

    FIXED = "fixed"
    """None: always as many as are allowed."""
    CPU = "cpu"
    MEMORY = "memory"
    BALANCED = "balanced"
    """Both: the one that is worse."""


class Marks(msgspec.Struct, frozen=True):
    """Percent of load, low below high: up to `low` everything may run, from `high` on only the least; between them the
    limit falls in a straight line."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high <= 100:
            raise ValueError(f"expected 0 <= low < high <= 100, got {self.low:g} and {self.high:g}")


class Scheduling(msgspec.Struct, frozen=True, kw_only=True):
    """How the limit follows the load."""

    policy: Policy = Policy.FIXED
    least: int = 4
    """Executions that run even under full load."""
    cpu: Marks = Marks(60.0, 90.0)
    memory: Marks = Marks(70.0, 90.0)
    hysteresis: float = 5.0
    """Percent points by which the load must fall before that counts; a rise counts at once."""
    interval: float = 2.0
    """Seconds between two readings."""
    smoothing: float = 5.0
    """Time constant of the moving average in seconds; 0 takes each reading as it is."""

    def __post_init__(self) -> None:
        if self.least < 1:
            raise ValueError(f"expected a least of 1 or more, got {self.least}")
        if not self.interval >= 1.0:
            raise ValueError(f"expected an interval of 1s or more, got {self.interval:g}s")
        if not self.smoothing >= 0:
            raise ValueError(f"expected a smoothing of 0s or more, got {self.smoothing:g}s")
        lowest = min(self.cpu.low, self.memory.low)
        if not 0 <= self.hysteresis <= lowest:
            raise ValueError(f"expected a hysteresis from 0 to the lowest mark, {lowest:g}, got {self.hysteresis:g}")
