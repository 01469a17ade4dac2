"""What is asked of the store for people who look at executions; each query is bounded by the ids that it is given."""

import sqlite3
from collections.abc import Sequence

import msgspec

_SETTLED = "('completed', 'failed', 'skipped', 'cancelled')"
_TOP = "instr(path, '/') = 0 AND instr(path, '[') = 0"
"""Rows of a workflow's own nodes."""


class Waiting(msgspec.Struct, frozen=True):
    """Why one node of an execution does not go on."""

    execution: str
    path: str
    status: str
    due: int | None
    kind: str | None
    """What it waits for, besides a time: message, execution, form."""
    key: str | None
    title: str | None
    """Of a form."""


class Relative(msgspec.Struct, frozen=True):
    """An execution that another one started, or that was forked from it."""

    id: str
    path: str
    workflow: str
    version: int
    status: str


def waiting(db: sqlite3.Connection, executions: Sequence[str]) -> list[Waiting]:
    """The nodes of these executions that wait, are to be retried, or are in doubt."""
    rows = db.execute(
        "SELECT n.execution, n.path, n.status, n.due, w.kind, w.key, "
        "CASE w.kind WHEN 'form' THEN json_extract(w.detail, '$.title') END "
        "FROM nodes AS n LEFT JOIN waits AS w ON w.execution = n.execution AND w.path = n.path AND w.ended_at IS NULL "
        f"WHERE n.execution IN ({_marks(executions)}) AND n.status IN ('waiting', 'retrying', 'in_doubt') "
        "ORDER BY n.execution, n.seq",
        executions,
    )
    return [Waiting(*row) for row in rows]


def settled(db: sqlite3.Connection, executions: Sequence[str]) -> dict[str, int]:
    """How many of a workflow's own nodes have settled in each of these executions."""
    return dict(
        db.execute(
            f"SELECT execution, COUNT(*) FROM nodes WHERE execution IN ({_marks(executions)}) AND {_TOP} "
            f"AND status IN {_SETTLED} GROUP BY execution",
            executions,
        )
    )


def children(db: sqlite3.Connection, execution: str, limit: int = 100) -> list[Relative]:
    """The executions that its nodes started and wait for, or have waited for."""
    rows = db.execute(
        "SELECT id, parent_path, workflow, version, status FROM executions WHERE parent = ? AND parent != '' "
        "ORDER BY num LIMIT ?",
        (execution, limit),
    )
    return [Relative(*row) for row in rows]


def descendants(db: sqlite3.Connection, executions: Sequence[str], limit: int = 1000) -> list[str]:
    """Ids of their children, and of the children of those, nearest first."""
    found: list[str] = []
    level = list(executions)
    while level and len(found) < limit:
        level = [
            id
            for (id,) in db.execute(
                f"SELECT id FROM executions WHERE parent IN ({_marks(level)}) AND parent != '' ORDER BY num LIMIT ?",
                (*level, limit - len(found)),
            )
        ]
        found.extend(level)
    return found


def _marks(executions: Sequence[str]) -> str:
    return ", ".join("?" * len(executions))
