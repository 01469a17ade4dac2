"""What nodes wait for, and the answers: rows, so that neither is lost with the process.

    message    a message from outside     key: whose wait it is, and the correlation value
    execution  the end of an execution    key: its id
    form       a person                   key: the id of the form

A wait begins in the checkpoint of its node and ends in the one that settles it. An answer that is committed in between
wakes the node once: at once where somebody runs it (told through `Transaction.answers` after the commit), else when its
execution is taken up, which is due from then on. The row of a form stays after its end, so that who comes late can be
told what became of it.
"""

import sqlite3

import msgspec

from engine.clock import format_time
from engine.events import Event, Kind
from engine.states import FINISHED
from engine.store import kept, values
from engine.store.transaction import Transaction
from engine.values import Json, encode_json

MESSAGE, EXECUTION, FORM = "message", "execution", "form"
"""Kinds of expectations."""
UNKNOWN = "unknown"
"""The status that is told of an execution that is not there."""


class WaitRow(msgspec.Struct, kw_only=True):
    """One waiting node. Times are microseconds since 1970."""

    execution: str
    path: str
    kind: str
    key: str
    workflow: str
    node: str
    """Its name in the file, without the place in the execution."""
    detail: bytes = b"null"
    """JSON: what the answering side needs."""
    created_at: int
    due: int | None = None
    """When it ends without an answer."""
    answer: bytes | None = None
    """JSON: what the node is told."""
    answered_at: int | None = None
    ended_at: int | None = None
    """Of a form whose node waits no more."""


_COLUMNS = ", ".join(WaitRow.__struct_fields__)
_OPEN = "answered_at IS NULL AND ended_at IS NULL"
_CONCERNED = (
    "SELECT EXISTS (SELECT 1 FROM waits WHERE execution = ?1) "
    f"OR EXISTS (SELECT 1 FROM waits WHERE kind = '{EXECUTION}' AND key = ?1 AND answered_at IS NULL)"
)
_ENDS = frozenset(state.value for state in FINISHED)


# --- the waiting side ------------------------------------------------------------------------------------------------


def begin(tx: Transaction, row: WaitRow) -> bytes | None:
    """Insert a wait, in the checkpoint of its node; one that the node began before is replaced.

    What it waits for may have come already: a message that was kept, an execution that has ended (a child is created
    before). Then that is the answer: it is stored, and returned for `Transaction.answers`.
    """
    answer = None
    if row.kind == MESSAGE:
        answer = kept.take(tx, row.key, row.created_at, row.execution)
    elif row.kind == EXECUTION:
        answer = _end_of(tx, row.key)
    elif row.kind == FORM:
        until = None if row.due is None else format_time(row.due)
        data = {"form": row.key, "until": until, **msgspec.json.decode(row.detail, type=_About).shown}
        _fact(tx, Kind.FORM_OPENED, row, row.created_at, data)
    answered_at = None if answer is None else row.created_at
    tx.execute(
        f"INSERT OR REPLACE INTO waits ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
        (row.execution, row.path, row.kind, row.key, row.workflow, row.node, row.detail, row.created_at, row.due,
         answer, answered_at),
    )  # fmt: skip
    return answer


def end(tx: Transaction, execution: str, path: str, now: int | None = None) -> None:
    """The node waits no more: it was answered, its time is over, or it was cancelled. In its checkpoint; without `now`
    its time is over."""
    found = tx.execute(f"SELECT {_COLUMNS} FROM waits WHERE execution = ? AND path = ?", (execution, path)).fetchone()
    if found is not None:
        _end(tx, _row(found), now)


def end_all(tx: Transaction, execution: str, now: int) -> None:
    """The same for all nodes of an execution that ends without being run."""
    rows = tx.execute(f"SELECT {_COLUMNS} FROM waits WHERE execution = ? AND ended_at IS NULL", (execution,)).fetchall()
    for found in rows:
        _end(tx, _row(found), now)


def open_of(db: sqlite3.Connection, execution: str) -> dict[str, bytes | None]:
    """The waits of an execution that have not ended, by path, and the answers that their nodes have not taken yet."""
    return dict(db.execute("SELECT path, answer FROM waits WHERE execution = ? AND ended_at IS NULL", (execution,)))


def has_answered(tx: Transaction, execution: str) -> bool:
    """Whether there are such answers: an execution must not be parked over them."""
    found = tx.execute(
        "SELECT 1 FROM waits WHERE execution = ? AND answered_at IS NOT NULL AND ended_at IS NULL", (execution,)
    ).fetchone()
    return found is not None


# --- the answering side ----------------------------------------------------------------------------------------------


def answer(
    tx: Transaction, kind: str, key: str, body: bytes, now: int, *, first: bool = False
) -> list[tuple[str, str]]:
    """Answer all that wait for this now, or only the oldest of them; (execution, path) of each.

    Executions that are parked become due at once, so that a crash before anybody is told loses nothing.
    """
    pairs = tx.execute(
        f"SELECT execution, path FROM waits WHERE kind = ? AND key = ? AND {_OPEN} ORDER BY created_at, execution, path"
        + (" LIMIT 1" if first else ""),
        (kind, key),
    ).fetchall()
    for execution, path in pairs:
        tx.execute(
            "UPDATE waits SET answer = ?, answered_at = ? WHERE execution = ? AND path = ?",
            (body, now, execution, path),
        )
        tx.execute("UPDATE executions SET due = ? WHERE id = ? AND status = 'waiting'", (now, execution))
        tx.answers.append((execution, path, body))
    return pairs


def execution_ended(
    tx: Transaction, execution: str, status: str, *, outputs: bytes | None, error: bytes | None, now: int
) -> None:
    """Answer all that wait for its end, in the commit of that end; its own nodes wait no more."""
    # Hardly any execution waits or is waited for when it ends: one look tells.
    (concerned,) = tx.execute(_CONCERNED, (execution,)).fetchone()
    if concerned:
        end_all(tx, execution, now)
        answer(tx, EXECUTION, execution, _told(execution, status, outputs, error), now)


# --- looking ---------------------------------------------------------------------------------------------------------


def listing(
    db: sqlite3.Connection, kind: str, *, key: str = "", ended: bool = False, limit: int = 100
) -> list[WaitRow]:
    """Open waits of a kind, the oldest first; with `ended` also those of the past. `key` is the beginning of keys."""
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM waits WHERE kind = ? AND key >= ? AND key < ? {'' if ended else f'AND {_OPEN}'} "
        "ORDER BY created_at LIMIT ?",
        (kind, key, f"{key}\x7f", limit),
    )
    return [_row(row) for row in rows]


def children(db: sqlite3.Connection, execution: str) -> list[tuple[str, str, str, str]]:
    """(id, path of the node that waits for it, workflow, status) of the executions that an execution waits for or has
    waited for, in the order in which they were made."""
    return db.execute(
        "SELECT id, parent_path, workflow, status FROM executions WHERE parent = ? AND parent != '' ORDER BY num",
        (execution,),
    ).fetchall()


def orphans(db: sqlite3.Connection) -> list[str]:
    """Children under way whose parent's node waits for them no more: they are to be cancelled."""
    rows = db.execute(
        "SELECT child.id FROM executions AS child WHERE child.finished_at IS NULL AND child.parent != '' "
        "AND NOT EXISTS (SELECT 1 FROM waits WHERE waits.execution = child.parent AND waits.path = child.parent_path "
        "AND waits.key = child.id) ORDER BY child.num"
    )
    return [id for (id,) in rows]


# --- how -------------------------------------------------------------------------------------------------------------


class _About(msgspec.Struct):
    """What facts tell of a form."""

    title: str = ""
    assignees: tuple[str, ...] = ()

    @property
    def shown(self) -> dict[str, Json]:
        return {"title": self.title[:500], "assignees": [name[:100] for name in self.assignees[:20]]}


def _end(tx: Transaction, row: WaitRow, now: int | None) -> None:
    where = (row.execution, row.path)
    if row.kind != FORM:
        tx.execute("DELETE FROM waits WHERE execution = ? AND path = ?", where)
        if row.kind == EXECUTION and row.answered_at is None and _is_child(tx, row):
            tx.orphans.append(row.key)
    elif row.ended_at is None:
        now = now or row.due or row.created_at
        tx.execute("UPDATE waits SET ended_at = ? WHERE execution = ? AND path = ?", (now, *where))
        if row.answered_at is None:
            over = row.due is not None and now >= row.due
            _fact(tx, Kind.FORM_EXPIRED, row, now, {"form": row.key, "reason": "time is over" if over else "withdrawn"})


def _is_child(tx: Transaction, row: WaitRow) -> bool:
    found = tx.execute(
        "SELECT 1 FROM executions WHERE id = ? AND parent = ? AND parent_path = ? AND finished_at IS NULL",
        (row.key, row.execution, row.path),
    ).fetchone()
    return found is not None


def _end_of(tx: Transaction, execution: str) -> bytes | None:
    """What is told of an execution that has ended or is not there; None while it is under way."""
    found = tx.execute(
        "SELECT status, outputs, error, large_outputs FROM executions WHERE id = ?", (execution,)
    ).fetchone()
    if found is None:
        return _told(execution, UNKNOWN, None, None)
    status, outputs, error, large = found
    if large is not None and status in _ENDS:
        outputs = values.load(tx.db, large)
    return _told(execution, status, outputs, error) if status in _ENDS else None


def _told(execution: str, status: str, outputs: bytes | None, error: bytes | None) -> bytes:
    return encode_json({"execution": execution, "status": status, "outputs": _raw(outputs), "error": _raw(error)})


def _raw(part: bytes | None) -> msgspec.Raw | None:
    """Stored JSON, to be embedded as it is."""
    return None if part is None else msgspec.Raw(part)


def _fact(tx: Transaction, kind: Kind, row: WaitRow, now: int, data: dict[str, Json]) -> None:
    found = tx.execute("SELECT version FROM executions WHERE id = ?", (row.execution,)).fetchone()
    version = found[0] if found else 0
    tx.fact(
        Event(
            kind=kind, time=now, workflow=row.workflow, version=version, execution=row.execution, node=row.path,
            data=data,
        )
    )  # fmt: skip


def submitted(tx: Transaction, row: WaitRow, by: str, now: int) -> None:
    """The fact that a form was filled in; beside `answer`."""
    _fact(tx, Kind.FORM_SUBMITTED, row, now, {"form": row.key, "by": by[:200]})


def _row(values: tuple[Json, ...]) -> WaitRow:
    return WaitRow(**dict(zip(WaitRow.__struct_fields__, values, strict=True)))
