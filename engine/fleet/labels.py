"""Labels of agents, as they were when the agents were last heard of."""

import sqlite3

from engine.fleet.names import Names
from engine.store import Transaction

All = dict[str, dict[str, str]]
"""Agent -> its labels."""


def remember(tx: Transaction, names: Names, labels: All) -> None:
    """Put these agents' labels in the place of what they had."""
    interning = names.within(tx)
    for agent, wanted in labels.items():
        id = interning.agent(agent)
        tx.execute("DELETE FROM labels WHERE agent = ?", (id,))
        tx.db.executemany("INSERT INTO labels VALUES (?, ?, ?)", [(id, *label) for label in wanted.items()])


def select(db: sqlite3.Connection) -> All:
    """Of every agent that was ever heard of."""
    found: All = {name: {} for (name,) in db.execute("SELECT name FROM agents ORDER BY name")}
    for agent, name, value in db.execute(
        "SELECT a.name, l.name, l.value FROM labels l JOIN agents a ON a.id = l.agent ORDER BY l.agent, l.name"
    ):
        found[agent][name] = value
    return found
