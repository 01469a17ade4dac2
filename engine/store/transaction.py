"""What a unit of work sees: the open transaction."""

import sqlite3
from collections.abc import Callable
from typing import TypeAlias, TypeVar

import msgspec

from engine.events import Event
from engine.values import encode_json

T = TypeVar("T")

INSERT_FACT = "INSERT INTO facts (time, kind, workflow, version, execution, node, data) VALUES (?, ?, ?, ?, ?, ?, ?)"


class Transaction:
    """Statements and facts of one commit. Lives on the writer's thread only."""

    __slots__ = ("db", "execute", "facts")

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.execute = db.execute
        self.facts: list[Event] = []

    def fact(self, event: Event) -> None:
        """Record a fact: it gets its number here, and is told to the world after the commit."""
        data = event.data
        encoded = bytes(data) if isinstance(data, msgspec.Raw) else encode_json(data)
        row = (event.time, event.kind.value, event.workflow, event.version, event.execution, event.node, encoded)
        seq = self.execute(INSERT_FACT, row).lastrowid
        event.seq = seq or 0
        event.data = msgspec.Raw(encoded)
        self.facts.append(event)


Unit: TypeAlias = Callable[[Transaction], T]
"""One indivisible piece of a commit. May run twice if the disk was full: everything it does goes through the
transaction."""
