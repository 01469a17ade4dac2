"""The licences of everything inside, from what was really packed: PyInstaller's lists name each source file."""

import ast
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

LICENCE = re.compile(r"(^|/)(licen[cs]e|copying|notice|authors)[^/]*$|\.dist-info/licen[cs]es/", re.IGNORECASE)
COPIED = {"pyinstaller", "pysqlite3"}
"""Of which files are inside that PyInstaller's lists don't name: start-up code, SQLite."""
STATIC = ("libc6", "libzstd1", "libzstd-dev")
"""Debian packages that are linked into the launcher."""


def write_licences(lists: Path, extra: Path, folder: Path) -> None:
    """`lists`: PyInstaller's work folder; `extra`: folders of licences of what no package manager knows.

    Raises SystemExit for a part without a licence: it must not be packed.
    """
    packed = {Path(name) for path in lists.glob("*.toc") for name in _paths(ast.literal_eval(path.read_text()))}
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(extra, folder)
    names = {path.name for path in folder.iterdir()}
    for distribution in distributions():
        files = {Path(str(file.locate())).absolute() for file in distribution.files or ()}
        if files & packed or distribution.name in COPIED:
            name = f"{distribution.name}-{distribution.version}"
            _of_distribution(distribution, folder / name)
            names.add(name)
    python = Path(sysconfig.get_path("stdlib")) / "LICENSE.txt"
    names.add(_copy(python, folder / f"Python-{sys.version_info[0]}.{sys.version_info[1]}.{sys.version_info[2]}"))
    for package in sorted({*STATIC, *_debian_packages(packed)}):
        copyright = Path("/usr/share/doc") / package / "copyright"
        if copyright.exists():
            names.add(_copy(copyright, folder / f"debian-{package}"))
    listing = "".join(f"{name}\n" for name in sorted(names, key=str.lower))
    text = "This program is made of these parts; each folder holds their licences."
    (folder / "README").write_text(f"{text}\n\n{listing}")


def _paths(value: object) -> Iterator[str]:
    """Every absolute path in it."""
    if isinstance(value, str) and value.startswith("/"):
        yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _paths(part)


def _of_distribution(distribution: Distribution, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in distribution.files or ():
        path = Path(str(file.locate()))
        if LICENCE.search(str(file)) and path.suffix not in {".py", ".pyc"} and path.is_file():
            shutil.copy(path, folder)
    said = [
        distribution.metadata.get("License-Expression") or "", distribution.metadata.get("License") or "",
        *(one for one in distribution.metadata.get_all("Classifier") or () if one.startswith("License ::")),
    ]  # fmt: skip
    if not any(said) and not any(folder.iterdir()):
        sys.exit(f"{distribution.name} says nothing of its licence: it can't be packed")
    (folder / "METADATA").write_text("".join(f"{line}\n" for line in said if line))


def _debian_packages(packed: set[Path]) -> Iterator[str]:
    """To which packages of the system the libraries belong; none on another system."""
    for path in packed:
        if ".so" not in path.name or shutil.which("dpkg") is None:
            continue
        for name in {path, path.resolve(), Path(str(path.resolve()).removeprefix("/usr"))}:
            found = subprocess.run(["dpkg", "-S", str(name)], capture_output=True, text=True, check=False)
            if found.returncode == 0:
                yield found.stdout.partition(":")[0]
                break


def _copy(path: Path, folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, folder)
    return folder.name
