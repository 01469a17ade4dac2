"""Going back to an earlier checkpoint of an execution: the same one after its end, or a new one that begins there."""

import sqlite3
from collections.abc import Iterable, Sequence

import msgspec

from engine.store import executions, values
from engine.store.executions import ExecutionRow, NodeRow
from engine.store.transaction import Transaction


class CheckpointRow(msgspec.Struct, frozen=True):
    """One change of a node that can be gone back to."""

    seq: int
    time: int | None
    path: str
    status: str


def reopen(tx: Transaction, row: ExecutionRow, now: int) -> None:
    """An execution that ended is running again, its end and the deaths before it forgotten."""
    tx.execute(
        "UPDATE executions SET status = 'running', outputs = NULL, large_outputs = NULL, error = NULL, "
        "finished_at = NULL, due = NULL, deaths = 0, retried_at = ? WHERE id = ?",
        (now, row.id),
    )
    if row.large_outputs is not None:
        _release(tx, row.id, [row.large_outputs])


def forget(tx: Transaction, execution: str, paths: Iterable[str]) -> None:
    """These nodes have not run."""
    large: set[str] = set()
    for path in paths:
        found = tx.execute(
            "DELETE FROM nodes WHERE execution = ? AND path = ? RETURNING large", (execution, path)
        ).fetchone()
        if found is not None and found[0] is not None:
            large.add(found[0])
    _release(tx, execution, sorted(large))


def fork(tx: Transaction, row: ExecutionRow, nodes: Iterable[NodeRow], *, started_at: int | None) -> None:
    """A new execution that begins with rows of an old one, which is still there: large values are shared with it."""
    executions.create(tx, row)
    if started_at is not None:
        tx.execute("UPDATE executions SET started_at = ? WHERE id = ?", (started_at, row.id))
    for node in nodes:
        executions.checkpoint(tx, row.id, node)


def checkpoints(db: sqlite3.Connection, execution: str, *, after: int, limit: int) -> list[CheckpointRow]:
    """The newest change of each node, in the order in which they happened."""
    rows = db.execute(
        "SELECT seq, COALESCE(finished_at, started_at), path, status FROM nodes WHERE execution = ? AND seq > ? "
        "ORDER BY seq LIMIT ?",
        (execution, after, limit),
    )
    return [CheckpointRow(*row) for row in rows]


def _release(tx: Transaction, execution: str, hashes: Sequence[str]) -> None:
    for hash in hashes:
        if not executions.refers(tx, execution, hash):
            values.release(tx, execution, hash)
