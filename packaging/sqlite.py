"""SQLite without the bug that may lose commits when a WAL is reset (3.7.0 to 3.51.2), whatever the machine has.

A library of that name takes the place of the machine's libsqlite3, and Python's own module `sqlite3` stays as it is. On
x86-64 it is a copy of the extension module of the package pysqlite3, which carries a newer SQLite and exports its
functions. Elsewhere that package has no wheel, and the library is compiled with the same options of SQLite's
amalgamation: $SQLITE_SOURCE names the folder with sqlite3.c.

SQLITE_SOURCE=FOLDER CC=aarch64-linux-gnu-gcc python packaging/sqlite.py --work FOLDER

compiles it for another architecture; the build there that uses the same work folder finds it done.
"""

import argparse
import ctypes
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

NAME = "libsqlite3.so.0"
FIXED = (3, 51, 3)
OPTIONS = (
    "ALLOW_COVERING_INDEX_SCAN=1", "ENABLE_FTS3", "ENABLE_FTS3_PARENTHESIS", "ENABLE_FTS4", "ENABLE_FTS5",
    "ENABLE_LOAD_EXTENSION", "ENABLE_MATH_FUNCTIONS", "ENABLE_RTREE", "ENABLE_STAT4", "SOUNDEX", "USE_URI",
    "TEMP_STORE=3", "MAX_VARIABLE_NUMBER=250000", "MAX_MMAP_SIZE=1099511627776",
)  # fmt: skip
"""As pysqlite3 has them."""
ROOT = Path(__file__).parents[1]


def sqlite(work: Path) -> tuple[Path, str]:
    """The library, and its version. Raises SystemExit if there is none, or if the bug is in it."""
    library = work / "compiled" / NAME
    if not library.exists():
        library = _packaged(work) or compiled(work)
    version = _version(library)
    if tuple(map(int, version.split("."))) < FIXED:
        sys.exit(f"{library} is SQLite {version}; {'.'.join(map(str, FIXED))} or newer is needed")
    return library, version


def compiled(work: Path) -> Path:
    """Compile it, for the architecture of $CC (a minute)."""
    source = Path(os.environ.get("SQLITE_SOURCE", ""), "sqlite3.c").resolve()
    if "SQLITE_SOURCE" not in os.environ or not source.exists():
        sys.exit(
            "the package pysqlite3 is not installed: name the folder of SQLite's amalgamation (sqlite3.c of "
            f"sqlite.org's download page, {'.'.join(map(str, FIXED))} or newer) with SQLITE_SOURCE"
        )
    library = work / "compiled" / NAME
    library.parent.mkdir(parents=True, exist_ok=True)
    part = library.with_suffix(".part")
    subprocess.run(
        [*shlex.split(os.environ.get("CC", "cc")), "-O2", "-fPIC", "-shared", f"-Wl,-soname,{NAME}",
         *(f"-DSQLITE_{option}" for option in OPTIONS), str(source), "-lpthread", "-ldl", "-lm", "-o", str(part)],
        check=True,
    )  # fmt: skip
    return part.replace(library)


def _packaged(work: Path) -> Path | None:
    """The one of pysqlite3; None where that package is not installed."""
    found = importlib.util.find_spec("pysqlite3")
    if found is None or not found.submodule_search_locations:
        return None
    work.mkdir(parents=True, exist_ok=True)
    module = next(Path(found.submodule_search_locations[0]).glob("_sqlite3.*.so"))
    part = Path(shutil.copy(module, work / f"{NAME}.part"))
    return part.replace(work / NAME)  # never written over: who has loaded the one before it would crash


def _version(library: Path) -> str:
    asked = ctypes.CDLL(str(library)).sqlite3_libversion
    asked.restype = ctypes.c_char_p
    version: bytes = asked()
    return version.decode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "package")
    print(compiled(parser.parse_args().work.resolve() / "sqlite"))


if __name__ == "__main__":
    main()
