"""The rows of executions; those of their nodes are checkpoints."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import msgspec

from engine.states import FINISHED, ExecutionState, check_execution_move
from engine.store import turns, values
from engine.store.damage import checksum, problems
from engine.store.errors import StoreCorrupt
from engine.store.transaction import Transaction
from engine.store.turns import Place
from engine.values import Json

_decode = msgspec.json.decode
_ABANDONED = frozenset({ExecutionState.CANCELLING, ExecutionState.CANCELLED})


class ExecutionRow(msgspec.Struct, kw_only=True):
    """One execution as stored; JSON columns are bytes, times microseconds since 1970."""

    num: int = 0
    """Order of intake on this agent."""
    id: str
    workflow: str
    version: int
    status: ExecutionState
    root: str
    cause: str = ""
    """Id of what caused it (an execution, an event); empty for a message from outside."""
    hops: int = 0
    trigger: bytes
    params: bytes = b"{}"
    outputs: bytes | None = None
    error: bytes | None = None
    created_at: int
    started_at: int | None = None
    finished_at: int | None = None
    due: int | None = None
    deaths: int = 0
    """Deaths of the process with this execution running, and no checkpoint since."""
    parent: str = ""
    """The execution whose node at `parent_path` waits for this one; empty without one."""
    parent_path: str = ""
    depth: int = 0
    """How many parents there are above it."""
    large_trigger: str | None = None
    """The hash of a large trigger, as stored; `get` fills `trigger` in."""
    large_outputs: str | None = None
    """The same for `outputs`."""
    forked_from: str = ""
    """The execution whose checkpoints it began with; empty for one that began by itself."""
    pausing: bool = False
    """It is to be paused as soon as its running attempts have ended, and at once if they died."""
    retried_at: int | None = None
    """When a person last let it run again after its end."""
    statistics: bytes | None = None
    """What became of its nodes and what they used, from its end on: `usage.Statistics`."""
    warned: str = ""
    """Limits of which there was a warning, by `LimitWarning.key`, each with a blank behind it."""

    @property
    def reason(self) -> str:
        """Why a person had it cancelled; empty without a reason."""
        error = None if self.error is None or self.status not in _ABANDONED else _decode(self.error)
        return str(error.get("message", "")) if isinstance(error, dict) else ""

    place: Place | None = None
    """Where a new one stands if its workflow has a flow: a row of its own, which `turns` reads. Not read back."""

    @property
    def trigger_value(self) -> Json:
        return _decode(self.trigger)

    @property
    def param_values(self) -> dict[str, Json]:
        values: dict[str, Json] = _decode(self.params)
        return values


_FIELDS = tuple(name for name in ExecutionRow.__struct_fields__ if name != "place")
_EXECUTION = ", ".join(_FIELDS)
_ID = _FIELDS.index("id")
_STATUS = _FIELDS.index("status")
_STATES = {state.value: state for state in ExecutionState}
_INSERT = (
    "INSERT INTO executions (id, workflow, version, status, root, cause, hops, trigger, params, created_at, parent, "
    "parent_path, depth, large_trigger, forked_from, crc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def create(tx: Transaction, row: ExecutionRow) -> int:
    """Insert a new execution; returns (and sets) its number."""
    crc = _crc_of_execution(row)
    trigger, row.large_trigger = values.split(tx, row.id, row.trigger)
    row.num = (
        tx.execute(
            _INSERT,
            (row.id, row.workflow, row.version, row.status.value, row.root, row.cause, row.hops, trigger or b"",
             row.params, row.created_at, row.parent, row.parent_path, row.depth, row.large_trigger, row.forked_from,
             crc),
        ).lastrowid
        or 0
    )  # fmt: skip
    if row.place is not None:
        turns.enter(tx, row.place, num=row.num, execution=row.id, workflow=row.workflow, parent=row.parent)
    return row.num


def start(tx: Transaction, execution: str, now: int) -> None:
    """Mark as running; keeps the first start's time."""
    tx.execute(
        "UPDATE executions SET status = 'running', due = NULL, error = NULL, finished_at = NULL, "
        "started_at = COALESCE(started_at, ?) WHERE id = ?",
        (now, execution),
    )


def resume(tx: Transaction, execution: str) -> int:
    """Count a resumption after a death of the process; returns how many there were since the last checkpoint."""
    tx.execute("UPDATE executions SET deaths = deaths + 1, due = NULL WHERE id = ?", (execution,))
    (deaths,) = tx.execute("SELECT deaths FROM executions WHERE id = ?", (execution,)).fetchone()
    return int(deaths)


def warn(tx: Transaction, execution: str, keys: str) -> None:
    """Remember of which limits there was a warning; each key has a blank behind it."""
    tx.execute("UPDATE executions SET warned = warned || ? WHERE id = ?", (keys, execution))


def forgive(tx: Transaction, execution: str) -> None:
    """A checkpoint was reached: what died before is forgiven."""
    tx.execute("UPDATE executions SET deaths = 0 WHERE id = ?", (execution,))


def move(
    tx: Transaction, execution: str, status: ExecutionState, *, due: int | None = None, error: bytes | None = None
) -> None:
    """Change the state; `due` is when a waiting execution is to be looked at again, `error` why it is cancelled."""
    pausing = "" if status in (ExecutionState.RUNNING, ExecutionState.WAITING) else ", pausing = 0"
    tx.execute(
        f"UPDATE executions SET status = ?, due = ?, error = ?{pausing} WHERE id = ?",
        (status.value, due, error, execution),
    )


def mark_pausing(tx: Transaction, execution: str, wanted: bool) -> None:
    """Remember, or take back, that an execution that is under way is to be paused: its runner may die before it is."""
    tx.execute(
        "UPDATE executions SET pausing = ? WHERE id = ? AND status IN ('queued', 'running', 'waiting')",
        (wanted, execution),
    )


def block(tx: Transaction, execution: str, error: bytes) -> None:
    """Set an execution aside that this agent can't run; `error` says why."""
    tx.execute("UPDATE executions SET status = 'blocked', due = NULL, error = ? WHERE id = ?", (error, execution))


def finish(
    tx: Transaction, execution: str, status: ExecutionState, *, now: int, outputs: bytes | None, error: bytes | None,
    statistics: bytes | None = None,
) -> None:  # fmt: skip
    """Record the end of an execution."""
    outputs, large = values.split(tx, execution, outputs)
    tx.execute(
        "UPDATE executions SET status = ?, outputs = ?, large_outputs = ?, error = ?, finished_at = ?, due = NULL, "
        "pausing = 0, statistics = ? WHERE id = ?",
        (status.value, outputs, large, error, now, statistics, execution),
    )
    turns.leave(tx, execution)


def get(db: sqlite3.Connection, execution: str) -> ExecutionRow | None:
    """One execution, whole. Raises StoreCorrupt when the row is not what was written."""
    found = db.execute(f"SELECT {_EXECUTION}, crc FROM executions WHERE id = ?", (execution,)).fetchone()
    return _execution(db, found) if found else None


def glimpse(db: sqlite3.Connection, execution: str) -> ExecutionRow:
    """What the row says, true or not, without large values: to be shown or ended, never to be run. Raises
    LookupError."""
    found = db.execute(f"SELECT {_EXECUTION} FROM executions WHERE id = ?", (execution,)).fetchone()
    if found is None:
        raise LookupError(f"no execution {execution}")
    return _unverified(found)


def find(db: sqlite3.Connection, prefix: str) -> list[str]:
    """Ids that start with `prefix`, newest first, at most ten: people type beginnings."""
    return [
        name
        for (name,) in db.execute(
            "SELECT id FROM executions WHERE id >= ? AND id < ? ORDER BY num DESC LIMIT 10", (prefix, prefix + "\x7f")
        )
    ]


def listing(
    db: sqlite3.Connection,
    *,
    workflow: str | None = None,
    states: Iterable[ExecutionState] = (),
    before: int | None = None,
    limit: int = 50,
) -> list[ExecutionRow]:
    """Executions, newest first, as their rows say, without large values; `before` is the `num` to page on from."""
    conditions, arguments = ["1"], list[str | int]()
    if workflow is not None:
        conditions.append("workflow = ?")
        arguments.append(workflow)
    wanted = [state.value for state in states]
    if wanted:
        conditions.append(f"status IN ({', '.join('?' * len(wanted))})")
        arguments.extend(wanted)
    if before is not None:
        conditions.append("num < ?")
        arguments.append(before)
    rows = db.execute(
        f"SELECT {_EXECUTION} FROM executions WHERE {' AND '.join(conditions)} ORDER BY num DESC LIMIT ?",
        (*arguments, limit),
    )
    return [_unverified(row) for row in rows]


def queued(db: sqlite3.Connection, *, after: int, limit: int) -> list[tuple[str, int]]:
    """Ids and numbers of what waits for a slot, in order of intake; without those that have a turn."""
    rows = db.execute(
        "SELECT id, num FROM executions WHERE status = 'queued' AND finished_at IS NULL AND num > ? "
        "AND NOT EXISTS (SELECT 1 FROM turns WHERE turns.num = executions.num) ORDER BY num LIMIT ?",
        (after, limit),
    )
    return [(id, num) for id, num in rows]


def open_ids(db: sqlite3.Connection, *states: ExecutionState) -> list[str]:
    """Ids of unfinished executions in these states, in order of intake."""
    marks = ", ".join("?" * len(states))
    return [
        name
        for (name,) in db.execute(
            f"SELECT id FROM executions WHERE finished_at IS NULL AND status IN ({marks}) ORDER BY num",
            [state.value for state in states],
        )
    ]


def open_versions(db: sqlite3.Connection) -> list[tuple[str, int]]:
    """(workflow, version) of all executions that have not ended."""
    return db.execute("SELECT DISTINCT workflow, version FROM executions WHERE finished_at IS NULL").fetchall()


def due(db: sqlite3.Connection, now: int, limit: int) -> list[str]:
    """Waiting executions whose time has come, the oldest first."""
    rows = db.execute(
        "SELECT id FROM executions WHERE status = 'waiting' AND due <= ? ORDER BY due LIMIT ?", (now, limit)
    )
    return [id for (id,) in rows]


def next_due(db: sqlite3.Connection, after: int) -> int | None:
    """When the next waiting execution is due after that time (microseconds)."""
    (first,) = db.execute("SELECT MIN(due) FROM executions WHERE status = 'waiting' AND due > ?", (after,)).fetchone()
    return None if first is None else int(first)


def expect(tx: Transaction, execution: str, new: ExecutionState) -> ExecutionRow:
    """The execution, which may legally become `new`. Raises IllegalMove otherwise, LookupError if it is not there."""
    row = glimpse(tx.db, execution)
    check_execution_move(row.status, new)
    return row


def count_by_state(db: sqlite3.Connection) -> dict[str, int]:
    """How many executions are in each state that is not an end."""
    ends = ", ".join(f"'{state.value}'" for state in FINISHED)
    return dict(
        db.execute(
            "SELECT status, COUNT(*) FROM executions "
            f"WHERE finished_at IS NULL AND status NOT IN ({ends}) GROUP BY status"
        )
    )


def check(db: sqlite3.Connection, step: int) -> Iterator[dict[str, str]]:
    """Look at every execution, some at a time: id -> problem, for the damaged ones. Large values have a check of their
    own."""
    found = db.execute(f"SELECT {_EXECUTION}, crc FROM executions")
    while rows := found.fetchmany(step):
        yield problems((str(row[_ID]), partial(_execution, db, row)) for row in rows)


def _unverified(found: Sequence[Json]) -> ExecutionRow:
    row = ExecutionRow(**dict(zip(_FIELDS, found, strict=True)))
    # A state that is none is damage: such an execution is not run, and can be cancelled.
    row.status = _STATES.get(row.status, ExecutionState.BLOCKED)
    return row


def _execution(db: sqlite3.Connection, found: tuple[Json, ...]) -> ExecutionRow:
    row = _unverified(found[:-1])
    if row.large_trigger is not None:
        row.trigger = values.load(db, row.large_trigger)
    if found[-1] != _crc_of_execution(row) or row.status != found[_STATUS]:
        raise StoreCorrupt(f"the stored execution {row.id} is damaged; it is not run")
    if row.large_outputs is not None:
        row.outputs = values.load(db, row.large_outputs)
    return row


def _crc_of_execution(row: ExecutionRow) -> int:
    """Over what an execution is made of, a large trigger too; its state and its end change, and are not covered."""
    head = f"{row.id}/{row.workflow}@{row.version}/{row.root}/{row.cause}/{row.hops}/{row.created_at}"
    if row.parent:  # rows of before there were any stay valid
        head = f"{head}/{row.parent}/{row.parent_path}/{row.depth}"
    if row.forked_from:
        head = f"{head}/fork/{row.forked_from}"
    return checksum(head, row.trigger, row.params)
