"""Figures of minutes and hours, kept as facts come in: nothing is ever scanned to make them."""

from operator import add

from engine.events import Kind
from engine.fleet.event import FleetEvent
from engine.fleet.names import Ending
from engine.fleet.query import Grain
from engine.fleet.sketch import LONGEST, bucket_of
from engine.store.transaction import Transaction

SECONDS = {Grain.MINUTE: 60, Grain.HOUR: 3600}
NUMBER = {Grain.MINUTE: 0, Grain.HOUR: 1}
"""What the file calls a grain of one agent."""
WHOLE_HOUR = 2
"""An hour of all agents together: a long look at the fleet reads as few rows as if it were one agent. Minutes of the
fleet hold hardly fewer rows than those of its agents, and are looked at for a short time."""
COUNTS = ("events", "started", "completed", "partial", "failed", "cancelled", "node_failures", "retries")
"""The columns of counts, in the order of the table."""
_EVENTS, _MICROS, _LONGEST = 0, len(COUNTS), len(COUNTS) + 1
_COUNTED = {
    Kind.WORKFLOW_STARTED.value: COUNTS.index("started"),
    Kind.NODE_FAILED.value: COUNTS.index("node_failures"),
    Kind.NODE_RETRY.value: COUNTS.index("retries"),
}
_ENDED = {status: COUNTS.index(status) for status in ("completed", "partial", "failed", "cancelled")}
_ADDED = ", ".join(f"{column} = {column} + excluded.{column}" for column in (*COUNTS, "micros"))
_ADD = (
    f"INSERT INTO windows VALUES ({', '.join('?' * (4 + len(COUNTS) + 2))}) "
    f"ON CONFLICT DO UPDATE SET {_ADDED}, longest = MAX(longest, excluded.longest)"
)
_ADD_DURATION = (
    "INSERT INTO durations VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count"
)

Place = tuple[int, int, int]
"""Number of the window since 1970, agent, workflow."""
Spot = tuple[int, int, int, int]
"""The same, and a bucket of durations."""
Windows = dict[Place, list[int]]
"""Columns of the table."""
Durations = dict[Spot, int]


class Figures:
    """What the facts of one batch add to the windows in which they happened."""

    def __init__(self) -> None:
        self._windows: Windows = {}
        self._durations: Durations = {}

    def add(self, event: FleetEvent, ending: Ending, agent: int, workflow: int) -> None:
        """Count a fact; `agent` and `workflow` are numbers of the file."""
        place = (event.time // 60_000_000, agent, workflow)
        row = self._windows.get(place)
        if row is None:
            row = self._windows[place] = [0] * (len(COUNTS) + 2)
        row[_EVENTS] += 1
        counted = _COUNTED.get(event.kind)
        if counted is not None:
            row[counted] += 1
        elif ending.status:
            row[_ENDED[ending.status]] += 1
            if ending.micros is not None:
                micros = min(ending.micros, LONGEST)
                row[_MICROS] += micros
                row[_LONGEST] = max(row[_LONGEST], micros)
                spot = (*place, bucket_of(micros))
                self._durations[spot] = self._durations.get(spot, 0) + 1

    def write(self, tx: Transaction) -> None:
        """Add everything to the file: of each agent by minute and by hour, and of all of them together by hour."""
        hours = _regroup(self._windows, self._durations, minutes=60, agents=True)
        _add(tx, NUMBER[Grain.MINUTE], self._windows, self._durations)
        _add(tx, NUMBER[Grain.HOUR], *hours)
        _add(tx, WHOLE_HOUR, *_regroup(*hours, minutes=1, agents=False))


def _regroup(windows: Windows, durations: Durations, *, minutes: int, agents: bool) -> tuple[Windows, Durations]:
    """The same of longer windows, or of all agents together, who count as agent 0."""
    rows: Windows = {}
    for (at, agent, workflow), row in windows.items():
        place = (at // minutes, agent if agents else 0, workflow)
        known = rows.get(place)
        if known is None:
            rows[place] = row.copy()
        else:
            longest = max(known[_LONGEST], row[_LONGEST])
            known[:] = map(add, known, row)
            known[_LONGEST] = longest
    counts: Durations = {}
    for (at, agent, workflow, bucket), count in durations.items():
        spot = (at // minutes, agent if agents else 0, workflow, bucket)
        counts[spot] = counts.get(spot, 0) + count
    return rows, counts


def _add(tx: Transaction, grain: int, windows: Windows, durations: Durations) -> None:
    tx.db.executemany(_ADD, [(grain, *place, *row) for place, row in sorted(windows.items())])
    tx.db.executemany(_ADD_DURATION, [(grain, *spot, count) for spot, count in sorted(durations.items())])
