"""Going back to an earlier checkpoint of an execution: the same one after its end, or a new one that begins there."""

from collections.abc import Iterable, Sequence

from engine.store import checkpoints, executions, values
from engine.store.checkpoints import NodeRow
from engine.store.executions import ExecutionRow
from engine.store.transaction import Transaction


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
        checkpoints.write(tx, row.id, node)


def _release(tx: Transaction, execution: str, hashes: Sequence[str]) -> None:
    for hash in hashes:
        if not checkpoints.refers(tx, execution, hash):
            values.release(tx, execution, hash)
