"""A copy of the store that can be put back, made while the agent works.

The copy is one moment of the store: a reader of its own holds that moment and copies it page by page, while the writer
goes on. It is verified, page by page and row by row, before it gets its name; a crash before that leaves nothing that
looks like a backup. Meanwhile the WAL can't be begun anew, so that a copy onto a slow disk is given up when the WAL has
grown too much.
"""

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import msgspec

from engine.crash import crash_point
from engine.store.check import damaged_rows, quick_check
from engine.store.connection import is_damaged, is_full, uri_of
from engine.store.errors import StoreError
from engine.store.schema import MIGRATIONS, check_known

STEP_PAGES = 1024
"""Pages copied between two looks at whether to go on: 4 MB."""
MAX_WAL = 512 * 1024 * 1024
"""The copy is given up when the WAL is larger than this, in bytes."""
MAGIC = b"SQLite format 3\0"


class BackupRefused(StoreError):
    """No backup was made, and nothing was changed; the message says why."""


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """A backup that was made."""

    path: str
    size: int
    """Bytes."""
    executions: int
    damaged: dict[str, str]
    """Executions with a row that is damaged in the store itself, and so here; they are blocked, everything else is
    whole."""


class Progress(msgspec.Struct, frozen=True):
    """How far it is."""

    doing: str
    """copying or verifying."""
    done: int = 0
    total: int = 0
    """Pages."""


def back_up(
    store: Path, target: Path, *, force: bool = False, told: Callable[[Progress], None] = lambda _: None,
    breath: float = 0.0,
) -> Backup:  # fmt: skip
    """Copy the store, also while an agent uses it. Blocks.

    `told` is called often, and may raise to give up; `breath` is a pause (seconds) between two steps of the
    verification, for who shares the process. Raises BackupRefused.
    """
    check_target(store, target, force=force)
    part = target.with_name(f".{target.name}.part")
    try:
        part.unlink(missing_ok=True)
        part.touch(mode=0o600)
        executions = _copy(store, part, told)
        crash_point("backup-copied")
        damaged = _verify(store, part, told, breath)
        size = part.stat().st_size
        sync(part)
        crash_point("backup-before-rename")
        check_target(store, target, force=force)
        part.replace(target)
        sync(target.parent)
    except OSError as error:
        raise BackupRefused(f"{target} can't be written: {(error.strerror or str(error)).lower()}") from error
    except sqlite3.Error as error:
        raise BackupRefused(_why(error, store, target)) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return Backup(path=str(target), size=size, executions=executions, damaged=damaged)


def check_target(store: Path, target: Path, *, force: bool) -> None:
    """Raise BackupRefused unless a backup may be written there."""
    if not target.parent.is_dir():
        raise BackupRefused(f"{target.parent} is no directory: make it, or name another file")
    own = {store.with_name(store.name + suffix).resolve() for suffix in ("", "-wal", "-shm", "-journal")}
    if target.resolve() in own:
        raise BackupRefused(f"{target} is the store itself: name another file")
    if not target.exists():
        return
    if not target.is_file():
        raise BackupRefused(f"{target} is no file: name one in it")
    if not force:
        raise BackupRefused(f"{target} is there already: name another file, or overwrite it with --force")
    with target.open("rb") as file:
        if file.read(len(MAGIC)) not in (MAGIC, b""):
            raise BackupRefused(f"{target} is no backup, and is not overwritten: name another file")


def sync(path: Path) -> None:
    """Wait until a file, or the names in a directory, are on the disk."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def copy(source: sqlite3.Connection, part: Path, told: Callable[[Progress], None]) -> None:
    """Everything that the source's transaction sees, into one file without a WAL."""

    def step(_: int, left: int, total: int) -> None:
        told(Progress("copying", total - left, total))

    with closing(sqlite3.connect(uri_of(part), uri=True, isolation_level=None)) as target:
        target.execute("PRAGMA synchronous = OFF")  # it is synchronized whole, at the end
        target.execute("PRAGMA journal_mode = OFF").fetchall()
        source.backup(target, pages=STEP_PAGES, progress=step, sleep=0.0)
        target.execute("PRAGMA journal_mode = DELETE").fetchall()


def _copy(store: Path, part: Path, told: Callable[[Progress], None]) -> int:
    wal = store.with_name(store.name + "-wal")

    def bounded(progress: Progress) -> None:
        told(progress)
        if wal.exists() and wal.stat().st_size > MAX_WAL:
            raise BackupRefused(
                f"{part.parent} is too slow: the store changed by {MAX_WAL >> 20} MiB meanwhile; back up to a faster "
                "disk, and copy that file"
            )

    with closing(sqlite3.connect(uri_of(store, mode="ro"), uri=True, isolation_level=None)) as source:
        source.execute("PRAGMA busy_timeout = 10000")
        source.execute("BEGIN")
        (count,) = source.execute("SELECT COUNT(*) FROM executions").fetchone()
        copy(source, part, bounded)
    return int(count)


def _verify(store: Path, part: Path, told: Callable[[Progress], None], breath: float) -> dict[str, str]:
    def pause() -> None:
        told(Progress("verifying"))
        if breath:
            time.sleep(breath)

    with closing(sqlite3.connect(uri_of(part, immutable=True), uri=True, isolation_level=None)) as db:
        pause()
        report = quick_check(db)
        if report != "ok":
            raise BackupRefused(
                f"the copy of {store} is damaged ({report}): the store is, or the disk of the copy; `ganglion doctor` "
                "looks at the store"
            )
        if len(check_known(db)) < len(MIGRATIONS):
            return {}  # of the version before; to read its rows would take to change them
        return damaged_rows(db, pause)


def _why(error: sqlite3.Error, store: Path, target: Path) -> str:
    if is_full(error):
        return f"there is no room for {target}: free some space, or name a file on another disk"
    if is_damaged(error):
        return f"{store} is damaged ({error}): it can't be copied; restore an earlier backup"
    return f"{store} can't be copied to {target}: {error}"
