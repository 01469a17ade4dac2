"""Durable values of workflows, by key: counters, what was last seen. They outlive executions and restarts.

A change that a node makes is remembered under the node's path until the node's own result is committed. An attempt that
is repeated after a crash gets what was remembered: the change happens once.
"""

import sqlite3
import zlib
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec

from engine.contract import StateRefused
from engine.store.errors import StoreCorrupt
from engine.store.transaction import Transaction
from engine.values import INT_MAX, INT_MIN, InvalidValue, Json, check_value, encode_json, kind_of

MAX_KEY_BYTES: Final = 256
MAX_VALUE_BYTES: Final = 64 * 1024
MAX_KEYS: Final = 10_000
"""Keys of one workflow."""


class Change(StrEnum):
    SET = "set"
    INCR = "incr"
    DELETE = "delete"
    COMPARE_AND_SET = "compare_and_set"


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """A change of one key. What it gives: `set` and `incr` the new value, the others whether they changed anything."""

    change: Change
    key: str
    value: Json = None
    """What to set."""
    by: int | float = 1
    """What to add; a key that is not there counts as 0."""
    expected: Json = None
    """What must be there for `compare_and_set`; null also stands for a key that is not there."""


class Origin(msgspec.Struct, frozen=True):
    """Which node makes a change, and how many it has made before in the same attempt."""

    execution: str
    path: str
    number: int


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it is."""

    key: str
    value: Json
    size: int
    """Bytes of the value as JSON."""
    revision: int
    """How often it was changed since it came to be."""
    changed_at: int


def check_key(key: str) -> None:
    """Raise StateRefused unless it may be a key."""
    size = len(key.encode(errors="replace"))
    if not 0 < size <= MAX_KEY_BYTES or not key.isprintable():
        raise StateRefused(f"a key is 1 to {MAX_KEY_BYTES} bytes of printable text, got {size} bytes: {key[:40]!r}")


def get(db: sqlite3.Connection, workflow: str, key: str) -> Entry | None:
    """A key as it is now. Raises StoreCorrupt."""
    row = db.execute(
        "SELECT key, value, revision, changed_at, crc FROM state WHERE workflow = ? AND key = ?", (workflow, key)
    ).fetchone()
    return None if row is None else _entry(workflow, row)


def listing(db: sqlite3.Connection, workflow: str, *, after: str = "", limit: int = 100) -> list[Entry]:
    """The keys of a workflow behind one, in their order. Raises StoreCorrupt."""
    rows = db.execute(
        "SELECT key, value, revision, changed_at, crc FROM state WHERE workflow = ? AND key > ? ORDER BY key LIMIT ?",
        (workflow, after, limit),
    )
    return [_entry(workflow, row) for row in rows]


def change(tx: Transaction, workflow: str, operation: Operation, now: int, origin: Origin | None = None) -> Json:
    """Change a key, once for each origin; the result, as when it happened. Raises StateRefused or StoreCorrupt; then
    nothing has changed."""
    check_key(operation.key)
    if origin is not None and (known := _remembered(tx, operation, origin)) is not None:
        return msgspec.json.decode(known)
    result = _apply(tx, workflow, operation, now)
    if origin is not None:
        tx.execute(
            "INSERT INTO state_operations VALUES (?, ?, ?, ?, ?, ?)",
            (origin.execution, origin.path, origin.number, operation.change.value, operation.key, encode_json(result)),
        )
    return result


def forget(tx: Transaction, execution: str, paths: Sequence[str]) -> None:
    """The results of these nodes are committed: none of their changes can be repeated by a crash any more."""
    tx.db.executemany(
        "DELETE FROM state_operations WHERE execution = ? AND path = ?", [(execution, path) for path in paths]
    )


def _remembered(tx: Transaction, operation: Operation, origin: Origin) -> bytes | None:
    row = tx.execute(
        "SELECT change, key, result FROM state_operations WHERE execution = ? AND path = ? AND number = ?",
        (origin.execution, origin.path, origin.number),
    ).fetchone()
    if row is None:
        return None
    if (row[0], row[1]) != (operation.change.value, operation.key):
        raise StateRefused(
            f"the attempt before did {row[0]} {row[1][:64]!r} here, and now it is {operation.change} "
            f"{operation.key[:64]!r}: a node that is repeated must change the same keys in the same order"
        )
    result: bytes = row[2]
    return result


def _apply(tx: Transaction, workflow: str, operation: Operation, now: int) -> Json:
    key, value = operation.key, operation.value
    match operation.change:
        case Change.SET:
            _put(tx, workflow, key, value, now)
            return value
        case Change.INCR:
            found = get(tx.db, workflow, key)
            total = _sum(operation, 0 if found is None else found.value)
            _put(tx, workflow, key, total, now)
            return total
        case Change.DELETE:
            return bool(tx.execute("DELETE FROM state WHERE workflow = ? AND key = ?", (workflow, key)).rowcount)
        case Change.COMPARE_AND_SET:
            found = get(tx.db, workflow, key)
            if not _same(None if found is None else found.value, operation.expected):
                return False
            _put(tx, workflow, key, value, now)
            return True


def _put(tx: Transaction, workflow: str, key: str, value: Json, now: int) -> None:
    try:
        check_value(value)
        body = encode_json(value)
    except (InvalidValue, TypeError, ValueError) as error:
        raise StateRefused(f"the value is not JSON data: {error}") from None
    if len(body) > MAX_VALUE_BYTES:
        raise StateRefused(
            f"a value has up to {MAX_VALUE_BYTES} bytes, this one {len(body)}: keep less, or spread it over keys"
        )
    crc = _crc(workflow, key, body)
    changed = tx.execute(
        "UPDATE state SET value = ?, revision = revision + 1, changed_at = ?, crc = ? WHERE workflow = ? AND key = ?",
        (body, now, crc, workflow, key),
    ).rowcount
    if changed:
        return
    (count,) = tx.execute("SELECT COUNT(*) FROM state WHERE workflow = ?", (workflow,)).fetchone()
    if count >= MAX_KEYS:
        raise StateRefused(f"{workflow} has {count} keys, and may have no more: delete what is not needed")
    tx.execute("INSERT INTO state VALUES (?, ?, ?, 1, ?, ?)", (workflow, key, body, now, crc))


def _sum(operation: Operation, value: Json) -> int | float:
    for what, kind in (("holds", kind_of(value)), ("would be changed by", kind_of(operation.by))):
        if kind != "number":
            raise StateRefused(f"{operation.key[:64]!r} {what} a {kind}, and only numbers are added")
    total: int | float = value + operation.by
    if (isinstance(total, int) and not INT_MIN <= total <= INT_MAX) or total != total or abs(total) == float("inf"):
        raise StateRefused(f"{operation.key[:64]!r} would be beyond 64 bits")
    return total


def _same(value: Json, other: Json) -> bool:
    """Equal as JSON: to Python 1 is true."""
    if kind_of(value) != kind_of(other):
        return False
    if isinstance(value, dict):
        return value.keys() == other.keys() and all(_same(item, other[key]) for key, item in value.items())
    if isinstance(value, list):
        return len(value) == len(other) and all(map(_same, value, other))
    return bool(value == other)


def _entry(workflow: str, row: tuple[str, bytes, int, int, int]) -> Entry:
    key, body, revision, changed_at, crc = row
    if crc != _crc(workflow, key, body):
        raise StoreCorrupt(f"the state {key[:64]!r} of {workflow} is not what was written: set or delete it")
    return Entry(key=key, value=msgspec.json.decode(body), size=len(body), revision=revision, changed_at=changed_at)


def _crc(workflow: str, key: str, body: object) -> int:
    if not isinstance(body, bytes):  # a damaged page may hold another type
        body = repr(body).encode()
    return zlib.crc32(body, zlib.crc32(f"{workflow}\0{key}\0".encode(errors="replace")))
