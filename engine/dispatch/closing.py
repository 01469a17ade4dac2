"""The end of an execution that nobody runs, in one transaction: its row, its open nodes, and what it used."""

from engine.execution.metering import tallied
from engine.states import ExecutionState
from engine.store import StoreCorrupt, Transaction, checkpoints, executions, usage
from engine.store.executions import ExecutionRow
from engine.store.usage import Statistics, read_statistics
from engine.values import Json, encode_json

__all__ = ["close"]


def close(tx: Transaction, row: ExecutionRow, state: ExecutionState, now: int, error: bytes | None) -> dict[str, Json]:
    """End it; returns what its last fact says of that: the status, and the statistics of one that had begun."""
    checkpoints.cancel_open(tx, row.id, now)
    found = _statistics(tx, row, now)
    told = None if found is None else encode_json(found)
    executions.finish(tx, row.id, state, now=now, outputs=None, error=error, statistics=told)
    if found is None:
        return {"status": state.value}
    before = None if row.statistics is None else read_statistics(row.statistics)
    usage.book(tx, row.workflow, now, found, before, failed=state is ExecutionState.FAILED)
    return {"status": state.value, "statistics": found}


def _statistics(tx: Transaction, row: ExecutionRow, now: int) -> Statistics | None:
    if row.started_at is None:
        return None
    try:
        rows = checkpoints.of(tx.db, row.id)
    except StoreCorrupt:
        return None  # what is damaged is told as damaged, and can be ended
    return tallied(rows).statistics((now - row.started_at) / 1_000_000)
