"""What a unit of work sees: the open transaction."""

import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import msgspec

from engine.events import Event
from engine.values import encode_json

if TYPE_CHECKING:
    from engine.store.executions import ExecutionRow

T = TypeVar("T")

Answer: TypeAlias = tuple[str, str, bytes]
"""(execution, path of the node that waited, what it is told)."""

LAST_FACT = "SELECT seq FROM sqlite_sequence WHERE name = 'facts'"
INSERT_FACT = (
    "INSERT INTO facts (seq, time, kind, workflow, version, execution, node, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


class Transaction:
    """Statements and facts of one commit. Lives on the writer's thread only."""

    __slots__ = ("answers", "children", "db", "execute", "facts", "orphans", "publications")

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.execute = db.execute
        self.facts: list[Event] = []
        self.answers: list[Answer] = []
        """Answers to waiting nodes, told to who runs them after the commit."""
        self.children: list[ExecutionRow] = []
        """Rows of executions that nodes start: taken up after the commit."""
        self.orphans: list[str] = []
        """Executions that another one waited for, and waits no more: cancelled after the commit."""
        self.publications = 0
        """How many messages of nodes it adds to the outbox; perhaps of a unit that failed."""

    def fact(self, event: Event) -> None:
        """Record a fact: it gets its number behind the unit, and is told to the world after the commit."""
        if not isinstance(event.data, msgspec.Raw):
            event.data = msgspec.Raw(encode_json(event.data))
        self.facts.append(event)

    def write_facts(self, since: int = 0) -> None:
        """Write the facts from that position on, numbered without a gap behind all earlier ones."""
        facts = self.facts[since:]
        if not facts:
            return
        last = self.execute(LAST_FACT).fetchone()
        for seq, event in enumerate(facts, 1 if last is None else last[0] + 1):
            event.seq = seq
        rows = [
            (fact.seq, fact.time, fact.kind.value, fact.workflow, fact.version, fact.execution, fact.node, fact.data)
            for fact in facts
        ]
        self.db.executemany(INSERT_FACT, rows)


Unit: TypeAlias = Callable[[Transaction], T]
"""One indivisible piece of a commit. May run twice, if the disk was full or another unit failed: everything it does
goes through the transaction."""
