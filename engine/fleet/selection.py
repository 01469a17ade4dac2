"""What a question asks for, as numbers of the file."""

import sqlite3
from collections.abc import Iterable

import msgspec

from engine.fleet.query import EventQuery

Labels = tuple[tuple[str, str], ...]


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """None selects everything. A share is the part of all events that ever came."""

    tracks: frozenset[int] | None
    kinds: frozenset[int] | None
    workflows: frozenset[int] | None
    executions: tuple[str, ...] | None
    since: int | None
    until: int | None
    all_kinds: frozenset[int]
    share_of_tracks: float
    share_of_kinds: float
    share_of_workflows: float

    @property
    def is_everything(self) -> bool:
        filters = (self.tracks, self.kinds, self.workflows, self.executions, self.since, self.until)
        return all(wanted is None for wanted in filters)


def select(db: sqlite3.Connection, query: EventQuery) -> Selection | None:
    """What a question asks for; None if nothing can match."""
    kinds = db.execute("SELECT id, kind, status, events FROM kinds").fetchall()
    total = sum(row[3] for row in kinds) or 1
    wanted_kinds = wanted_workflows = wanted_tracks = None
    kind_events = workflow_events = track_events = total
    if query.kinds or query.statuses:
        rows = [
            row for row in kinds
            if (not query.kinds or any(is_kind(row[1], pattern) for pattern in query.kinds))
            and (not query.statuses or row[2] in query.statuses)
        ]  # fmt: skip
        wanted_kinds, kind_events = frozenset(row[0] for row in rows), sum(row[3] for row in rows)
    if query.workflows:
        rows = _named(db, "SELECT id, events FROM workflows WHERE name IN", query.workflows)
        wanted_workflows, workflow_events = frozenset(row[0] for row in rows), sum(row[1] for row in rows)
    agents = select_agents(db, query.agents, query.labels)
    if agents is not None:
        rows = [row for row in db.execute("SELECT id, events, agent FROM tracks") if row[2] in agents]
        wanted_tracks, track_events = frozenset(row[0] for row in rows), sum(row[1] for row in rows)
    if any(wanted is not None and not wanted for wanted in (wanted_kinds, wanted_workflows, wanted_tracks)):
        return None
    return Selection(
        tracks=wanted_tracks,
        kinds=wanted_kinds,
        workflows=wanted_workflows,
        executions=query.executions or None,
        since=query.since,
        until=query.until,
        all_kinds=frozenset(row[0] for row in kinds),
        share_of_tracks=track_events / total,
        share_of_kinds=kind_events / total,
        share_of_workflows=workflow_events / total,
    )


def select_agents(db: sqlite3.Connection, names: tuple[str, ...], labels: Labels) -> frozenset[int] | None:
    """Agents of one of these names that have all of these labels; None for all agents."""
    if not names and not labels:
        return None
    found: set[int] | None = None
    if names:
        found = {row[0] for row in _named(db, "SELECT id FROM agents WHERE name IN", names)}
    for label in labels:
        having = {row[0] for row in db.execute("SELECT agent FROM labels WHERE name = ? AND value = ?", label)}
        found = having if found is None else found & having
    return frozenset(found or ())


def is_kind(kind: str, pattern: str) -> bool:
    """Whether a kind is meant: `workflow.*` means all that begin with `workflow.`, and `*` all there are."""
    return kind == pattern or (pattern.endswith(".*") and kind.startswith(pattern[:-1])) or pattern == "*"


def _named(db: sqlite3.Connection, sql: str, names: Iterable[str]) -> list[tuple[int, ...]]:
    wanted = tuple(names)
    return db.execute(f"{sql} ({', '.join('?' * len(wanted))})", wanted).fetchall()
