"""What executions used: of one, of a workflow by the hour, and who used most."""

import sqlite3
from collections.abc import Iterator, Sequence

import msgspec

from engine.store.transaction import Transaction
from engine.values import Json

__all__ = [
    "HOUR", "KEEP", "Hour", "NodeUse", "Statistics", "Usage", "book", "forget", "history", "node_uses", "totals",
]  # fmt: skip

HOUR = 3_600_000_000
"""Microseconds."""
KEEP = 35 * 24
"""Hours of history: five weeks, so that a day can be compared with the same one of four weeks."""
EXECUTIONS, ROWS = 5000, 100_000
"""How many are looked at for the nodes that use most: half a second of reading."""


class Usage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a node used besides time and the bytes of its output, all its attempts together."""

    api_calls: int = 0
    llm_tokens: int = 0
    large_bytes: int = 0
    """Of an output that is stored apart from its row."""

    def add(self, other: "Usage") -> None:
        self.api_calls += other.api_calls
        self.llm_tokens += other.llm_tokens


NOTHING = Usage()
"""Not to be added to."""


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an execution's nodes, those of iterations included, and what they used."""

    completed: int
    failed: int
    skipped: int
    cancelled: int
    duration: float
    """Seconds since the start."""
    nodes: int
    """Those that had begun."""
    output_bytes: int
    api_calls: int = 0
    llm_tokens: int = 0

    def since(self, before: "Statistics") -> "Statistics":
        """What came to be since then. What was undone counts as nothing."""
        mine, other = msgspec.structs.asdict(self), msgspec.structs.asdict(before)
        return Statistics(**{name: max(0, value - other[name]) for name, value in mine.items()})


class Hour(msgspec.Struct, frozen=True, kw_only=True):
    """What the executions of a workflow used that ended within one hour, or within several."""

    workflow: str
    hour: int
    """Hours since 1970; the first one, for several."""
    executions: int
    failed: int
    nodes: int
    seconds: float
    output_bytes: int
    api_calls: int
    llm_tokens: int


class NodeUse(msgspec.Struct, frozen=True, kw_only=True):
    """What one row of a finished execution tells of use; rows of iterations are among them."""

    workflow: str
    path: str
    status: str
    seconds: float
    """From the first start to the end, waits included."""
    output_bytes: int
    usage: Usage


_BOOK = (
    "INSERT INTO usage_history (workflow, hour, executions, failed, nodes, seconds, output_bytes, api_calls, "
    "llm_tokens) VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?) ON CONFLICT (workflow, hour) DO UPDATE SET "
    "executions = executions + 1, failed = failed + excluded.failed, nodes = nodes + excluded.nodes, "
    "seconds = seconds + excluded.seconds, output_bytes = output_bytes + excluded.output_bytes, "
    "api_calls = api_calls + excluded.api_calls, llm_tokens = llm_tokens + excluded.llm_tokens"
)
_SUMS = "SUM(executions), SUM(failed), SUM(nodes), SUM(seconds), SUM(output_bytes), SUM(api_calls), SUM(llm_tokens)"


def read_usage(written: bytes | None) -> Usage:
    """The usage on a row."""
    return NOTHING if written is None else msgspec.json.decode(written, type=Usage)


def read_statistics(written: bytes) -> Statistics:
    """The statistics on a row."""
    return msgspec.json.decode(written, type=Statistics)


def book(tx: Transaction, workflow: str, at: int, used: Statistics, before: Statistics | None, *, failed: bool) -> None:
    """Add an execution that ends `at` to the hour of its workflow, in the transaction of its end. `before` is what was
    added at an earlier end of it."""
    if before is not None:
        used = used.since(before)
    tx.execute(
        _BOOK,
        (workflow, at // HOUR, int(failed), used.nodes, used.duration, used.output_bytes, used.api_calls,
         used.llm_tokens),
    )  # fmt: skip


def history(db: sqlite3.Connection, *, since: int, workflow: str | None = None, step: int = 1) -> list[Hour]:
    """By workflow and `step` hours, from the hour `since` on, oldest first."""
    mine = "" if workflow is None else " AND workflow = ?"
    rows = db.execute(
        f"SELECT workflow, (hour / ?) * ?, {_SUMS} FROM usage_history WHERE hour >= ?{mine} "
        "GROUP BY workflow, hour / ? ORDER BY 2, 1",
        (step, step, since, *(() if workflow is None else (workflow,)), step),
    )
    return [_hour(row) for row in rows]


def totals(db: sqlite3.Connection, *, since: int, before: int) -> list[Hour]:
    """By workflow, over the hours from `since` on and before `before`."""
    rows = db.execute(
        f"SELECT workflow, MIN(hour), {_SUMS} FROM usage_history WHERE hour >= ? AND hour < ? GROUP BY workflow",
        (since, before),
    )
    return [_hour(row) for row in rows]


def node_uses(db: sqlite3.Connection, *, since: int, workflow: str | None = None) -> Iterator[NodeUse]:
    """The rows of the newest executions that ended after `since` (microseconds): at most EXECUTIONS and ROWS."""
    mine = "" if workflow is None else " AND workflow = ?"
    rows = db.execute(
        "SELECT e.workflow, n.path, n.status, n.started_at, n.finished_at, "
        "CASE n.status WHEN 'completed' THEN LENGTH(n.output) END, n.usage "
        f"FROM (SELECT id, workflow FROM executions WHERE finished_at >= ?{mine} ORDER BY finished_at DESC LIMIT ?) e "
        "JOIN nodes n ON n.execution = e.id LIMIT ?",
        (since, *(() if workflow is None else (workflow,)), EXECUTIONS, ROWS),
    ).fetchall()
    for name, path, status, started, finished, size, written in rows:
        usage = read_usage(written)
        yield NodeUse(
            workflow=name, path=path, status=status,
            seconds=max(0, finished - started) / 1_000_000 if started and finished else 0.0,
            output_bytes=usage.large_bytes or size or 0, usage=usage,
        )  # fmt: skip


def forget(tx: Transaction, *, before: int) -> None:
    """Drop what is older than that hour."""
    tx.execute("DELETE FROM usage_history WHERE hour < ?", (before,))


def _hour(row: Sequence[Json]) -> Hour:
    return Hour(**dict(zip(Hour.__struct_fields__, row, strict=True)))
