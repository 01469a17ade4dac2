"""The tables of a recorder's file.

Names that repeat are interned. Events are numbered in the order of recording, and 2^SEGMENT_BITS numbers are a segment:
each index begins with it, so that what is written lies close together however large the file is, and a question walks
over the segments that can hold an answer. Times are microseconds since 1970.
"""

from engine.store.schema import Migrations

SEGMENT_BITS = 12
"""Smaller segments cost a question more steps, larger ones a commit more pages. The files have it in them."""
TAIL = 3
"""Bytes at the end of an execution's id that are indexed: they are random."""

MIGRATIONS: Migrations = (
    (
        "fleet",
        f"""
        CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

        CREATE TABLE agents (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
        CREATE TABLE labels (
            agent INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
            PRIMARY KEY (agent, name)
        ) WITHOUT ROWID;
        CREATE TABLE workflows (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, events INTEGER NOT NULL DEFAULT 0);
        CREATE TABLE kinds (
            id INTEGER PRIMARY KEY, kind TEXT NOT NULL, status TEXT NOT NULL, events INTEGER NOT NULL DEFAULT 0,
            UNIQUE (kind, status)
        );

        CREATE TABLE tracks (
            id INTEGER PRIMARY KEY, agent INTEGER NOT NULL, epoch TEXT NOT NULL,
            first_seq INTEGER NOT NULL DEFAULT 0, last_seq INTEGER NOT NULL DEFAULT 0,
            last_time INTEGER NOT NULL DEFAULT 0, received_at INTEGER NOT NULL DEFAULT 0,
            events INTEGER NOT NULL DEFAULT 0, conflicts INTEGER NOT NULL DEFAULT 0,
            forgotten INTEGER NOT NULL DEFAULT 0,
            UNIQUE (agent, epoch)
        );
        CREATE TABLE gaps (
            track INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
            since INTEGER NOT NULL, tries INTEGER NOT NULL DEFAULT 0, due INTEGER NOT NULL,
            lost TEXT NOT NULL DEFAULT '',
            PRIMARY KEY (track, first)
        ) WITHOUT ROWID;
        CREATE INDEX gaps_due ON gaps (due) WHERE lost = '';
        CREATE INDEX gaps_lost ON gaps (since) WHERE lost != '';

        CREATE TABLE segments (
            segment INTEGER PRIMARY KEY, events INTEGER NOT NULL, first_time INTEGER NOT NULL,
            last_time INTEGER NOT NULL
        );
        CREATE TABLE events (
            number INTEGER PRIMARY KEY, segment INTEGER NOT NULL, track INTEGER NOT NULL, seq INTEGER NOT NULL,
            time INTEGER NOT NULL, kind INTEGER NOT NULL, workflow INTEGER NOT NULL, version INTEGER NOT NULL,
            execution NOT NULL, node TEXT NOT NULL, data BLOB NOT NULL,
            second INTEGER GENERATED ALWAYS AS (time / 1000000) VIRTUAL,
            tail GENERATED ALWAYS AS (substr(execution, -{TAIL})) VIRTUAL
        );
        CREATE UNIQUE INDEX events_seq ON events (track, seq);
        CREATE INDEX events_track ON events (segment, track);
        CREATE INDEX events_kind ON events (segment, kind, workflow);
        CREATE INDEX events_second ON events (segment, second);
        CREATE INDEX events_execution ON events (segment, tail) WHERE execution != '';

        CREATE TABLE windows (
            grain INTEGER NOT NULL, start INTEGER NOT NULL, agent INTEGER NOT NULL, workflow INTEGER NOT NULL,
            events INTEGER NOT NULL, started INTEGER NOT NULL, completed INTEGER NOT NULL, partial INTEGER NOT NULL,
            failed INTEGER NOT NULL, cancelled INTEGER NOT NULL, node_failures INTEGER NOT NULL,
            retries INTEGER NOT NULL, micros INTEGER NOT NULL, longest INTEGER NOT NULL,
            PRIMARY KEY (grain, start, agent, workflow)
        ) WITHOUT ROWID;
        CREATE TABLE durations (
            grain INTEGER NOT NULL, start INTEGER NOT NULL, agent INTEGER NOT NULL, workflow INTEGER NOT NULL,
            bucket INTEGER NOT NULL, count INTEGER NOT NULL,
            PRIMARY KEY (grain, start, agent, workflow, bucket)
        ) WITHOUT ROWID;
        """,
    ),
)
