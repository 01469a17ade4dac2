"""How far the facts of an agent are known, and which of a batch are new."""

import sqlite3
from collections.abc import Iterable

import msgspec

from engine.fleet import gaps
from engine.fleet.event import FleetEvent, Track
from engine.fleet.names import Interning
from engine.fleet.packing import packed
from engine.store.transaction import Transaction

Numbered = tuple[int, FleetEvent]
"""Its place in the batch, and the fact."""


class Arrival(msgspec.Struct):
    """What a batch brings of one track."""

    track: int
    agent: int
    new: list[Numbered]
    duplicates: int = 0
    conflicts: int = 0


def find(db: sqlite3.Connection, agent: str, epoch: str) -> int | None:
    """The track of an agent's epoch, if any of it ever came."""
    row = db.execute(
        "SELECT id FROM tracks WHERE epoch = ? AND agent = (SELECT id FROM agents WHERE name = ?)", (epoch, agent)
    ).fetchone()
    return None if row is None else int(row[0])


def arrive(tx: Transaction, names: Interning, facts: list[Numbered], now: int) -> Arrival:
    """Tell the new facts of one agent's epoch from the known ones, and keep track. Gaps open and close."""
    agent, epoch = names.agent(facts[0][1].agent), facts[0][1].epoch
    row = _row(tx, agent, epoch)
    if row is None:
        tx.execute("INSERT INTO tracks (agent, epoch) VALUES (?, ?)", (agent, epoch))
        row = _row(tx, agent, epoch) or (0, 0, 0, 0)
    track, first_seq, last_seq, last_time = row
    arrival = Arrival(track, agent, [])

    by_seq: dict[int, Numbered] = {}
    repeated = [numbered for numbered in facts if by_seq.setdefault(numbered[1].seq, numbered) is not numbered]
    missing: set[int] = set()
    newest = last_seq
    for run in gaps.runs(sorted(by_seq)):
        if run[1] > newest:
            if run[0] > newest + 1:
                gaps.open_gap(tx, track, newest + 1, run[0] - 1, now)
            missing.update(range(max(run[0], newest + 1), run[1] + 1))
        if run[0] <= newest:
            for filled in gaps.fill(tx, track, (run[0], min(run[1], newest))):
                missing.update(range(filled[0], filled[1] + 1))
        newest = max(newest, run[1])
    for seq, numbered in by_seq.items():
        if seq in missing:
            arrival.new.append(numbered)
        else:
            repeated.append(numbered)
    for _, event in repeated:
        same = by_seq[event.seq][1] == event if event.seq in missing else _is_kept_as(tx, track, event)
        arrival.duplicates += same
        arrival.conflicts += not same

    if newest > last_seq:
        last_time = by_seq[newest][1].time
    if missing:
        first_seq = min(min(missing), first_seq or newest)
    tx.execute(
        "UPDATE tracks SET first_seq = ?, last_seq = ?, last_time = ?, received_at = ?, events = events + ?, "
        "conflicts = conflicts + ? WHERE id = ?",
        (first_seq, newest, last_time, now, len(missing), arrival.conflicts, track),
    )
    return arrival


def select(db: sqlite3.Connection) -> list[Track]:
    """One for each agent and epoch."""
    missing: dict[int, int] = {}
    lost: dict[int, int] = {}
    for track, is_lost, numbers in db.execute(
        "SELECT track, lost != '', SUM(last - first + 1) FROM gaps GROUP BY track, lost != ''"
    ):
        (lost if is_lost else missing)[track] = numbers
    rows = db.execute(
        "SELECT t.id, a.name, t.epoch, t.first_seq, t.last_seq, t.last_time, t.received_at, t.events, t.forgotten, "
        "t.conflicts FROM tracks t JOIN agents a ON a.id = t.agent ORDER BY a.name, t.id"
    )
    return [
        Track(
            agent=agent, epoch=epoch, first_seq=first_seq, last_seq=last_seq, last_time=last_time,
            received_at=received_at, events=events, missing=missing.get(id, 0), lost=lost.get(id, 0) + forgotten,
            conflicts=conflicts,
        )
        for id, agent, epoch, first_seq, last_seq, last_time, received_at, events, forgotten, conflicts in rows
    ]  # fmt: skip


def by_track(events: Iterable[FleetEvent]) -> list[list[Numbered]]:
    """A batch, apart by agent and epoch."""
    found: dict[tuple[str, str], list[Numbered]] = {}
    for place, event in enumerate(events):
        key = (event.agent, event.epoch)
        if key in found:
            found[key].append((place, event))
        else:
            found[key] = [(place, event)]
    return list(found.values())


def _row(tx: Transaction, agent: int, epoch: str) -> tuple[int, int, int, int] | None:
    row: tuple[int, int, int, int] | None = tx.execute(
        "SELECT id, first_seq, last_seq, last_time FROM tracks WHERE agent = ? AND epoch = ?", (agent, epoch)
    ).fetchone()
    return row


def _is_kept_as(tx: Transaction, track: int, event: FleetEvent) -> bool:
    """Whether a known fact is what is kept; one that retention has removed is believed."""
    row = tx.execute(
        "SELECT e.time, k.kind, w.name, e.version, e.execution, e.node, e.data FROM events e "
        "JOIN kinds k ON k.id = e.kind JOIN workflows w ON w.id = e.workflow WHERE e.track = ? AND e.seq = ?",
        (track, event.seq),
    ).fetchone()
    told = (event.time, event.kind, event.workflow, event.version, packed(event.execution), event.node, event.data)
    return row is None or row == told
