"""One batch of facts, in one transaction: what is new, what is missing now, and the figures."""

import sqlite3
from collections import Counter
from collections.abc import Sequence

import msgspec

from engine.events import Kind
from engine.fleet import gaps, schema, tracks
from engine.fleet.event import FleetEvent, Recorded
from engine.fleet.figures import Figures
from engine.fleet.names import Interning, Key, Names, ending_of
from engine.fleet.packing import packed
from engine.fleet.query import Numbered
from engine.fleet.tracks import Arrival
from engine.store.transaction import Transaction

DROPPED = "dropped by the agent"
_INSERT = (
    "INSERT INTO events (number, segment, track, seq, time, kind, workflow, version, execution, node, data) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_EXTEND = (
    "INSERT INTO segments VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET events = events + excluded.events, "
    "first_time = MIN(first_time, excluded.first_time), last_time = MAX(last_time, excluded.last_time)"
)


class Batch(msgspec.Struct, frozen=True):
    """What became of a batch."""

    recorded: Recorded
    new: list[Numbered]
    names: dict[Key, int]
    """That were looked up."""


class _Dropped(msgspec.Struct):
    """Data of outbox.dropped."""

    first: int = msgspec.field(name="from")
    last: int = msgspec.field(name="to")
    epoch: str


_dropped = msgspec.json.Decoder(_Dropped)


def record(tx: Transaction, names: Names, events: Sequence[FleetEvent], now: int) -> Batch:
    """Keep what is new. Runs within a unit, perhaps twice."""
    interning = names.within(tx)
    arrivals = [tracks.arrive(tx, interning, facts, now) for facts in tracks.by_track(events)]
    new = _in_order(events, arrivals)
    numbered = _insert(tx, interning, new) if new else []
    for event, arrival in new:
        if event.kind == Kind.OUTBOX_DROPPED:
            _drop(tx, arrival.track, event)
    recorded = Recorded(
        new=len(new),
        duplicates=sum(arrival.duplicates for arrival in arrivals),
        conflicts=sum(arrival.conflicts for arrival in arrivals),
    )
    return Batch(recorded, numbered, interning.fresh)


def newest(db: sqlite3.Connection) -> int:
    """Number of the newest event ever; 0 before the first."""
    row = db.execute("SELECT value FROM meta WHERE key = 'newest'").fetchone()
    return 0 if row is None else int(row[0])


def _in_order(events: Sequence[FleetEvent], arrivals: list[Arrival]) -> list[tuple[FleetEvent, Arrival]]:
    """The new facts in the order in which they came."""
    if len(arrivals) == 1:
        return [(event, arrivals[0]) for _, event in sorted(arrivals[0].new, key=lambda numbered: numbered[0])]
    by_place = {place: arrival for arrival in arrivals for place, _ in arrival.new}
    return [(events[place], by_place[place]) for place in sorted(by_place)]


def _insert(tx: Transaction, names: Interning, new: list[tuple[FleetEvent, Arrival]]) -> list[Numbered]:
    first = newest(tx.db) + 1
    rows, numbered = [], []
    figures = Figures()
    workflows: Counter[int] = Counter()
    kinds: Counter[int] = Counter()
    for number, (event, arrival) in enumerate(new, first):
        ending = ending_of(event)
        kind, workflow = names.kind(event.kind, ending.status), names.workflow(event.workflow)
        rows.append(
            (
                number, number >> schema.SEGMENT_BITS, arrival.track, event.seq, event.time, kind, workflow,
                event.version, packed(event.execution), event.node, event.data,
            )
        )  # fmt: skip
        figures.add(event, ending, arrival.agent, workflow)
        kinds[kind] += 1
        workflows[workflow] += 1
        numbered.append(Numbered(number, event))
    tx.db.executemany(_INSERT, rows)
    tx.db.executemany(_EXTEND, _segments(numbered))
    tx.db.executemany("UPDATE kinds SET events = events + ? WHERE id = ?", [(n, id) for id, n in kinds.items()])
    tx.db.executemany("UPDATE workflows SET events = events + ? WHERE id = ?", [(n, id) for id, n in workflows.items()])
    tx.execute(
        "INSERT INTO meta VALUES ('newest', ?) ON CONFLICT DO UPDATE SET value = excluded.value",
        (str(numbered[-1].number),),
    )
    figures.write(tx)
    return numbered


def _segments(numbered: list[Numbered]) -> list[tuple[int, int, int, int]]:
    """What a batch adds to its segments: how many, and when the first and the last happened."""
    times: dict[int, list[int]] = {}
    for one in numbered:
        times.setdefault(one.number >> schema.SEGMENT_BITS, []).append(one.event.time)
    return [(segment, len(found), min(found), max(found)) for segment, found in times.items()]


def _drop(tx: Transaction, track: int, event: FleetEvent) -> None:
    """Close what an agent says that it has no more: facts before this one."""
    try:
        dropped = _dropped.decode(event.data)
    except msgspec.DecodeError:
        return
    if dropped.epoch == event.epoch:
        gaps.lose(tx, track, (dropped.first, min(dropped.last, event.seq - 1)), DROPPED)
