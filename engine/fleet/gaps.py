"""Which numbers of a track are missing.

A gap is a row of consecutive numbers that have not come: open while somebody may still have them, or lost. All numbers
up to the track's last one that are in no gap have come.
"""

import sqlite3
from collections.abc import Iterable

from engine.fleet.event import Gap
from engine.store.transaction import Transaction

Row = tuple[int, int, int, int, int, str]
"""first, last, since, tries, due, lost."""
Run = tuple[int, int]
"""First and last of consecutive numbers."""


def runs(numbers: Iterable[int]) -> list[Run]:
    """Sorted numbers as runs."""
    found: list[Run] = []
    first = last = None
    for number in numbers:
        if first is None or last is None:
            first = last = number
        elif number == last + 1:
            last = number
        else:
            found.append((first, last))
            first = last = number
    if first is not None and last is not None:
        found.append((first, last))
    return found


def open_gap(tx: Transaction, track: int, first: int, last: int, now: int) -> None:
    """Numbers `first` to `last` were passed over."""
    tx.execute("INSERT INTO gaps VALUES (?, ?, ?, ?, 0, ?, '')", (track, first, last, now, now))


def fill(tx: Transaction, track: int, run: Run) -> list[Run]:
    """These numbers have come: those of them that were missing."""
    filled: list[Run] = []
    for row in overlapping(tx.db, track, run):
        _replace(tx, track, row, run)
        filled.append((max(run[0], row[0]), min(run[1], row[1])))
    return filled


def lose(tx: Transaction, track: int, run: Run, reason: str) -> None:
    """Those of these numbers that are missing will never come."""
    for row in overlapping(tx.db, track, run):
        first, last, since, tries, due, lost = row
        if not lost:
            _replace(tx, track, row, run)
            part = (max(run[0], first), min(run[1], last), since, tries, due, reason)
            tx.execute("INSERT INTO gaps VALUES (?, ?, ?, ?, ?, ?, ?)", (track, *part))


def overlapping(db: sqlite3.Connection, track: int, run: Run) -> list[Row]:
    """The gaps that hold one of these numbers, the last one first."""
    found: list[Row] = []
    if run[0] > run[1]:
        return found
    cursor = db.execute(
        "SELECT first, last, since, tries, due, lost FROM gaps WHERE track = ? AND first <= ? ORDER BY first DESC",
        (track, run[1]),
    )
    for row in cursor:
        if row[1] < run[0]:
            break  # gaps do not overlap: all others end before this one
        found.append(row)
    cursor.close()
    return found


def ask_again(tx: Transaction, track: int, run: Run, due: int) -> None:
    """What is open of these numbers was asked for in vain."""
    for row in overlapping(tx.db, track, run):
        if not row[5]:
            tx.execute("UPDATE gaps SET tries = tries + 1, due = ? WHERE track = ? AND first = ?", (due, track, row[0]))


def select(db: sqlite3.Connection, due: int | None, limit: int) -> list[Gap]:
    """The oldest first; with `due`, open ones that are to be asked for by then."""
    where, arguments = ("WHERE g.lost = '' AND g.due <= ?", [due, limit]) if due is not None else ("", [limit])
    rows = db.execute(
        "SELECT a.name, t.epoch, g.first, g.last, g.since, g.tries, g.due, g.lost "
        f"FROM gaps g JOIN tracks t ON t.id = g.track JOIN agents a ON a.id = t.agent {where} "
        "ORDER BY g.since, g.track, g.first LIMIT ?",
        arguments,
    )
    return [
        Gap(agent=agent, epoch=epoch, first=first, last=last, since=since, tries=tries, due=due, lost=lost)
        for agent, epoch, first, last, since, tries, due, lost in rows
    ]


def _replace(tx: Transaction, track: int, row: Row, run: Run) -> None:
    """Leave of a gap what lies before and behind a run."""
    first, last, *rest = row
    tx.execute("DELETE FROM gaps WHERE track = ? AND first = ?", (track, first))
    for part in ((first, min(last, run[0] - 1)), (max(first, run[1] + 1), last)):
        if part[0] <= part[1]:
            tx.execute("INSERT INTO gaps VALUES (?, ?, ?, ?, ?, ?, ?)", (track, *part, *rest))
