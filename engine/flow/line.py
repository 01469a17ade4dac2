"""One workflow with a flow, in memory: the first few that may start, how many run, and how many wait."""

from bisect import insort

import msgspec

from engine.definition.flow import Flow
from engine.flow.door import Door
from engine.flow.rate import Log
from engine.store.executions import ExecutionRow

WINDOW = 64
"""Executions known in memory; the others only the store knows."""
NO_FLOW = Flow()


class Candidate(msgspec.Struct):
    """An execution that may start. The first is the one with the lowest rank, then the lowest number."""

    rank: int
    """The priority, negative: the highest comes first."""
    num: int
    id: str
    again: bool = False
    """It had started before: the rate does not count it."""
    row: ExecutionRow | None = None
    """At hand for one that has just been taken in."""


class Line:
    """What `Lines` knows of one workflow."""

    def __init__(self, name: str, flow: Flow, *, waiting: int = 0, cut: bool = False) -> None:
        self.name = name
        self.flow = flow
        self.door = Door(flow.queue)
        self.log: Log | None = None
        """None until it is loaded, or without a rate."""
        self.window: list[Candidate] = []
        self.cut = cut
        """The store may hold more that may start, all behind the window's last."""
        self.stale = cut
        """Somebody may start who is not in the window."""
        self.fetching = False
        self.running = 0
        self.waiting = waiting
        """How many have not started: ready ones, those behind others of their key, and quiet ones."""
        self.door.seen(waiting)

    def obey(self, flow: Flow, monotonic: float) -> None:
        """The flow of the active version."""
        if flow is self.flow:
            return
        if flow.queue != self.flow.queue:
            self.door = Door(flow.queue)
            self.door.seen(self.waiting)
        if flow.rate != self.flow.rate and self.log is not None:
            self.log = None if flow.rate is None else self.log.changed(flow.rate, monotonic)
        self.flow = flow

    def offer(self, candidate: Candidate) -> None:
        """One that may start: it joins the window if it belongs there."""
        if self.fetching:
            self.stale = True  # the answer of the store may be of before
        if self.cut and (not self.window or _order(candidate) > _order(self.window[-1])):
            return  # the store knows it, and is asked when the window gets empty
        insort(self.window, candidate, key=_order)
        if len(self.window) > WINDOW:
            self.window.pop()
            self.cut = True

    def replace(self, candidates: list[Candidate], *, cut: bool) -> None:
        """What the store says: all that may start, or the first of them."""
        rows = {candidate.id: candidate.row for candidate in self.window}
        for candidate in candidates:
            candidate.row = rows.get(candidate.id)
        self.window = sorted(candidates, key=_order)
        self.cut = cut

    def remove(self, id: str) -> None:
        """It is not to start, or is starting."""
        self.window = [candidate for candidate in self.window if candidate.id != id]

    @property
    def full(self) -> bool:
        """As many run as may."""
        return self.flow.concurrency is not None and self.running >= self.flow.concurrency

    def pause(self, monotonic: float) -> float:
        """Seconds until the rate lets one start."""
        if self.flow.rate is None:
            return 0.0
        return 0.0 if self.log is None else self.log.seconds_left(monotonic)

    def candidates(self, monotonic: float) -> list[Candidate]:
        """Who may start now, the first one first."""
        if self.full or not self.window:
            return []
        if self.flow.rate is not None and (self.log is None or self.log.seconds_left(monotonic) > 0):
            return [candidate for candidate in self.window if candidate.again]
        return self.window

    @property
    def wants(self) -> bool:
        """The store is to be asked."""
        if self.fetching or self.full:
            return False
        return self.stale or (self.cut and not self.window) or (self.flow.rate is not None and self.log is None)


def _order(candidate: Candidate) -> tuple[int, int]:
    return candidate.rank, candidate.num
