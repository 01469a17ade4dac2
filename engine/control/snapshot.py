"""What the store holds of one execution, read once for all pages that are asked for."""

import sqlite3
from functools import partial

import msgspec

from engine.execution.services import Services
from engine.planning.plan import Plan
from engine.states import FINISHED, SETTLED, NodeState
from engine.steering.inspection import Inspection
from engine.steering.row_tree import RowTree
from engine.store import checkpoints, looking, values
from engine.store.checkpoints import NodeRow
from engine.store.executions import ExecutionRow
from engine.store.looking import Relative, Waiting

KEEP_SECONDS = 5.0
"""How long a snapshot may be of use: a large one takes room."""


class Snapshot(msgspec.Struct, frozen=True):
    """Rows, ordered for who looks at them."""

    tree: RowTree
    inspection: Inspection | None
    waiting: list[Waiting]
    children: list[Relative]
    settled: int
    """How many of the workflow's own nodes have settled."""


class Snapshots:
    """Keeps the last one of an execution that has ended. Used on the reader's thread."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._last: tuple[tuple[str, int | None], Snapshot] | None = None

    def of(self, db: sqlite3.Connection, row: ExecutionRow, plan: Plan | None, under_way: dict[str, int]) -> Snapshot:
        """Raises StoreCorrupt."""
        key, last = (row.id, row.finished_at), self._last
        if last is not None and last[0] == key:
            return last[1]
        rows = _with_running(checkpoints.of(db, row.id), under_way)
        tree = RowTree(rows)
        inspection = None
        if plan is not None:
            inspection = Inspection(plan, row, rows, tree, self._services, partial(values.load, db))
        settled = sum(tree.rows[path].status in SETTLED for path in tree.nodes.get("", ()) if path in tree.rows)
        snapshot = Snapshot(
            tree, inspection, looking.waiting(db, [row.id]), looking.children(db, row.id), settled
        )  # fmt: skip
        if row.status in FINISHED:
            self._last = key, snapshot
        return snapshot

    def drop(self) -> None:
        """Nobody seems to page on."""
        self._last = None


def _with_running(rows: list[NodeRow], under_way: dict[str, int]) -> list[NodeRow]:
    """Nodes that are running have no row yet, or that of an earlier attempt."""
    known = {row.path: row for row in rows}
    last = max((row.seq for row in rows), default=0)
    for path, attempt in under_way.items():
        row = known.get(path)
        if row is None or row.status is not NodeState.IN_DOUBT:
            started = None if row is None else row.started_at
            seq = last + 1 if row is None else row.seq
            known[path] = NodeRow(path=path, status=NodeState.RUNNING, attempt=attempt, started_at=started, seq=seq)
    return list(known.values())
