"""Names that repeat in every event, as small numbers."""

from collections.abc import Iterable

import msgspec

from engine.events import Kind
from engine.fleet.event import FleetEvent
from engine.store.transaction import Transaction

Key = tuple[str, ...]
"""The table, then what is unique in it."""
MAX_KNOWN = 100_000
"""Names kept in memory; the file has them all."""
STATUSES = frozenset({"completed", "partial", "failed", "cancelled"})
ENDINGS = frozenset({Kind.WORKFLOW_COMPLETED.value, Kind.WORKFLOW_FAILED.value, Kind.WORKFLOW_CANCELLED.value})
_USUAL = {kind: kind.removeprefix("workflow.") for kind in ENDINGS}


class Ending(msgspec.Struct, frozen=True):
    """What the data of a fact that ends an execution says."""

    status: str
    """Empty for a fact that ends nothing."""
    micros: int | None = None
    """How long the execution ran, where that is told."""


NO_ENDING = Ending("")


class _EndingData(msgspec.Struct):
    status: object = None
    duration_seconds: object = None


_decoder = msgspec.json.Decoder(_EndingData)


def ending_of(event: FleetEvent) -> Ending:
    """How an execution ended. Data that says it in no known way is not trusted, and the kind tells."""
    if event.kind not in ENDINGS:
        return NO_ENDING
    try:
        data = _decoder.decode(event.data)
    except msgspec.DecodeError:
        return Ending(_USUAL[event.kind])
    status, seconds = data.status, data.duration_seconds
    if not isinstance(status, str) or status not in STATUSES:
        status = _USUAL[event.kind]
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < 1e12:
        return Ending(status)
    return Ending(status, round(seconds * 1_000_000))


class Names:
    """What the file calls a name, remembered between commits."""

    def __init__(self) -> None:
        self._known: dict[Key, int] = {}

    def within(self, tx: Transaction) -> "Interning":
        """To look up and to add names in a transaction."""
        return Interning(tx, self._known)

    def keep(self, fresh: dict[Key, int]) -> None:
        """What a commit that is durable has looked up."""
        if len(self._known) + len(fresh) > MAX_KNOWN:
            self._known.clear()
        self._known.update(fresh)


class Interning:
    """Names within one transaction. What it finds may be rolled back: it is `fresh` until the commit."""

    def __init__(self, tx: Transaction, known: dict[Key, int]) -> None:
        self._tx = tx
        self._known = known
        self.fresh: dict[Key, int] = {}

    def agent(self, name: str) -> int:
        return self._id(("agents", name), ("name",))

    def workflow(self, name: str) -> int:
        return self._id(("workflows", name), ("name",))

    def kind(self, kind: str, status: str) -> int:
        return self._id(("kinds", kind, status), ("kind", "status"))

    def _id(self, key: Key, columns: Iterable[str]) -> int:
        id = self._known.get(key) or self.fresh.get(key)
        if id is None:
            id = self.fresh[key] = self._find(key[0], key[1:], columns)
        return id

    def _find(self, table: str, values: tuple[str, ...], columns: Iterable[str]) -> int:
        where = " AND ".join(f"{column} = ?" for column in columns)
        row = self._tx.execute(f"SELECT id FROM {table} WHERE {where}", values).fetchone()
        if row is not None:
            return int(row[0])
        marks = ", ".join("?" * len(values))
        added = self._tx.execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", values)
        return int(added.lastrowid or 0)
