"""Which versions have written a database file: looked up without touching it, before anybody opens it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec

from engine.store.connection import uri_of


class Versions(msgspec.Struct, frozen=True):
    """What a file says of itself."""

    migrations: tuple[str, ...]
    """Names, in the order in which they were added."""
    program: str
    """That wrote it last; empty where none has said so."""


def versions(path: Path) -> Versions | None:
    """Of the file, or of the restored one that is about to take its place. None: there is none, or it can't be read,
    which is for whoever opens it to report."""
    staged = path.with_name(path.name + ".restored")
    path = staged if staged.exists() else path
    wal = path.with_name(path.name + "-wal")
    try:
        # A migration may be in the WAL alone; without one, an immutable file is read and nothing is made beside it.
        is_alone = not wal.exists() or not wal.stat().st_size
        if not path.stat().st_size:
            return None
        with closing(sqlite3.connect(uri_of(path, mode="ro", immutable=is_alone), uri=True, timeout=5)) as db:
            names = tuple(str(name) for (name,) in db.execute("SELECT name FROM migrations ORDER BY rowid"))
            program = db.execute("SELECT value FROM meta WHERE key = 'program'").fetchone()
    except (OSError, sqlite3.Error):
        return None
    return Versions(names, str(program[0]) if program else "")
