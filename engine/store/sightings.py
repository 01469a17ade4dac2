"""Which agents of the fleet were there, and which are lost, as this agent last told: it tells each change once, also
across its own restarts. A row moves in the commit of the fact that tells of it."""

import sqlite3

import msgspec

from engine.store.transaction import Transaction


class Sighting(msgspec.Struct, frozen=True):
    """What is known of another agent."""

    is_lost: bool
    seen_at: int
    """When it was heard last before that; microseconds."""


def listing(db: sqlite3.Connection) -> dict[str, Sighting]:
    """Agent -> what was told of it."""
    return {
        agent: Sighting(bool(lost), seen)
        for agent, lost, seen in db.execute("SELECT agent, lost, seen_at FROM sightings")
    }


def put(tx: Transaction, agent: str, sighting: Sighting) -> None:
    """Replace what is known of an agent."""
    tx.execute("INSERT OR REPLACE INTO sightings VALUES (?, ?, ?)", (agent, sighting.is_lost, sighting.seen_at))
