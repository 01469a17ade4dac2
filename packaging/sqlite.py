"""SQLite without the bug that may lose commits when a WAL is reset (3.7.0 to 3.51.2), whatever the machine has.

The package pysqlite3 carries a newer one inside its extension module, which exports SQLite's functions: a copy of that
file takes the place of libsqlite3, and Python's own module `sqlite3` stays as it is.
"""

import shutil
import sys
from pathlib import Path

NAME = "libsqlite3.so.0"
FIXED = (3, 51, 3)


def sqlite(work: Path) -> tuple[Path, str]:
    """The library, and its version. Raises SystemExit if the bug is in it."""
    from pysqlite3 import _sqlite3

    version: str = _sqlite3.sqlite_version
    if tuple(map(int, version.split("."))) < FIXED:
        sys.exit(f"pysqlite3 has SQLite {version}; {'.'.join(map(str, FIXED))} or newer is needed")
    work.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(_sqlite3.__file__, work / NAME)), version
