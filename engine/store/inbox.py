"""The inbox: which message has already become which execution. This is the real dedupe."""

import sqlite3

from engine.store.transaction import Transaction


def claim(tx: Transaction, *, workflow: str, scope: str, id: str, execution: str, now: int) -> str | None:
    """Claim a message for a new execution. Returns None when it is new, else the execution it already became."""
    claimed = tx.execute(
        "INSERT INTO inbox VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", (workflow, scope, id, execution, now)
    ).rowcount
    if claimed:
        return None
    (known,) = tx.execute(
        "SELECT execution FROM inbox WHERE workflow = ? AND scope = ? AND id = ?", (workflow, scope, id)
    ).fetchone()
    return str(known)


def known(db: sqlite3.Connection, *, workflow: str, scope: str, id: str) -> str | None:
    """The execution that a message already became; None for a new one."""
    found = db.execute(
        "SELECT execution FROM inbox WHERE workflow = ? AND scope = ? AND id = ?", (workflow, scope, id)
    ).fetchone()
    return None if found is None else str(found[0])


def forget(tx: Transaction, *, before: int, limit: int = 5000) -> int:
    """Drop claims older than `before`; returns how many went."""
    return tx.execute(
        "DELETE FROM inbox WHERE (workflow, scope, id) IN "
        "(SELECT workflow, scope, id FROM inbox WHERE received_at < ? LIMIT ?)",
        (before, limit),
    ).rowcount


def size(db: sqlite3.Connection) -> int:
    """Messages remembered."""
    return int(db.execute("SELECT COUNT(*) FROM inbox").fetchone()[0])
