"""The outbox: facts on their way to the world, and publications of nodes, each lane in its own order."""

import sqlite3
from collections import deque
from collections.abc import Sequence

import msgspec

from engine.events import Event, Kind
from engine.signal import Signal
from engine.store import deadletters
from engine.store.deadletters import DeadLetter
from engine.store.store import Store
from engine.store.transaction import Transaction
from engine.values import Json

RECENT = 4096
"""Facts kept in memory, so that a relay that keeps up never reads the file."""


class Publication(msgspec.Struct, kw_only=True):
    """A message that a node published with its checkpoint. Its id is the order of sending."""

    id: int = 0
    execution: str
    path: str
    subject: str
    headers: dict[str, str]
    body: bytes
    created_at: int = 0


class Cursor(msgspec.Struct, kw_only=True):
    """How far a stream has acknowledged the facts, and which stream that was."""

    name: str
    seq: int = 0
    stream_created: str = ""
    stream_seq: int = 0


def publish(tx: Transaction, publication: Publication, now: int) -> None:
    """Add to the second lane, in the transaction of the node's checkpoint, which also has a fact."""
    tx.publications += 1
    tx.execute(
        "INSERT INTO publications (execution, path, subject, headers, body, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        (
            publication.execution,
            publication.path,
            publication.subject,
            msgspec.json.encode(publication.headers),
            publication.body,
            now,
        ),
    )


class Outbox:
    """What a relay needs: facts and publications in order, and where it stood."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._recent: deque[Event] = deque(maxlen=RECENT)
        self.signal = Signal()
        """Set when there may be new facts or publications; looking is the truth."""
        self.last_seq = 0
        """The newest fact known to this process; 0 before the first."""
        self._publications_known = 0
        store.listeners.append(self._told)

    def _told(self, facts: list[Event]) -> None:
        self._recent.extend(facts)
        self.last_seq = facts[-1].seq
        self.signal.set()

    async def facts_after(self, seq: int, limit: int = 512) -> list[Event]:
        """Up to `limit` facts that follow `seq`, oldest first. Rows that were dropped leave a gap in the numbers, and
        an `outbox.dropped` fact that tells of it."""
        if seq >= self.last_seq > 0:
            return []
        if self._recent and self._recent[0].seq <= seq + 1:
            first = seq + 1 - self._recent[0].seq
            return [self._recent[index] for index in range(first, min(first + limit, len(self._recent)))]
        return await self._store.read(lambda db: _facts(db, seq, limit))

    async def cursor(self, name: str) -> Cursor:
        """Where a relay stood; a new one starts before the first fact."""

        def read(db: sqlite3.Connection) -> Cursor:
            row = db.execute(
                "SELECT name, seq, stream_created, stream_seq FROM cursors WHERE name = ?", (name,)
            ).fetchone()
            if row is None:
                return Cursor(name=name)
            return Cursor(name=row[0], seq=row[1], stream_created=row[2], stream_seq=row[3])

        return await self._store.read(read)

    async def follow(self, names: Sequence[str]) -> None:
        """Keep facts for these relays, and for no others: what a new one has not sent stays from now on, and one that
        is there no more holds up nothing."""
        now = self._store.clock.now()
        marks = ", ".join("?" * len(names))

        def unit(tx: Transaction) -> None:
            tx.execute(f"DELETE FROM cursors WHERE name NOT IN ({marks})", tuple(names))
            for name in names:
                tx.execute("INSERT INTO cursors VALUES (?, 0, '', 0, ?) ON CONFLICT DO NOTHING", (name, now))

        await self._store.submit(unit)

    async def advance(self, cursor: Cursor) -> None:
        """Remember where a relay stands. Losing the last advance only sends facts again, under the same ids."""
        now = self._store.clock.now()
        await self._store.submit(
            lambda tx: tx.execute(
                "INSERT INTO cursors VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET seq = excluded.seq, "
                "stream_created = excluded.stream_created, stream_seq = excluded.stream_seq, "
                "moved_at = excluded.moved_at",
                (cursor.name, cursor.seq, cursor.stream_created, cursor.stream_seq, now),
            )
        )

    def has_more_publications(self) -> bool:
        """Whether some were committed since this was last asked: a look at the file costs more than most commits."""
        known, self._publications_known = self._publications_known, self._store.writer.publications
        return self._publications_known > known

    async def publications(self, after: int = 0, limit: int = 256) -> list[Publication]:
        """Messages to send, oldest first."""

        def read(db: sqlite3.Connection) -> list[Publication]:
            rows = db.execute(
                "SELECT id, execution, path, subject, headers, body, created_at FROM publications "
                "WHERE id > ? ORDER BY id LIMIT ?",
                (after, limit),
            )
            return [
                Publication(
                    id=row[0],
                    execution=row[1],
                    path=row[2],
                    subject=row[3],
                    headers=msgspec.json.decode(row[4], type=dict[str, str]),
                    body=row[5],
                    created_at=row[6],
                )
                for row in rows
            ]

        return await self._store.read(read)

    async def published(self, ids: list[int]) -> None:
        """Messages were acknowledged: they go."""
        await self._store.submit(
            lambda tx: tx.db.executemany("DELETE FROM publications WHERE id = ?", ((i,) for i in ids))
        )

    async def refuse(self, publication: Publication, reason: str) -> None:
        """A message that can never be sent becomes a dead letter."""
        letter = DeadLetter(
            origin="outbox",
            subject=publication.subject,
            reason=reason,
            headers=publication.headers,
            body=publication.body,
            size=len(publication.body),
            received_at=self._store.clock.now(),
        )

        def unit(tx: Transaction) -> None:
            deadletters.bury(tx, letter)
            tx.execute("DELETE FROM publications WHERE id = ?", (publication.id,))

        await self._store.submit(unit)

    async def depth(self) -> int:
        """Facts that no relay has sent yet, and publications that wait."""

        def read(db: sqlite3.Connection) -> int:
            (sent,) = db.execute("SELECT COALESCE(MIN(seq), 0) FROM cursors").fetchone()
            (facts,) = db.execute("SELECT COUNT(*) FROM facts WHERE seq > ?", (sent,)).fetchone()
            (publications,) = db.execute("SELECT COUNT(*) FROM publications").fetchone()
            return int(facts + publications)

        return await self._store.read(read)


def history(
    db: sqlite3.Connection,
    *,
    after: int | None = None,
    limit: int,
    execution: str | None = None,
    workflow: str | None = None,
) -> list[Event]:
    """Facts that follow `after`, oldest first; without it the newest `limit` ones."""
    conditions, arguments = ["seq > ?"], list[str | int]([after or 0])
    for column, wanted in (("execution", execution), ("workflow", workflow)):
        if wanted is not None:
            conditions.append(f"{column} = ?")
            arguments.append(wanted)
    order = "DESC" if after is None else "ASC"
    rows = db.execute(
        f"SELECT {_FACT} FROM facts WHERE {' AND '.join(conditions)} ORDER BY seq {order} LIMIT ?", (*arguments, limit)
    )
    facts = [_fact(row) for row in rows]
    return facts[::-1] if after is None else facts


def last_seq(db: sqlite3.Connection) -> int:
    """The number of the newest fact ever; 0 before the first."""
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'facts'").fetchone()
    return int(row[0]) if row else 0


_FACT = "seq, time, kind, workflow, version, execution, node, data"


def _facts(db: sqlite3.Connection, seq: int, limit: int) -> list[Event]:
    rows = db.execute(f"SELECT {_FACT} FROM facts WHERE seq > ? ORDER BY seq LIMIT ?", (seq, limit))
    return [_fact(row) for row in rows]


def _fact(row: tuple[Json, ...]) -> Event:
    seq, time, kind, workflow, version, execution, node, data = row
    return Event(
        seq=seq, time=time, kind=Kind(kind), workflow=workflow, version=version, execution=execution, node=node,
        data=msgspec.Raw(data),
    )  # fmt: skip
