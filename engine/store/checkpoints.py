"""The rows of an execution's nodes. Each is a checkpoint."""

import sqlite3
from collections.abc import Iterator
from functools import partial

import msgspec

from engine.states import SETTLED, NodeState, check_node_move
from engine.store import values
from engine.store.damage import checksum, problems
from engine.store.errors import StoreCorrupt
from engine.store.transaction import Transaction
from engine.values import Json


class NodeRow(msgspec.Struct, kw_only=True):
    """One node of an execution as stored."""

    path: str
    status: NodeState
    attempt: int
    port: str | None = None
    output: bytes | None = None
    error: bytes | None = None
    started_at: int | None = None
    finished_at: int | None = None
    due: int | None = None
    seq: int = 0
    """The order in which the nodes of an execution changed, from 1 on."""
    large: str | None = None
    """The hash of an output or memo that is too large for the row: `values.load` gives its bytes. `output` is None."""
    usage: bytes | None = None
    """What its attempts used: `usage.Usage`; None for nothing."""


class Change(msgspec.Struct, frozen=True):
    """The newest change of a node: a point to go back to."""

    seq: int
    time: int | None
    path: str
    status: str


_NODE = ", ".join(name for name in NodeRow.__struct_fields__)
_CHECKPOINT = (
    "INSERT OR REPLACE INTO nodes "
    "(execution, path, status, attempt, port, output, error, started_at, finished_at, due, seq, large, usage, crc) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def write(tx: Transaction, execution: str, row: NodeRow) -> None:
    """Write a node's row, replacing an earlier one (a retry, a wait, an intent). A large output or memo is stored once,
    and the row refers to it; one that comes as a reference must be stored already."""
    output, large = row.output, row.large
    replaced = None
    if large is not None:
        values.use(tx, execution, large)
    elif output is not None and len(output) > values.LARGE:
        replaced = _large_of(tx, execution, row.path)
        output, large = values.split(tx, execution, output)
    tx.execute(
        _CHECKPOINT,
        (execution, row.path, row.status.value, row.attempt, row.port, output, row.error, row.started_at,
         row.finished_at, row.due, row.seq, large, row.usage, _crc_of_node(execution, row, output, large)),
    )  # fmt: skip
    if replaced is not None and replaced != large and not refers(tx, execution, replaced):
        values.release(tx, execution, replaced)  # a node that waits again and again would pile its memos up


def _large_of(tx: Transaction, execution: str, path: str) -> str | None:
    found = tx.execute("SELECT large FROM nodes WHERE execution = ? AND path = ?", (execution, path)).fetchone()
    return None if found is None else found[0]


def refers(tx: Transaction, execution: str, hash: str) -> bool:
    """Whether any row of an execution holds this large value."""
    found = tx.execute(
        "SELECT EXISTS (SELECT 1 FROM nodes WHERE execution = ?1 AND large = ?2) "
        "OR EXISTS (SELECT 1 FROM executions WHERE id = ?1 AND ?2 IN (large_trigger, large_outputs))",
        (execution, hash),
    ).fetchone()
    return bool(found[0])


def of(db: sqlite3.Connection, execution: str, *, whole: bool = False) -> list[NodeRow]:
    """The node rows of an execution in order of path, with large values only if they are to be `whole`. Raises
    StoreCorrupt."""
    rows = [_node(execution, row) for row in _node_rows(db, execution)]
    if whole:
        for row in rows:
            if row.large is not None:
                row.output, row.large = values.load(db, row.large), None
    return rows


def listing(db: sqlite3.Connection, execution: str, *, after: int, limit: int) -> list[Change]:
    """The newest change of each node with a number above `after`, in the order in which they happened."""
    rows = db.execute(
        "SELECT seq, COALESCE(finished_at, started_at), path, status FROM nodes WHERE execution = ? AND seq > ? "
        "ORDER BY seq LIMIT ?",
        (execution, after, limit),
    )
    return [Change(*row) for row in rows]


def expect(tx: Transaction, execution: str, path: str, new: NodeState) -> None:
    """Raise IllegalMove unless this node may become `new`."""
    found = tx.execute("SELECT status FROM nodes WHERE execution = ? AND path = ?", (execution, path)).fetchone()
    check_node_move(NodeState(found[0]) if found else NodeState.PENDING, new)


def has_running(tx: Transaction, execution: str) -> bool:
    """Whether a node is on record as running: a control-flow node that is open, or an at_most_once attempt."""
    found = tx.execute("SELECT 1 FROM nodes WHERE execution = ? AND status = 'running' LIMIT 1", (execution,))
    return found.fetchone() is not None


def last_change(tx: Transaction, execution: str) -> int:
    """The number of the newest change of a node; 0 before the first."""
    (last,) = tx.execute("SELECT COALESCE(MAX(seq), 0) FROM nodes WHERE execution = ?", (execution,)).fetchone()
    return int(last)


def cancel_open(tx: Transaction, execution: str, now: int) -> None:
    """Nodes under way become cancelled with their execution. A damaged row stays as it is, and is told as damaged."""
    for found in _node_rows(tx.db, execution):
        try:
            row = _node(execution, found)
        except StoreCorrupt:
            continue
        if row.status not in SETTLED:
            write(tx, execution, msgspec.structs.replace(row, status=NodeState.CANCELLED, finished_at=now))


def check(db: sqlite3.Connection, step: int) -> Iterator[dict[str, str]]:
    """Look at every row, some at a time: the id of its execution -> problem, for the damaged ones."""
    found = db.execute(f"SELECT execution, {_NODE}, crc FROM nodes")
    while rows := found.fetchmany(step):
        yield problems((str(row[0]), partial(_node, row[0], row[1:])) for row in rows)


def _node_rows(db: sqlite3.Connection, execution: str) -> list[tuple[Json, ...]]:
    # All at once: a cursor that an error keeps alive would keep the reader's snapshot too, and what came after it
    # would not be seen.
    return db.execute(
        f"SELECT {_NODE}, crc FROM nodes WHERE execution = ? ORDER BY path", (execution,)
    ).fetchall()  # fmt: skip


def _node(execution: str, found: tuple[Json, ...]) -> NodeRow:
    row = NodeRow(**dict(zip(NodeRow.__struct_fields__, found[:-1], strict=True)))
    if found[-1] != _crc_of_node(execution, row, row.output, row.large):
        raise StoreCorrupt(f"the checkpoint of {row.path} in execution {execution} is damaged; it is not run")
    row.status = NodeState(row.status)
    return row


def _crc_of_node(execution: str, row: NodeRow, output: bytes | None, large: str | None) -> int:
    head = f"{execution}/{row.path}/{row.status}/{row.attempt}/{row.port}/{row.started_at}/{row.finished_at}/{row.due}"
    if row.seq:
        head = f"{head}/{row.seq}"
    if large:
        head = f"{head}/{large}"
    return checksum(head, output, row.error, row.usage)
