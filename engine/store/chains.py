"""How far a workflow has looked through the facts for events of another one. A row moves on in the commit that makes
the executions, and the facts behind the least advanced row are not removed."""

from collections.abc import Collection

from engine.store.transaction import LAST_FACT, Transaction


def listing(tx: Transaction) -> dict[tuple[str, str], int]:
    """(workflow, source workflow) -> the newest fact that was looked at."""
    return {(workflow, source): seq for workflow, source, seq in tx.execute("SELECT workflow, source, seq FROM chains")}


def begin(tx: Transaction, workflow: str, source: str) -> int:
    """Start behind the newest fact; returns its number. What another workflow did before does not count."""
    last = tx.execute(LAST_FACT).fetchone()
    return put(tx, workflow, source, 0 if last is None else int(last[0]))


def put(tx: Transaction, workflow: str, source: str, seq: int) -> int:
    """Set a row, whatever was there, unless the workflow is not deployed (any more); returns `seq`."""
    tx.execute(
        "INSERT OR REPLACE INTO chains SELECT ?, ?, ? "
        "WHERE EXISTS (SELECT 1 FROM definitions WHERE workflow = ? AND active)",
        (workflow, source, seq, workflow),
    )
    return seq


def advance(tx: Transaction, workflow: str, source: str, *, seq: int, next_seq: int) -> bool:
    """Move a row on. False, and nothing done, if it is no longer where it was, or the workflow is not deployed."""
    moved = tx.execute(
        "UPDATE chains SET seq = ? WHERE workflow = ? AND source = ? AND seq = ? "
        "AND EXISTS (SELECT 1 FROM definitions WHERE workflow = ? AND active)",
        (next_seq, workflow, source, seq, workflow),
    ).rowcount
    return bool(moved)


def forget(tx: Transaction, keys: Collection[tuple[str, str]]) -> None:
    """Drop rows."""
    tx.db.executemany("DELETE FROM chains WHERE workflow = ? AND source = ?", keys)


def forget_inactive(tx: Transaction) -> None:
    """Drop the rows of workflows that are not deployed any more."""
    tx.execute("DELETE FROM chains WHERE workflow NOT IN (SELECT workflow FROM definitions WHERE active)")


def needed_after(tx: Transaction) -> int | None:
    """Facts behind this number are still to be looked at; None if nobody looks."""
    (seq,) = tx.execute("SELECT MIN(seq) FROM chains").fetchone()
    return None if seq is None else int(seq)
