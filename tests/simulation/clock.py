"""The wall clock of the simulated machine: it goes with the loop, and somebody may set it."""

from tests.simulation.virtual_time import VirtualLoop


class MachineClock:
    """Outlives each process. `offset` is what people or NTP did to it."""

    def __init__(self, start: int) -> None:
        self.start = start
        """Microseconds since 1970 that it showed when the simulation began."""
        self.offset = 0
        self.loop: VirtualLoop | None = None
        """Of the process that lives now."""
        self.jumps = 0

    @property
    def seconds(self) -> float:
        """Since the simulation began."""
        return 0.0 if self.loop is None else self.loop.time()

    def now(self) -> int:
        return self.start + self.offset + round(self.seconds * 1_000_000)

    def monotonic(self) -> float:
        return self.seconds

    def jump(self, seconds: float) -> None:
        """Set the wall clock; monotonic time goes on."""
        self.offset += round(seconds * 1_000_000)
        self.jumps += 1
