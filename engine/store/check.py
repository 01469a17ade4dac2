"""Is the file whole? SQLite's own check of its pages, and ours of each row, because SQLite has no checksums."""

import sqlite3
import threading
from collections.abc import Callable

from engine.store import checkpoints, executions, values

MAX_TOLD = 1000
"""Damaged executions that are named."""
ROWS = 500
"""Rows of one step: a few milliseconds."""


def quick_check(db: sqlite3.Connection, seconds: float | None = None) -> str:
    """`ok`, what is wrong, or nothing where the time was over before all was looked at. Blocks."""
    if seconds is not None and seconds <= 0:
        return ""
    timer = None if seconds is None else threading.Timer(seconds, db.interrupt)
    if timer is not None:
        timer.daemon = True
        timer.start()
    try:
        return " ".join(str(db.execute("PRAGMA quick_check(1)").fetchone()[0]).split())
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) != sqlite3.SQLITE_INTERRUPT:
            raise
        return ""
    finally:
        if timer is not None:
            timer.cancel()
            timer.join()  # so that it can't interrupt what comes next


def damaged_rows(
    db: sqlite3.Connection, pause: Callable[[], None] = lambda: None, found: dict[str, str] | None = None
) -> dict[str, str]:  # fmt: skip
    """Executions with a row that is not what was written, and what is wrong; the first MAX_TOLD of them.

    Reads every row; `pause` is called between two steps, and may raise to give up: `found` then holds what was found
    so far. Blocks.
    """
    found = {} if found is None else found
    for check in (executions.check, checkpoints.check, values.check):
        for step in check(db, ROWS):
            for execution, problem in step.items():
                if len(found) < MAX_TOLD:
                    found.setdefault(execution, problem)
            pause()
    return found
