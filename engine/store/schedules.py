"""When each cron trigger is due next. A row moves on in the commit that makes its execution."""

from collections.abc import Collection

from engine.store.transaction import Transaction


def listing(tx: Transaction) -> dict[tuple[str, int], tuple[str, int]]:
    """(workflow, position among its triggers) -> (schedule, due in microseconds since 1970)."""
    return {
        (workflow, position): (schedule, due)
        for workflow, position, schedule, due in tx.execute("SELECT workflow, position, schedule, due FROM schedules")
    }


def put(tx: Transaction, workflow: str, position: int, schedule: str, due: int) -> bool:
    """Set a row, whatever was there. False, and nothing done, if the workflow is not deployed (any more)."""
    done = tx.execute(
        "INSERT OR REPLACE INTO schedules SELECT ?, ?, ?, ? "
        "WHERE EXISTS (SELECT 1 FROM definitions WHERE workflow = ? AND active)",
        (workflow, position, schedule, due, workflow),
    ).rowcount
    return bool(done)


def advance(tx: Transaction, workflow: str, position: int, schedule: str, *, due: int, next_due: int) -> bool:
    """Move a row on. False if it is no longer the one that was due: somebody else moved it, or it is gone."""
    moved = tx.execute(
        "UPDATE schedules SET due = ? WHERE workflow = ? AND position = ? AND schedule = ? AND due = ?",
        (next_due, workflow, position, schedule, due),
    ).rowcount
    return bool(moved)


def forget(tx: Transaction, keys: Collection[tuple[str, int]]) -> None:
    """Drop rows."""
    tx.db.executemany("DELETE FROM schedules WHERE workflow = ? AND position = ?", keys)


def forget_inactive(tx: Transaction) -> None:
    """Drop the rows of workflows that are not deployed any more."""
    tx.execute("DELETE FROM schedules WHERE workflow NOT IN (SELECT workflow FROM definitions WHERE active)")
