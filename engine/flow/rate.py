"""When the next execution of a workflow may start: no more than `max` in any stretch of `per`.

In the process monotonic time counts, so that a clock that is set changes nothing. A restart begins with the times in
the store (`turns.starts`), each at most `per` old.
"""

from collections import deque
from collections.abc import Sequence

from engine.definition.flow import Rate


class Log:
    """The last starts of one workflow, at most `rate.max` of them."""

    def __init__(self, rate: Rate, ages: Sequence[float] = ()) -> None:
        """`ages` are those of earlier starts, in seconds from now, the oldest first."""
        self.rate = rate
        self._ages = tuple(ages)
        self._starts: deque[float] | None = None

    def seconds_left(self, monotonic: float) -> float:
        """How long until one may start; 0 for now."""
        starts = self._known(monotonic)
        if len(starts) < self.rate.max:
            return 0.0
        return max(0.0, starts[-self.rate.max] + self.rate.per - monotonic)

    def started(self, monotonic: float) -> None:
        starts = self._known(monotonic)
        starts.append(monotonic)
        while len(starts) > self.rate.max:
            starts.popleft()

    def take_back(self) -> None:
        """The last one did not start after all."""
        if self._starts:
            self._starts.pop()

    def changed(self, rate: Rate, monotonic: float) -> "Log":
        """The same starts under another rate."""
        return Log(rate, [monotonic - start for start in self._known(monotonic)])

    def _known(self, monotonic: float) -> deque[float]:
        if self._starts is None:
            self._starts = deque(monotonic - age for age in self._ages)
        return self._starts
