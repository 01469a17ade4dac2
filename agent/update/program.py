"""What runs here."""

import os
import platform
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from agent import __version__

EXECUTABLE = "GANGLION_EXECUTABLE"
"""Set by a packed file that executes what it has unpacked: its own path."""
COMMIT = "commit.txt"
"""Beside `agent/__init__.py` in what is built; a checkout has none."""


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """A version of ganglion."""

    version: str
    arch: str
    commit: str = ""

    @property
    def told(self) -> str:
        """As people call it."""
        return f"ganglion {self.version}{f' ({self.commit[:12]})' if self.commit else ''}"


def this_program() -> Program:
    """The one that runs this line."""
    return Program(version=__version__, arch=architecture(), commit=_commit())


def architecture() -> str:
    """For what machines it is, such as `linux-x86_64`."""
    return f"{sys.platform}-{platform.machine()}"


def executable() -> Path:
    """The file that a person has installed, and that an update replaces. Links are followed."""
    if getattr(sys, "frozen", False):
        return Path(os.environ.get(EXECUTABLE) or sys.executable).resolve()
    script = Path(sys.argv[0])
    found = shutil.which(sys.argv[0]) if script.parent == Path() and not script.exists() else None
    return Path(found or script).resolve()


def outward(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for another executable: without what a packer's start-up code left for this one's own files."""
    packed = "_MEIPASS2" in environ or any(name.startswith("_PYI_") for name in environ)
    drop = {EXECUTABLE, "_MEIPASS2", "LD_LIBRARY_PATH_ORIG", *(["LD_LIBRARY_PATH"] if packed else [])}
    kept = {name: text for name, text in environ.items() if name not in drop and not name.startswith("_PYI_")}
    if "LD_LIBRARY_PATH_ORIG" in environ:
        kept["LD_LIBRARY_PATH"] = environ["LD_LIBRARY_PATH_ORIG"]
    return kept


def is_installed_by_pip(file: Path) -> bool:
    """A script of a Python environment is not ours to replace."""
    return file.parent == Path(sys.executable).parent.resolve() and not getattr(sys, "frozen", False)


def _commit() -> str:
    try:
        return (Path(__file__).parents[1] / COMMIT).read_text().strip()
    except OSError:
        return ""
