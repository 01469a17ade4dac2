"""How the store's file is, and which executions are set aside. Only reads, also beside a running agent."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from agent.finding import Finding, Verdict
from agent.lock import holder
from engine.store.check import damaged_rows, quick_check
from engine.store.connection import uri_of

SECONDS, BESIDE_SECONDS = 20.0, 3.0
"""How long the file is looked at; beside a running agent, whose WAL grows meanwhile."""
LARGE_WAL = 256_000_000
SHOWN = 5
RESTORE = "stop the agent and put a backup in its place: ganglion restore FILE"


class _TimeIsOver(Exception):
    """Not all rows were looked at."""


def examine_store(path: Path) -> Iterator[Finding]:
    """Findings about the file; none where there is no file yet."""
    if not path.exists():
        return
    if path.with_name(path.name + ".restored").exists():
        yield Finding("store", Verdict.WARN, "a restore was interrupted", "start the agent: it completes the restore")
    wal = path.with_name(path.name + "-wal")
    if wal.exists() and wal.stat().st_size > LARGE_WAL:
        message = f"{wal} has {wal.stat().st_size / 1e6:.0f} MB: something has read the store for long"
        yield Finding("store", Verdict.WARN, message, "end what reads it; the agent then begins the WAL anew")
    try:
        with closing(sqlite3.connect(uri_of(path, mode="ro"), uri=True, isolation_level=None, timeout=2)) as db:
            yield from _examine(db, path)
    except sqlite3.Error as error:
        yield Finding("store", Verdict.FAIL, f"{path} can't be read: {error}", RESTORE)


def examine_recording(path: Path) -> Iterator[Finding]:
    """A finding about a recorder's file; none where there is no file."""
    if not path.exists():
        return
    seconds = SECONDS if holder(path.parent) is None else BESIDE_SECONDS
    try:
        with closing(sqlite3.connect(uri_of(path, mode="ro"), uri=True, isolation_level=None, timeout=2)) as db:
            report = quick_check(db, seconds)
    except sqlite3.Error as error:
        report = str(error)
    if report in ("ok", ""):
        looked = "whole" if report else "too large to be looked at in whole"
        yield Finding("fleet", Verdict.OK, f"{path.name}: {path.stat().st_size / 1e6:.1f} MB, {looked}")
        return
    yield Finding(
        "fleet",
        Verdict.FAIL,
        f"{path} is damaged: {report}",
        "start the agent anew: it sets the file aside, and records again what the fleet's stream and outboxes hold",
    )


def _examine(db: sqlite3.Connection, path: Path) -> Iterator[Finding]:
    give_up = time.monotonic() + (SECONDS if holder(path.parent) is None else BESIDE_SECONDS)
    report = quick_check(db, give_up - time.monotonic())
    if report not in ("ok", ""):
        yield Finding("store", Verdict.FAIL, f"{path} is damaged: {report}", RESTORE)
        return
    damaged, all_rows = _rows(db, give_up)
    looked = "whole" if report and all_rows else "too large to be looked at in whole"
    yield Finding("store", Verdict.OK, f"{path.stat().st_size / 1e6:.1f} MB, {looked}")
    if damaged:
        yield Finding(
            "store",
            Verdict.FAIL,
            f"{len(damaged)} executions have a damaged row: {_listed(damaged)}",
            "nothing of them is run, everything else is; for what they held restore a backup",
        )
    yield from _blocked(db)


def _rows(db: sqlite3.Connection, give_up: float) -> tuple[dict[str, str], bool]:
    """Executions with a damaged row, and whether all were looked at."""
    known: dict[str, str] = {}

    def pause() -> None:
        if time.monotonic() > give_up:
            raise _TimeIsOver

    try:
        damaged_rows(db, pause, known)
    except _TimeIsOver:
        return known, False
    except sqlite3.OperationalError:  # of a version before: the next start brings it up to date
        return {}, False
    return known, True


def _blocked(db: sqlite3.Connection) -> Iterator[Finding]:
    rows = db.execute(
        "SELECT id, workflow, version, error FROM executions WHERE status = 'blocked' AND finished_at IS NULL "
        "ORDER BY num"
    ).fetchall()
    if rows:
        reasons = {f"{id} ({workflow}@{version})": _reason(error) for id, workflow, version, error in rows}
        yield Finding(
            "executions",
            Verdict.WARN,
            f"{len(rows)} are blocked: {_listed(reasons)}",
            "they are tried again at each start; `ganglion show ID` tells all, `ganglion cancel ID` ends one",
        )


def _listed(problems: dict[str, str]) -> str:
    told = "; ".join(f"{name}: {problem}" for name, problem in list(problems.items())[:SHOWN])
    return f"{told}; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else told


def _reason(error: bytes | None) -> str:
    try:
        about = {} if error is None else msgspec.json.decode(error)
    except msgspec.DecodeError:
        about = {}
    return str(about.get("message", "unknown")) if isinstance(about, dict) else "unknown"
