"""Puts a backup in the place of the store; the old one is kept aside.

    FILE -> store.restoring      copied and verified, with a new epoch
         -> store.restored       the moment that counts: from here on it is completed, at the latest by the next start
    store, its WAL -> store.replaced-<time>
    store.restored -> store

A kill before that moment leaves the old store, a kill after it the new one.
"""

import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from engine.crash import crash_point
from engine.store.backup import MAGIC, Progress, copy, sync
from engine.store.check import damaged_rows, quick_check
from engine.store.connection import uri_of
from engine.store.errors import StoreError
from engine.store.schema import check_known, migrate


class RestoreRefused(StoreError):
    """Nothing was restored, and nothing was changed; the message says why."""


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """A store that came out of a backup."""

    store: str
    replaced: str
    """Where the old store is now; empty if there was none."""
    epoch: str
    executions: int
    open: int
    """Of these have not ended: they go on from their checkpoints."""
    damaged: dict[str, str]
    """Executions with a damaged row, and what is wrong; they will be blocked."""


def restore(
    backup: Path, store: Path, *, now: int, told: Callable[[Progress], None] = lambda _: None
) -> Restored:  # fmt: skip
    """Put a backup in the place of a store that nobody has open: the caller holds the directory's lock. Blocks. `now`
    is in microseconds since 1970.

    The new epoch makes the numbers of facts unique, though some were given out before. Raises RestoreRefused,
    StoreNewer.
    """
    complete(store)
    part = store.with_name(store.name + ".restoring")
    try:
        _check_file(backup)
        part.unlink(missing_ok=True)
        part.touch(mode=0o600)
        with closing(_opened(backup)) as source:
            if not source.execute("SELECT 1 FROM sqlite_master WHERE name = 'migrations'").fetchone():
                raise RestoreRefused(f"{backup} is another program's database: name a file that `ganglion backup` made")
            check_known(source)
            source.execute("BEGIN")
            copy(source, part, told)
        epoch = secrets.token_hex(4)
        with closing(sqlite3.connect(uri_of(part), uri=True, isolation_level=None)) as db:
            told(Progress("verifying"))
            report = quick_check(db)
            if report != "ok":
                raise RestoreRefused(f"{backup} is damaged ({report}): restore another backup; nothing was changed")
            migrate(db, now)
            damaged = damaged_rows(db, lambda: told(Progress("verifying")))
            db.execute("INSERT OR REPLACE INTO meta VALUES ('epoch', ?), ('clean', 'yes')", (epoch,))
            (total, unfinished) = db.execute(
                "SELECT COUNT(*), COALESCE(SUM(finished_at IS NULL), 0) FROM executions"
            ).fetchone()
        sync(part)
        crash_point("restore-before-it-counts")
        part.replace(_staged(store))
        sync(store.parent)
    except OSError as error:
        raise RestoreRefused(
            f"{backup} can't be restored to {store}: {(error.strerror or str(error)).lower()}; nothing was changed"
        ) from error
    except sqlite3.Error as error:
        raise RestoreRefused(f"{backup} can't be restored: {error}; nothing was changed") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    replaced = complete(store)
    return Restored(
        store=str(store), replaced="" if replaced is None else str(replaced), epoch=epoch, executions=total,
        open=unfinished, damaged=damaged,
    )  # fmt: skip


def complete(store: Path) -> Path | None:
    """Bring a restore to its end that has passed the moment that counts; whatever was done before is not done again.
    Called before each opening of a store, by the owner of its lock. Where the old store is now, if one was replaced."""
    staged = _staged(store)
    if not staged.exists():
        return None
    made = datetime.fromtimestamp(staged.stat().st_mtime, UTC)
    aside = store.with_name(f"{store.name}.replaced-{made:%Y%m%dT%H%M%S.%f}")
    # The WAL's index belongs to a process; the next one makes its own.
    store.with_name(store.name + "-shm").unlink(missing_ok=True)
    for suffix in ("", "-wal", "-journal"):
        old = store.with_name(store.name + suffix)
        if old.exists():
            old.replace(aside.with_name(aside.name + suffix))
            sync(store.parent)
        crash_point("restore-moved-aside")
    staged.replace(store)
    sync(store.parent)
    crash_point("restore-in-place")
    return aside if aside.exists() else None


def _staged(store: Path) -> Path:
    return store.with_name(store.name + ".restored")


def _check_file(backup: Path) -> None:
    if not backup.is_file():
        raise RestoreRefused(f"{backup} is no file: name one that `ganglion backup` made")
    with backup.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise RestoreRefused(f"{backup} is no backup: name a file that `ganglion backup` made")


def _opened(backup: Path) -> sqlite3.Connection:
    """A store that was put aside has a WAL; a backup has none, and may lie where nothing can be written."""
    wal = backup.with_name(backup.name + "-wal")
    with_wal = wal.exists() and wal.stat().st_size > 0
    return sqlite3.connect(uri_of(backup, mode="ro", immutable=not with_wal), uri=True, isolation_level=None)
