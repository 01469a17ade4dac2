"""Large values: each is stored once, found by its content, and goes when nothing refers to it any more.

Whoever writes a row that may be large asks `split`; the row then holds the hash instead of the bytes. A use belongs to
an execution: retention removes the uses with the execution, and values without uses in the same transaction.
"""

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence

from engine.store.errors import StoreCorrupt
from engine.store.transaction import Transaction

LARGE = 64 * 1024
"""Bytes; what is longer is stored here."""


_newest: tuple[bytes, str] | None = None
"""The value that was kept last, and its hash: nodes that hand one on give the same bytes. Of the writer's thread."""


def hash_of(body: bytes) -> str:
    """What a value is found by: SHA-256, hex."""
    return hashlib.sha256(body).hexdigest()


def split(tx: Transaction, execution: str, body: bytes | None) -> tuple[bytes | None, str | None]:
    """What a row holds of a value: the bytes themselves, or the hash of a large one, which is stored by this."""
    if body is None or len(body) <= LARGE:
        return body, None
    return None, keep(tx, execution, body)


def keep(tx: Transaction, execution: str, body: bytes) -> str:
    """Store a value unless it is there, and note that the execution uses it; returns its hash."""
    global _newest
    if _newest is None or _newest[0] is not body:
        _newest = body, hash_of(body)
    hash = _newest[1]
    if tx.execute("SELECT 1 FROM large_values WHERE hash = ?", (hash,)).fetchone() is None:
        tx.execute("INSERT INTO large_values VALUES (?, ?, ?)", (hash, len(body), body))
    use(tx, execution, hash)
    return hash


def use(tx: Transaction, execution: str, hash: str) -> None:
    """Note that an execution uses a value that is stored already, such as that of the execution it is a fork of."""
    tx.execute("INSERT INTO value_uses VALUES (?, ?) ON CONFLICT DO NOTHING", (execution, hash))


def load(db: sqlite3.Connection, hash: str) -> bytes:
    """The bytes of a value. Raises StoreCorrupt when they are not what was written."""
    found = db.execute("SELECT body FROM large_values WHERE hash = ?", (hash,)).fetchone()
    if found is None:
        raise StoreCorrupt(f"the large value {hash[:12]} is damaged: it is not in the store; what needs it is not run")
    body = found[0]
    if not isinstance(body, bytes) or hash_of(body) != hash:
        raise StoreCorrupt(f"the large value {hash[:12]} is damaged; what needs it is not run")
    return body


def glimpse(db: sqlite3.Connection, hash: str, limit: int) -> tuple[int, bytes]:
    """Size and beginning of a value, unverified: to be shown."""
    found = db.execute(
        "SELECT size, substr(body, 1, ?) FROM large_values WHERE hash = ?", (limit, hash)
    ).fetchone()  # fmt: skip
    return (0, b"") if found is None else (int(found[0]), bytes(found[1]))


def release(tx: Transaction, execution: str, hash: str) -> None:
    """An execution does not use a value any more."""
    tx.execute("DELETE FROM value_uses WHERE execution = ? AND hash = ?", (execution, hash))
    _drop_unused(tx, [hash])


def purge(tx: Transaction, executions: Sequence[str]) -> None:
    """Executions go, and with them the values that only they used."""
    global _newest
    _newest = None
    used: set[str] = set()
    for execution in executions:
        used.update(
            hash for (hash,) in tx.execute("DELETE FROM value_uses WHERE execution = ? RETURNING hash", (execution,))
        )
    _drop_unused(tx, sorted(used))


def check(db: sqlite3.Connection, step: int) -> Iterator[dict[str, str]]:
    """Look at every value, one at a time (they are large): id of each execution that uses a damaged one -> problem."""
    for (hash,) in db.execute("SELECT hash FROM large_values"):
        try:
            load(db, str(hash))
        except StoreCorrupt as error:
            users = db.execute("SELECT execution FROM value_uses WHERE hash = ? LIMIT ?", (hash, step)).fetchall()
            yield {execution: str(error) for (execution,) in users}
        else:
            yield {}
    missing = db.execute(
        "SELECT execution, hash FROM value_uses WHERE hash NOT IN (SELECT hash FROM large_values) LIMIT ?", (step,)
    ).fetchall()
    yield {execution: f"the large value {str(hash)[:12]} is not in the store" for execution, hash in missing}


def _drop_unused(tx: Transaction, hashes: Sequence[str]) -> None:
    tx.db.executemany(
        "DELETE FROM large_values WHERE hash = ? AND NOT EXISTS "
        "(SELECT 1 FROM value_uses WHERE value_uses.hash = large_values.hash)",
        [(hash,) for hash in hashes],
    )
