"""Databases as they were before another version migrated them: what an older one needs to run again.

They lie in a folder of the data directory from the agent's stop to the end of the update. The agent must not run while
they are taken or put back.
"""

import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from agent.backups import STORE
from agent.update.directory import FILE as STAMP
from engine.crash import crash_point
from engine.store import restoring
from engine.store.backup import copy, sync
from engine.store.connection import uri_of

FOLDER = "before-update"
SPARE = 100_000_000
"""Bytes that must stay free."""
_WORK = (
    ("executions", "SELECT COUNT(*) FROM executions WHERE num > ?", "SELECT COALESCE(MAX(num), 0) FROM executions"),
    (
        "facts",
        "SELECT COUNT(*) FROM facts WHERE kind NOT LIKE 'agent.%' AND seq > ?",
        "SELECT COALESCE(MAX(seq), 0) FROM facts",
    ),
    ("dead letters", "SELECT COUNT(*) FROM deadletters WHERE id > ?", "SELECT COALESCE(MAX(id), 0) FROM deadletters"),
    (
        "kept messages",
        "SELECT COUNT(*) FROM kept_messages WHERE id > ?",
        "SELECT COALESCE(MAX(id), 0) FROM kept_messages",
    ),
    (
        "answers",
        "SELECT COUNT(*) FROM waits WHERE answered_at > ?",
        "SELECT COALESCE(MAX(answered_at), 0) FROM waits",
    ),
    ("values of state", "SELECT COUNT(*) FROM state WHERE changed_at > ?",
     "SELECT COALESCE(MAX(changed_at), 0) FROM state"),
    (
        "nodes",
        "SELECT COUNT(*) FROM nodes WHERE MAX(COALESCE(started_at, 0), COALESCE(finished_at, 0)) > ?",
        "SELECT MAX(COALESCE(MAX(started_at), 0), COALESCE(MAX(finished_at), 0)) FROM nodes",
    ),
)  # fmt: skip
"""What was taken in or done since: what is counted, how, and where counting begins. Facts tell of nearly all of it;
what an agent says of itself is no work."""


def missing_bytes(data_dir: Path, names: Iterable[str]) -> int:
    """How much room is missing for a copy of these databases; 0 or less: none."""
    need = sum((data_dir / name).stat().st_size for name in names if (data_dir / name).exists())
    return need + SPARE - shutil.disk_usage(data_dir).free if need else 0


def take(data_dir: Path, names: Iterable[str]) -> None:
    """Copy databases, whole or not at all, in the place of older copies. The caller holds the lock of the directory.
    Raises OSError, sqlite3.Error, StoreError."""
    discard(data_dir)  # of a try before, since which the old version may have worked
    folder = data_dir / FOLDER
    part = folder.with_name(f"{FOLDER}.part")
    part.mkdir(mode=0o700)
    for name in names:
        original = data_dir / name
        if original.exists():
            _copy(original, part / name)
    if (data_dir / STAMP).exists():
        shutil.copy2(data_dir / STAMP, part / STAMP)
    sync(part)
    crash_point("update-copying")
    part.replace(folder)
    sync(data_dir)


def is_there(data_dir: Path) -> bool:
    """Whether a return would put databases back."""
    return (data_dir / FOLDER).is_dir()


def work_since(data_dir: Path) -> str:
    """What the store has that its copy has not, for people; empty: nothing, so that nothing is lost with it."""
    before, now = data_dir / FOLDER / STORE, data_dir / STORE
    if not before.exists() or not now.exists():
        return ""
    found = []
    try:
        with closing(_opened(before)) as old, closing(_opened(now)) as new:
            for what, count, begin in _WORK:
                (start,) = old.execute(begin).fetchone()
                (number,) = new.execute(count, (start,)).fetchone()
                if number:
                    found.append(f"{number} {what}")
    except sqlite3.Error as error:
        return f"what can't be counted ({error})"
    return ", ".join(found)


def put_back(data_dir: Path) -> None:
    """Each copy takes the place of its database, which is kept aside as `NAME.replaced-<time>`. Done again it goes on
    where it was; the next start of an agent does so too for the database that was under way. The caller holds the lock
    of the directory."""
    folder = data_dir / FOLDER
    for path in sorted(folder.glob("*.db")):
        if path.name == STORE:
            _renew_epoch(path)
        path.replace(data_dir / f"{path.name}.restored")
        sync(data_dir)
        crash_point("update-putting-back")
        restoring.complete(data_dir / path.name)
    if (folder / STAMP).exists():
        (folder / STAMP).replace(data_dir / STAMP)
    discard(data_dir)


def discard(data_dir: Path) -> None:
    """The copies are needed no more."""
    for folder in (data_dir / FOLDER, data_dir / f"{FOLDER}.part"):
        shutil.rmtree(folder, ignore_errors=True)


def _copy(original: Path, target: Path) -> None:
    target.touch(mode=0o600)
    with closing(_opened(original)) as source:
        source.execute("BEGIN")
        copy(source, target, lambda _: None)
    shutil.copystat(original, target)
    if os.geteuid() == 0:
        state = original.stat()
        os.chown(target, state.st_uid, state.st_gid)
    sync(target)


def _renew_epoch(path: Path) -> None:
    """The newer program has given out numbers of facts under the old one."""
    with closing(sqlite3.connect(uri_of(path), uri=True, isolation_level=None)) as db:
        db.execute("INSERT OR REPLACE INTO meta VALUES ('epoch', ?)", (secrets.token_hex(4),))
    sync(path)


def _opened(path: Path) -> sqlite3.Connection:
    wal = path.with_name(path.name + "-wal")
    alone = not wal.exists() or not wal.stat().st_size
    return sqlite3.connect(uri_of(path, mode="ro", immutable=alone), uri=True, isolation_level=None)
