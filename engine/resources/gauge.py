"""What a gauge of the load is."""

from typing import Protocol

import msgspec

__all__ = ["Gauge", "Load"]


class Load(msgspec.Struct, frozen=True):
    """How busy the machine is, in percent of what this process may use of it."""

    cpu: float
    memory: float


class Gauge(Protocol):
    """Reads the load of the machine."""

    def read(self) -> Load:
        """Both from 0 to 100; cpu since the last reading (the first one gives 0). Returns at once. Raises OSError where
        the system tells nothing."""
        ...
