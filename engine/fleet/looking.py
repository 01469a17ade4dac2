"""Events that match a question.

A segment is looked at only if it can hold an answer, the newest or the oldest one first, through the index that leaves
the fewest rows, and no further than the limit. Which index that is follows from how often each name occurs: SQLite
knows the mean of a column only, and one agent may have written half of the file.
"""

import sqlite3
from collections.abc import Iterable

import msgspec

from engine.fleet import schema
from engine.fleet.event import FleetEvent
from engine.fleet.packing import packed, unpacked
from engine.fleet.query import EventQuery, Numbered
from engine.fleet.schema import TAIL
from engine.fleet.selection import Selection, select

SEEK = 2.0
"""What a row costs that is found through an index; one that is passed on the way costs 1."""
_EVENT = """\
SELECT e.number, a.name, t.epoch, e.seq, e.time, k.kind, w.name, e.version, e.execution, e.node, e.data
FROM events e JOIN tracks t ON t.id = e.track JOIN agents a ON a.id = t.agent JOIN kinds k ON k.id = e.kind
JOIN workflows w ON w.id = e.workflow"""


class Way(msgspec.Struct, frozen=True):
    """How the rows of a segment are looked at."""

    index: str
    """Empty: all of them, one after the other."""
    cost: float


def events(db: sqlite3.Connection, query: EventQuery) -> list[Numbered]:
    """The oldest first."""
    selection = select(db, query)
    if selection is None or query.limit <= 0:
        return []
    order = "DESC" if query.after is None else "ASC"
    numbers, arguments = _numbers(db, selection, query, f"{{first}} {order}, {{then}} {order} LIMIT {query.limit}")
    rows = db.execute(f"{_EVENT} WHERE e.number IN ({numbers}) ORDER BY e.number", arguments)
    return [
        Numbered(
            number,
            FleetEvent(
                agent=agent, epoch=epoch, seq=seq, time=time, kind=kind, workflow=workflow, version=version,
                execution=unpacked(execution), node=node, data=data,
            ),
        )
        for number, agent, epoch, seq, time, kind, workflow, version, execution, node, data in rows
    ]  # fmt: skip


def count(db: sqlite3.Connection, query: EventQuery) -> int:
    """How many there are."""
    selection = select(db, query)
    if selection is None:
        return 0
    if selection.is_everything and query.after is None and query.before is None:
        return int(db.execute("SELECT TOTAL(events) FROM segments").fetchone()[0])
    numbers, arguments = _numbers(db, selection, query, "")
    return int(db.execute(f"SELECT COUNT(*) FROM ({numbers})", arguments).fetchone()[0])


def _numbers(db: sqlite3.Connection, wanted: Selection, query: EventQuery, order: str) -> tuple[str, list[str | bytes]]:
    """SQL for the numbers of events, and its arguments. `order`: what follows ORDER BY."""
    way = _choose(db, wanted)
    where: list[str] = []
    arguments: list[str | bytes] = []
    for column, ids in (("track", wanted.tracks), ("kind", _kinds(wanted, way)), ("workflow", wanted.workflows)):
        if ids is not None:
            where.append(f"e.{column} IN ({_listed(ids)})")
    if wanted.executions is not None:
        marks = ", ".join("?" * len(wanted.executions))
        where.append(f"e.execution != '' AND e.tail IN ({marks}) AND e.execution IN ({marks})")
        kept = [packed(execution) for execution in wanted.executions]
        arguments += [execution[-TAIL:] for execution in kept]
        arguments += kept
    if query.after is not None:
        where.append(f"e.number > {query.after}")
    if query.before is not None:
        where.append(f"e.number < {query.before}")
    timed = query.since is not None or query.until is not None
    if timed:
        where += _time(query, way)
    if not way.index and not timed:
        source = "events e NOT INDEXED"
        order = order.replace("{first} DESC, ", "").replace("{first} ASC, ", "")
    else:
        if query.after is not None:
            where.append(f"s.segment >= {query.after >> schema.SEGMENT_BITS}")
        if query.before is not None:
            where.append(f"s.segment <= {query.before >> schema.SEGMENT_BITS}")
        if way.index:
            source = f"segments s CROSS JOIN events e INDEXED BY {way.index} ON e.segment = s.segment"
        else:
            bits = schema.SEGMENT_BITS
            numbers = f"(s.segment << {bits}) AND (s.segment << {bits}) + {(1 << bits) - 1}"
            source = f"segments s CROSS JOIN events e NOT INDEXED ON e.number BETWEEN {numbers}"
    sql = f"SELECT e.number FROM {source}"
    if where:
        sql += f" WHERE {' AND '.join(where)}"
    if order:
        sql += f" ORDER BY {order.format(first='s.segment', then='e.number')}"
    return sql, arguments


def _time(query: EventQuery, way: Way) -> list[str]:
    """Conditions on the time: of the segment, and of its events where it lies at the border of what is asked for."""
    found: list[str] = []
    by_second = way.index == "events_second"
    if query.since is not None:
        found.append(f"s.last_time >= {query.since}")
        second = query.since // 1_000_000
        if by_second:
            found.append(f"e.second >= {second} AND (e.second > {second + 1} OR e.time >= {query.since})")
        else:
            found.append(f"(s.first_time >= {query.since} OR e.time >= {query.since})")
    if query.until is not None:
        found.append(f"s.first_time < {query.until}")
        second = query.until // 1_000_000
        if by_second:
            found.append(f"e.second <= {second + 1} AND (e.second < {second - 1} OR e.time < {query.until})")
        else:
            found.append(f"(s.last_time < {query.until} OR e.time < {query.until})")
    return found


def _choose(db: sqlite3.Connection, wanted: Selection) -> Way:
    """The way that looks at the fewest rows of a segment."""
    if wanted.executions is not None:
        return Way("events_execution", 0.0)
    rows = 1 << schema.SEGMENT_BITS
    ways = [Way("", rows)]
    if wanted.tracks is not None:
        share = wanted.share_of_tracks
        ways.append(Way("events_track", len(wanted.tracks) + SEEK * rows * share))
    if wanted.kinds is not None or wanted.workflows is not None:
        probes = len(wanted.kinds or wanted.all_kinds) * len(wanted.workflows or (0,))
        share = wanted.share_of_kinds * wanted.share_of_workflows
        ways.append(Way("events_kind", probes + SEEK * rows * share))
    if wanted.since is not None or wanted.until is not None:
        ways.append(Way("events_second", SEEK * rows * _share_of_time(db, wanted)))
    return min(ways, key=lambda way: way.cost)


def _kinds(wanted: Selection, way: Way) -> Iterable[int] | None:
    """The index begins with the kind: to look for a workflow through it, all kinds are named."""
    return wanted.all_kinds if wanted.kinds is None and way.index == "events_kind" else wanted.kinds


def _share_of_time(db: sqlite3.Connection, wanted: Selection) -> float:
    """Which part of the events happened in the time asked for, of the segments that have any, as if the events of a
    segment were spread evenly."""
    total = inside = 0.0
    for number, first, last in db.execute("SELECT events, first_time, last_time FROM segments"):
        begin = first if wanted.since is None else max(first, wanted.since)
        end = last + 1 if wanted.until is None else min(last + 1, wanted.until)
        if end > begin:
            total += number
            inside += number * (end - begin) / (last + 1 - first)
    return inside / total if total else 0.0


def _listed(ids: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(ids)))
