"""By how much the process grew while one execution ran alone.

A process has one heap: what a node leaves behind can't be told from what its neighbour does. So growth is measured only
over stretches in which no other execution was in memory, from the end of one attempt to the end of the next, and summed
up. That is a lower bound for a leak, and no account of what a node holds: memory that Python keeps for later counts,
memory that was free before does not. After a restart of the agent it starts from nothing, as the process does.
"""

from collections.abc import Callable

__all__ = ["Growth", "Neighbours"]


class Neighbours:
    """The executions in this process."""

    __slots__ = ("begun", "present")

    def __init__(self) -> None:
        self.present = 0
        self.begun = 0
        """How many there ever were: one that came and went in between is seen by this."""

    def come(self) -> None:
        self.present += 1
        self.begun += 1

    def go(self) -> None:
        self.present -= 1


class Growth:
    """Of one execution; `measure` is called between its nodes."""

    def __init__(self, neighbours: Neighbours, resident: Callable[[], int]) -> None:
        """`resident` reads the bytes of this process that are in memory."""
        self._neighbours = neighbours
        self._resident = resident
        self._last = resident()
        self._begun = neighbours.begun
        self._sum = 0

    def measure(self) -> int:
        """Bytes by which the process has grown so far while this execution was alone, at least 0."""
        now, begun = self._resident(), self._neighbours.begun
        if self._neighbours.present <= 1 and begun == self._begun:
            self._sum += now - self._last
        self._last, self._begun = now, begun
        return max(0, self._sum)
