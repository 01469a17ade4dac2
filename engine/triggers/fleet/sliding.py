"""Events of one group on the line of time: where on it were there enough of them within the window?

At a moment x the window holds the events in (x - within, x]. The moments at which it holds at least `least` form
*stretches*, [start, until). An event at t changes what is true in [t, t + within) only, so the stretches are kept up to
date with a look at its neighbours, in whatever order events come. Of very many events in one window's time only the
first and the last `least` are kept: no window can tell the difference.

All times are microseconds. See test_the_stretches_are_those_of_a_naive_count.
"""

from bisect import bisect_right, insort
from collections.abc import Iterator

import msgspec

__all__ = ["Crossing", "Sliding", "Stretch"]

MAX_STRETCHES = 1000
"""Remembered of one group; the oldest go first."""


class Stretch(msgspec.Struct, array_like=True):
    """A time in which the window held enough."""

    start: int
    until: int
    """Excluded."""
    fired: int | None = None
    """The end of the newest window of it that started an execution; None if none did, since it came too late."""


class Crossing(msgspec.Struct, frozen=True):
    """A window that starts an execution."""

    end: int
    count: int
    """Events in it; at least so many, where they were too many to keep."""
    numbers: tuple[int, ...]
    """Of the newest of them, oldest first."""


class _Cell:
    """Events of one stretch of time as long as the window."""

    __slots__ = ("dropped", "marks")

    def __init__(self) -> None:
        self.marks: list[tuple[int, int]] = []
        """(time, number), in order."""
        self.dropped = 0
        """How many in the middle are no longer kept."""


class Sliding:
    """The events and stretches of one group. Add events with `add`, or with `remember` those that were added before a
    restart; `forget` what is too long ago to matter."""

    def __init__(self, *, least: int, within: int, stretches: list[Stretch] | None = None) -> None:
        self.stretches = stretches or []
        """In order, apart from each other."""
        self._least = least
        self._within = within
        self._cells: dict[int, _Cell] = {}

    @property
    def is_empty(self) -> bool:
        return not self._cells and not self.stretches

    def remember(self, time: int, number: int) -> None:
        """An event whose stretches are known."""
        cell = self._cells.setdefault(time // self._within, _Cell())
        insort(cell.marks, (time, number))
        if len(cell.marks) > 4 * self._least:
            cell.dropped += len(cell.marks) - 2 * self._least
            cell.marks[self._least : -self._least] = []

    def add(self, time: int, number: int, *, since: int, again: int | None = None, keep: int = 10) -> Crossing | None:
        """A new event. The window that starts an execution for it, if one does: one that ends at `since` or later, and
        in whose stretch none has, or none in the `again` before it. It tells the newest `keep` events."""
        self.remember(time, number)
        marks = self._around(time)
        full: list[int] = []
        for place in range(bisect_right(marks, (time, -1)), len(marks)):
            end, first = marks[place][0], place - self._least + 1
            if first >= 0 and marks[first][0] > end - self._within:
                self._cover(end, marks[first][0] + self._within)
                full.append(place)
        chosen: int | None = None
        for place in full:  # once all is covered: a later window may have joined an earlier one to what has fired
            end = marks[place][0]
            stretch = self._at(end)
            if end >= since and (stretch.fired is None or (again is not None and end >= stretch.fired + again)):
                stretch.fired = end
                chosen = place if chosen is None else chosen
        return None if chosen is None else self._crossing(marks, chosen, keep)

    def forget(self, before: int) -> None:
        """Drop what happened two windows before that moment, and stretches that had ended one before it."""
        # In order of time they are not: late events make old cells last. There are few.
        for key in [key for key in self._cells if (key + 3) * self._within <= before]:
            del self._cells[key]
        self.stretches = [one for one in self.stretches[-MAX_STRETCHES:] if one.until + self._within >= before]

    def _around(self, time: int) -> list[tuple[int, int]]:
        """What can be in a window together with an event at that time."""
        key = time // self._within
        return [mark for near in (key - 1, key, key + 1) if near in self._cells for mark in self._cells[near].marks]

    def _cover(self, start: int, until: int) -> None:
        """It is true from `start` to `until` as well: stretches that this joins become one."""
        low = next((place for place, one in enumerate(self.stretches) if one.until >= start), len(self.stretches))
        high = low
        fired: list[int] = []
        while high < len(self.stretches) and self.stretches[high].start <= until:
            one = self.stretches[high]
            start, until = min(start, one.start), max(until, one.until)
            fired += [] if one.fired is None else [one.fired]
            high += 1
        self.stretches[low:high] = [Stretch(start, until, max(fired, default=None))]

    def _at(self, time: int) -> Stretch:
        return next(one for one in reversed(self.stretches) if one.start <= time)

    def _crossing(self, marks: list[tuple[int, int]], place: int, keep: int) -> Crossing:
        end = marks[place][0]
        first = bisect_right(marks, (end - self._within, 2**63))
        dropped = sum(cell.dropped for cell in self._inside(end))
        numbers = tuple(number for _, number in marks[max(first, place + 1 - keep) : place + 1])
        return Crossing(end, place + 1 - first + dropped, numbers)

    def _inside(self, end: int) -> Iterator[_Cell]:
        """Cells all of whose events are in the window."""
        key = end // self._within
        for near in (key - 1, key):
            cell = self._cells.get(near)
            if cell is not None and end - self._within < cell.marks[0][0] and cell.marks[-1][0] <= end:
                yield cell
