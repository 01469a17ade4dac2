"""Figures of minutes and hours, kept as facts come in: nothing is ever scanned to make them."""

from engine.events import Kind
from engine.fleet.event import FleetEvent
from engine.fleet.names import Ending
from engine.fleet.query import Grain
from engine.fleet.sketch import LONGEST, bucket_of
from engine.store.transaction import Transaction

SECONDS = {Grain.MINUTE: 60, Grain.HOUR: 3600}
NUMBER = {Grain.MINUTE: 0, Grain.HOUR: 1}
"""What the file calls a grain."""
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

Place = tuple[int, int, int, int]
"""Grain, number of the window since 1970, agent, workflow."""


class Figures:
    """What the facts of one batch add to the windows in which they happened."""

    def __init__(self) -> None:
        self._minutes: dict[tuple[int, int, int], list[int]] = {}
        self._durations: dict[tuple[int, int, int, int], int] = {}

    def add(self, event: FleetEvent, ending: Ending, agent: int, workflow: int) -> None:
        """Count a fact; `agent` and `workflow` are numbers of the file."""
        key = (event.time // 60_000_000, agent, workflow)
        row = self._minutes.get(key)
        if row is None:
            row = self._minutes[key] = [0] * (len(COUNTS) + 2)
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
                place = (*key, bucket_of(micros))
                self._durations[place] = self._durations.get(place, 0) + 1

    def write(self, tx: Transaction) -> None:
        """Add everything to the file."""
        hours: dict[tuple[int, int, int], list[int]] = {}
        for (minute, agent, workflow), row in self._minutes.items():
            key = (minute // 60, agent, workflow)
            known = hours.get(key)
            if known is None:
                hours[key] = row.copy()
            else:
                longest = max(known[_LONGEST], row[_LONGEST])
                known[:] = [a + b for a, b in zip(known, row, strict=True)]
                known[_LONGEST] = longest
        spread: dict[tuple[int, int, int, int], int] = {}
        for (minute, agent, workflow, bucket), count in self._durations.items():
            place = (minute // 60, agent, workflow, bucket)
            spread[place] = spread.get(place, 0) + count
        tx.db.executemany(_ADD, [(0, *key, *row) for key, row in sorted(self._minutes.items())])
        tx.db.executemany(_ADD, [(1, *key, *row) for key, row in sorted(hours.items())])
        tx.db.executemany(_ADD_DURATION, [(0, *place, count) for place, count in sorted(self._durations.items())])
        tx.db.executemany(_ADD_DURATION, [(1, *place, count) for place, count in sorted(spread.items())])
