"""The tables, as an append-only list of migrations remembered by name.

Times are microseconds since 1970. JSON columns hold bytes. A node row is the checkpoint of one node: `crc` is the
CRC-32 of what was written, because SQLite has no page checksums of its own.
"""

import sqlite3
from typing import TypeAlias

from engine.crash import crash_point
from engine.store.errors import StoreNewer

Migrations: TypeAlias = tuple[tuple[str, str], ...]
"""(name, statements that end in semicolons)."""

MIGRATIONS: Migrations = (
    (
        "first-light",
        """
        CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

        CREATE TABLE definitions (
            workflow TEXT NOT NULL, version INTEGER NOT NULL, hash TEXT NOT NULL,
            source BLOB NOT NULL, params BLOB NOT NULL, deployed_at INTEGER NOT NULL, active INTEGER NOT NULL,
            PRIMARY KEY (workflow, version)
        ) WITHOUT ROWID;

        CREATE TABLE executions (
            num INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            workflow TEXT NOT NULL, version INTEGER NOT NULL, status TEXT NOT NULL,
            root TEXT NOT NULL, cause TEXT NOT NULL, hops INTEGER NOT NULL,
            trigger BLOB NOT NULL, params BLOB NOT NULL,
            outputs BLOB, error BLOB,
            created_at INTEGER NOT NULL, started_at INTEGER, finished_at INTEGER,
            due INTEGER, deaths INTEGER NOT NULL DEFAULT 0, crc INTEGER NOT NULL
        );
        CREATE INDEX executions_open ON executions (status, num) WHERE finished_at IS NULL;
        CREATE INDEX executions_due ON executions (due) WHERE status = 'waiting';
        CREATE INDEX executions_finished ON executions (finished_at) WHERE finished_at IS NOT NULL;
        CREATE INDEX executions_workflow ON executions (workflow, num);

        CREATE TABLE nodes (
            execution TEXT NOT NULL, path TEXT NOT NULL, status TEXT NOT NULL,
            attempt INTEGER NOT NULL, port TEXT, output BLOB, error BLOB,
            started_at INTEGER, finished_at INTEGER, due INTEGER, crc INTEGER NOT NULL,
            PRIMARY KEY (execution, path)
        ) WITHOUT ROWID;

        CREATE TABLE inbox (
            workflow TEXT NOT NULL, scope TEXT NOT NULL, id TEXT NOT NULL,
            execution TEXT NOT NULL, received_at INTEGER NOT NULL,
            PRIMARY KEY (workflow, scope, id)
        ) WITHOUT ROWID;
        CREATE INDEX inbox_age ON inbox (received_at);

        CREATE TABLE facts (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            time INTEGER NOT NULL, kind TEXT NOT NULL, workflow TEXT NOT NULL, version INTEGER NOT NULL,
            execution TEXT NOT NULL, node TEXT NOT NULL, data BLOB NOT NULL
        );

        CREATE TABLE publications (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            execution TEXT NOT NULL, path TEXT NOT NULL, subject TEXT NOT NULL,
            headers BLOB NOT NULL, body BLOB NOT NULL, created_at INTEGER NOT NULL
        );

        CREATE TABLE cursors (
            name TEXT PRIMARY KEY, seq INTEGER NOT NULL,
            stream_created TEXT NOT NULL, stream_seq INTEGER NOT NULL, moved_at INTEGER NOT NULL
        ) WITHOUT ROWID;

        CREATE TABLE deadletters (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            origin TEXT NOT NULL, workflow TEXT NOT NULL, subject TEXT NOT NULL, reason TEXT NOT NULL,
            headers BLOB NOT NULL, body BLOB NOT NULL, size INTEGER NOT NULL,
            received_at INTEGER NOT NULL, replayed_at INTEGER
        );

        CREATE TABLE schedules (
            workflow TEXT NOT NULL, position INTEGER NOT NULL, schedule TEXT NOT NULL, due INTEGER NOT NULL,
            PRIMARY KEY (workflow, position)
        ) WITHOUT ROWID;
        """,
    ),
    (
        "nested-nodes",
        """
        ALTER TABLE nodes ADD COLUMN seq INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE executions ADD COLUMN parent TEXT NOT NULL DEFAULT '';
        ALTER TABLE executions ADD COLUMN parent_path TEXT NOT NULL DEFAULT '';
        ALTER TABLE executions ADD COLUMN depth INTEGER NOT NULL DEFAULT 0;
        CREATE INDEX executions_children ON executions (parent) WHERE parent != '';

        CREATE TABLE waits (
            execution TEXT NOT NULL, path TEXT NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL,
            workflow TEXT NOT NULL, node TEXT NOT NULL, detail BLOB NOT NULL,
            created_at INTEGER NOT NULL, due INTEGER, answer BLOB, answered_at INTEGER,
            PRIMARY KEY (execution, path)
        ) WITHOUT ROWID;
        CREATE INDEX waits_open ON waits (kind, key) WHERE answered_at IS NULL;
        """,
    ),
    (
        "large-values",
        """
        CREATE TABLE large_values (hash TEXT PRIMARY KEY, size INTEGER NOT NULL, body BLOB NOT NULL);
        CREATE TABLE value_uses (
            execution TEXT NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (execution, hash)
        ) WITHOUT ROWID;
        CREATE INDEX value_uses_hash ON value_uses (hash);
        ALTER TABLE nodes ADD COLUMN large TEXT;
        CREATE INDEX nodes_large ON nodes (execution, large) WHERE large IS NOT NULL;
        ALTER TABLE executions ADD COLUMN large_trigger TEXT;
        ALTER TABLE executions ADD COLUMN large_outputs TEXT;
        """,
    ),
    (
        "waits-buffer",
        """
        ALTER TABLE waits ADD COLUMN ended_at INTEGER;
        CREATE INDEX waits_forms ON waits (key) WHERE kind = 'form';

        CREATE TABLE kept_messages (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            workflow TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, size INTEGER NOT NULL,
            received_at INTEGER NOT NULL, expires_at INTEGER NOT NULL
        );
        CREATE INDEX kept_messages_key ON kept_messages (key, id);
        CREATE INDEX kept_messages_age ON kept_messages (expires_at);
        CREATE INDEX kept_messages_workflow ON kept_messages (workflow, id, size);
        """,
    ),
    (
        "chains",
        """
        CREATE TABLE chains (
            workflow TEXT NOT NULL, source TEXT NOT NULL, seq INTEGER NOT NULL,
            PRIMARY KEY (workflow, source)
        ) WITHOUT ROWID;
        """,
    ),
    (
        "files",
        """
        CREATE TABLE files (
            workflow TEXT NOT NULL, path TEXT NOT NULL, identity TEXT NOT NULL, execution TEXT NOT NULL,
            after TEXT NOT NULL, target TEXT NOT NULL, taken_at INTEGER NOT NULL, gone_at INTEGER,
            PRIMARY KEY (workflow, path)
        ) WITHOUT ROWID;
        """,
    ),
    (
        "fork-retry-pause",
        """
        ALTER TABLE executions ADD COLUMN forked_from TEXT NOT NULL DEFAULT '';
        ALTER TABLE executions ADD COLUMN pausing INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE executions ADD COLUMN retried_at INTEGER;
        """,
    ),
    (
        "usage",
        """
        ALTER TABLE nodes ADD COLUMN usage BLOB;
        ALTER TABLE executions ADD COLUMN statistics BLOB;
        ALTER TABLE executions ADD COLUMN warned TEXT NOT NULL DEFAULT '';

        CREATE TABLE usage_history (
            workflow TEXT NOT NULL, hour INTEGER NOT NULL, executions INTEGER NOT NULL, failed INTEGER NOT NULL,
            nodes INTEGER NOT NULL, seconds REAL NOT NULL, output_bytes INTEGER NOT NULL, api_calls INTEGER NOT NULL,
            llm_tokens INTEGER NOT NULL,
            PRIMARY KEY (workflow, hour)
        ) WITHOUT ROWID;
        """,
    ),
    (
        "flow",
        """
        CREATE TABLE turns (
            num INTEGER PRIMARY KEY, execution TEXT NOT NULL UNIQUE, workflow TEXT NOT NULL, key TEXT,
            priority INTEGER NOT NULL, turn TEXT NOT NULL, until INTEGER, since INTEGER
        );
        CREATE INDEX turns_order ON turns (workflow, turn, priority DESC, num);
        CREATE INDEX turns_key ON turns (workflow, key, num) WHERE key IS NOT NULL;
        CREATE INDEX turns_waiting ON turns (workflow, num) WHERE turn IN ('quiet', 'behind', 'ready');
        CREATE INDEX turns_quiet ON turns (workflow, key) WHERE turn = 'quiet';
        CREATE INDEX turns_until ON turns (until) WHERE turn = 'quiet';

        CREATE TABLE starts (
            workflow TEXT NOT NULL, at INTEGER NOT NULL, execution TEXT NOT NULL,
            PRIMARY KEY (workflow, at, execution)
        ) WITHOUT ROWID;
        """,
    ),
    (
        "state",
        """
        CREATE TABLE state (
            workflow TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, revision INTEGER NOT NULL,
            changed_at INTEGER NOT NULL, crc INTEGER NOT NULL,
            PRIMARY KEY (workflow, key)
        );
        CREATE TABLE state_operations (
            execution TEXT NOT NULL, path TEXT NOT NULL, number INTEGER NOT NULL,
            change TEXT NOT NULL, key TEXT NOT NULL, result BLOB NOT NULL,
            PRIMARY KEY (execution, path, number)
        ) WITHOUT ROWID;
        """,
    ),
    (
        "cache",
        """
        CREATE TABLE cache (
            id INTEGER PRIMARY KEY, workflow TEXT NOT NULL, key BLOB NOT NULL,
            expires_at INTEGER NOT NULL, used_at INTEGER NOT NULL, port TEXT, crc INTEGER NOT NULL,
            output BLOB NOT NULL,
            UNIQUE (workflow, key)
        );
        CREATE INDEX cache_used ON cache (workflow, used_at);
        CREATE INDEX cache_age ON cache (expires_at);
        """,
    ),
    (
        "fleet_triggers",
        """
        CREATE TABLE fleet_watches (workflow TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE fleet_states (
            workflow TEXT NOT NULL, trigger TEXT NOT NULL, grouped TEXT NOT NULL, state BLOB NOT NULL,
            PRIMARY KEY (workflow, trigger, grouped)
        ) WITHOUT ROWID;
        """,
    ),
    (
        "sightings",
        """
        CREATE TABLE sightings (agent TEXT PRIMARY KEY, lost INTEGER NOT NULL, seen_at INTEGER NOT NULL) WITHOUT ROWID;
        """,
    ),
)


def migrate(db: sqlite3.Connection, now: int, migrations: Migrations | None = None, *, program: str = "") -> None:
    """Bring the file to this version, whole or not at all: all that is missing is one transaction, together with the
    name of the `program` that added it. It is an agent's store, unless there are other `migrations`.

    Raises StoreNewer for a file with migrations that this version does not know.
    """
    migrations = MIGRATIONS if migrations is None else migrations
    if _has_table(db) and len(check_known(db, migrations)) == len(migrations):
        return  # the rule: nobody who writes at this moment is waited for
    db.execute("BEGIN IMMEDIATE")
    try:
        db.execute("CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, applied_at INTEGER NOT NULL)")
        done = check_known(db, migrations)
        for name, statements in migrations:
            if name not in done:
                # executescript would commit first; one transaction needs the statements one by one.
                for statement in statements.split(";"):
                    if statement.strip():
                        db.execute(statement)
                        crash_point("migration-statement")
                db.execute("INSERT INTO migrations VALUES (?, ?)", (name, now))
                crash_point("migration-added")
        if program and len(done) < len(migrations):
            db.execute("INSERT OR REPLACE INTO meta VALUES ('program', ?)", (program,))
        crash_point("migration-before-commit")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # a full disk has rolled back already
            db.execute("ROLLBACK")
        raise
    crash_point("migration-committed")


def _has_table(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT 1 FROM sqlite_master WHERE name = 'migrations'").fetchone() is not None


def check_known(db: sqlite3.Connection, migrations: Migrations | None = None) -> set[str]:
    """The migrations of a file. Raises StoreNewer if this version does not know them all."""
    done = {name for (name,) in db.execute("SELECT name FROM migrations")}
    unknown = done - {name for name, _ in (MIGRATIONS if migrations is None else migrations)}
    if unknown:
        raise StoreNewer(
            f"the store was written by a newer Ganglion (it knows {', '.join(sorted(unknown))}): "
            "run that version, or restore a backup made by this one"
        )
    return done
