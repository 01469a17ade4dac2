"""Messages that could not be taken in or sent out: kept with their cause until a person looks."""

import sqlite3

import msgspec

from engine.events import Event, Kind
from engine.store.transaction import Transaction
from engine.values import Json

MAX_BODY = 256 * 1024
"""Bytes of a dead message that are kept; `size` tells how long it was."""


class DeadLetter(msgspec.Struct, kw_only=True):
    """One dead message. `origin` is `intake` or `outbox`."""

    id: int = 0
    origin: str
    workflow: str = "_"
    subject: str
    reason: str
    headers: dict[str, str] = {}
    body: bytes
    size: int
    received_at: int
    replayed_at: int | None = None


def bury(tx: Transaction, letter: DeadLetter) -> int:
    """Record a dead letter and its fact; returns its number. Happens before the message is acknowledged."""
    letter.id = (
        tx.execute(
            "INSERT INTO deadletters (origin, workflow, subject, reason, headers, body, size, received_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (letter.origin, letter.workflow, letter.subject, letter.reason, msgspec.json.encode(letter.headers),
             letter.body[:MAX_BODY], letter.size, letter.received_at),
        ).lastrowid
        or 0
    )  # fmt: skip
    tx.fact(
        Event(
            kind=Kind.MESSAGE_DEAD,
            time=letter.received_at,
            workflow=letter.workflow,
            data={
                "deadletter": letter.id,
                "origin": letter.origin,
                "subject": letter.subject[:255],
                "reason": letter.reason[:500],
                "size": letter.size,
            },
        )
    )
    return letter.id


def listing(db: sqlite3.Connection, *, before: int | None = None, limit: int = 50) -> list[DeadLetter]:
    """Dead letters, newest first."""
    rows = db.execute(
        "SELECT id, origin, workflow, subject, reason, headers, body, size, received_at, replayed_at "
        "FROM deadletters WHERE id < ? ORDER BY id DESC LIMIT ?",
        (before if before is not None else 2**62, limit),
    )
    return [_letter(row) for row in rows]


def get(db: sqlite3.Connection, id: int) -> DeadLetter | None:
    row = db.execute(
        "SELECT id, origin, workflow, subject, reason, headers, body, size, received_at, replayed_at "
        "FROM deadletters WHERE id = ?",
        (id,),
    ).fetchone()
    return _letter(row) if row else None


def mark_replayed(tx: Transaction, id: int, now: int) -> None:
    """Remember that a dead letter was sent again."""
    tx.execute("UPDATE deadletters SET replayed_at = ? WHERE id = ?", (now, id))
    tx.fact(Event(kind=Kind.MESSAGE_REPLAYED, time=now, data={"deadletter": id}))


def count(db: sqlite3.Connection) -> int:
    """Dead letters that nobody replayed yet."""
    return int(db.execute("SELECT COUNT(*) FROM deadletters WHERE replayed_at IS NULL").fetchone()[0])


def _letter(row: tuple[Json, ...]) -> DeadLetter:
    values = dict(zip(DeadLetter.__struct_fields__, row, strict=True))
    values["headers"] = msgspec.json.decode(values["headers"], type=dict[str, str])
    return DeadLetter(**values)
