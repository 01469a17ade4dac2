"""Deployed definitions. A version never changes; running executions keep theirs."""

import sqlite3

import msgspec

from engine.events import Event, Kind
from engine.store.transaction import Transaction
from engine.values import Json


class DefinitionRow(msgspec.Struct, kw_only=True):
    """One version of a workflow: canonical source (JSON) and the parameters bound at deploy (JSON)."""

    workflow: str
    version: int
    hash: str
    source: bytes
    params: bytes
    deployed_at: int
    active: bool
    """Its triggers are on; at most one version of a workflow is active."""


_COLUMNS = ", ".join(DefinitionRow.__struct_fields__)


def deploy(tx: Transaction, *, workflow: str, hash: str, source: bytes, params: bytes, now: int) -> DefinitionRow:
    """Make this the active version. The same hash as the newest version is that version again."""
    newest = tx.execute(
        f"SELECT {_COLUMNS} FROM definitions WHERE workflow = ? ORDER BY version DESC LIMIT 1", (workflow,)
    ).fetchone()
    row = _row(newest) if newest else None
    if row is not None and row.hash == hash:
        if row.source != source:  # damaged: the hash says what it was
            where = (source, params, workflow, row.version)
            tx.execute("UPDATE definitions SET source = ?, params = ? WHERE workflow = ? AND version = ?", where)
        if row.active:
            return row
        row.active = True
    else:
        version = row.version + 1 if row else 1
        row = DefinitionRow(
            workflow=workflow, version=version, hash=hash, source=source, params=params, deployed_at=now, active=True
        )
        tx.execute(
            f"INSERT INTO definitions ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, 0)",
            (workflow, version, hash, source, params, now),
        )
    tx.execute("UPDATE definitions SET active = (version = ?) WHERE workflow = ?", (row.version, workflow))
    tx.fact(
        Event(kind=Kind.DEFINITION_DEPLOYED, time=now, workflow=workflow, version=row.version, data={"hash": row.hash})
    )
    return row


def keep(tx: Transaction, *, workflow: str, hash: str, source: bytes, params: bytes, now: int) -> DefinitionRow:
    """A version with this content that is not made active: the newest one that there is, or a new one."""
    found = tx.execute(
        f"SELECT {_COLUMNS} FROM definitions WHERE workflow = ? AND hash = ? AND source = ? "
        "ORDER BY version DESC LIMIT 1",
        (workflow, hash, source),
    ).fetchone()
    if found:
        return _row(found)
    (newest,) = tx.execute("SELECT MAX(version) FROM definitions WHERE workflow = ?", (workflow,)).fetchone()
    row = DefinitionRow(
        workflow=workflow, version=(newest or 0) + 1, hash=hash, source=source, params=params, deployed_at=now,
        active=False,
    )  # fmt: skip
    tx.execute(
        f"INSERT INTO definitions ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, 0)",
        (workflow, row.version, hash, source, params, now),
    )
    return row


def undeploy(tx: Transaction, workflow: str, now: int) -> bool:
    """Switch a workflow's triggers off; its versions stay for the executions that run them."""
    changed = tx.execute("UPDATE definitions SET active = 0 WHERE workflow = ? AND active", (workflow,)).rowcount
    if changed:
        tx.execute("DELETE FROM schedules WHERE workflow = ?", (workflow,))
        tx.fact(Event(kind=Kind.DEFINITION_UNDEPLOYED, time=now, workflow=workflow))
    return bool(changed)


def active(db: sqlite3.Connection) -> list[DefinitionRow]:
    """The active version of every workflow, by name."""
    return [_row(row) for row in db.execute(f"SELECT {_COLUMNS} FROM definitions WHERE active ORDER BY workflow")]


def get(db: sqlite3.Connection, workflow: str, version: int) -> DefinitionRow | None:
    row = db.execute(
        f"SELECT {_COLUMNS} FROM definitions WHERE workflow = ? AND version = ?", (workflow, version)
    ).fetchone()
    return _row(row) if row else None


def _row(values: tuple[Json, ...]) -> DefinitionRow:
    row = DefinitionRow(**dict(zip(DefinitionRow.__struct_fields__, values, strict=True)))
    row.active = bool(row.active)
    return row
