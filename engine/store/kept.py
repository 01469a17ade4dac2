"""Messages that came before anybody waited for them: kept for a while, bounded, and taken by the first that waits."""

from engine.events import Event, Kind
from engine.store.transaction import Transaction

MAX_MESSAGES = 1000
"""Kept for one workflow."""
MAX_BYTES = 16 * 1024 * 1024
"""Kept for one workflow, all together."""
_TOO_MANY = f"more than {MAX_MESSAGES} messages or {MAX_BYTES} bytes that nobody waits for"


def keep(tx: Transaction, *, workflow: str, key: str, body: bytes, now: int, seconds: float) -> None:
    """Keep a message for so long. Where there are too many the oldest of its workflow go, which a fact tells."""
    tx.execute(
        "INSERT INTO kept_messages (workflow, key, body, size, received_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
        (workflow, key, body, len(body), now, now + round(seconds * 1_000_000)),
    )
    count, size = tx.execute("SELECT COUNT(*), SUM(size) FROM kept_messages WHERE workflow = ?", (workflow,)).fetchone()
    if count > MAX_MESSAGES or size > MAX_BYTES:
        _make_room(tx, workflow, now, count, size)


def take(tx: Transaction, key: str, now: int, execution: str) -> bytes | None:
    """The oldest message that is kept under this key, but not the one that started the execution itself; it is nobody
    else's then."""
    found = tx.execute(
        "SELECT id, body FROM kept_messages WHERE key = ? AND expires_at > ? "
        "AND body IS NOT (SELECT trigger FROM executions WHERE id = ?) ORDER BY id LIMIT 1",
        (key, now, execution),
    ).fetchone()
    if found is None:
        return None
    id, body = found
    tx.execute("DELETE FROM kept_messages WHERE id = ?", (id,))
    return bytes(body)


def forget(tx: Transaction, now: int, limit: int = 5000) -> int:
    """Drop what nobody took in its time; returns how many."""
    return tx.execute(
        "DELETE FROM kept_messages WHERE id IN (SELECT id FROM kept_messages WHERE expires_at <= ? LIMIT ?)",
        (now, limit),
    ).rowcount


def _make_room(tx: Transaction, workflow: str, now: int, count: int, size: int) -> None:
    doomed = []
    dropped = 0
    for id, length, expires_at in tx.execute(
        "SELECT id, size, expires_at FROM kept_messages WHERE workflow = ? ORDER BY id", (workflow,)
    ):
        if count <= MAX_MESSAGES and size <= MAX_BYTES:
            break
        doomed.append((id,))
        dropped += expires_at > now
        count, size = count - 1, size - length
    tx.db.executemany("DELETE FROM kept_messages WHERE id = ?", doomed)
    if dropped:
        data = {"count": dropped, "reason": _TOO_MANY}
        tx.fact(Event(kind=Kind.MESSAGE_DROPPED, time=now, workflow=workflow, data=data))
