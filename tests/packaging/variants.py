"""Other versions of the executable under test: its own folder, packed again, with a module in it that changes things.

PyInstaller keeps the modules with which Python begins in a zip archive. One of them is replaced by source, which is run
before the program's own first line, by whatever Python is inside.
"""

import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from agent.update.keys import written_key
from agent.update.program import architecture
from agent.update.signature import SUFFIX, new_key, sign

ROOT = Path(__file__).parents[2]
_SEED, _PUBLIC = new_key()
KEY = written_key(_PUBLIC)
"""Whose signature they have."""
NAMED_PACKER = os.environ.get("PACKAGE_PYTHON", "")
PACKERS = (NAMED_PACKER,) if NAMED_PACKER else (sys.executable, str(ROOT / "build/package-venv/bin/python"))
"""One of them is to have the package zstandard."""
_ENVIRON = os.environ | {"PYTHONPATH": str(ROOT / "packaging")}
UNUSED = ("llama_cpp", "wasmtime", "wasmtime.libs")
"""Large, and not for what is tried here."""
PACK = """\
import sys
from pathlib import Path
import launcher
launcher.LEVEL = 1
launcher.pack(*map(Path, sys.argv[1:]))
"""
HOOK = """\
from encodings._aliases import aliases
import builtins, sys

CHANGES = @CHANGES@
_import = builtins.__import__


def _changing(name, *rest, **named):
    found = _import(name, *rest, **named)
    for one in list(CHANGES):
        module = sys.modules.get(one)
        if module is not None and not getattr(module.__spec__, "_initializing", False):
            exec(CHANGES.pop(one), module.__dict__)
    return found


builtins.__import__ = _changing
"""
LATER = 'MIGRATIONS += (("second", "CREATE TABLE second (x); CREATE TABLE third (x)"),)'
"""What a newer version adds to the store."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A version of ganglion. `changes` are run at the end of the modules of these names."""

    version: str
    changes: dict[str, str] = field(default_factory=dict)


GOOD = Variant(version="0.1.1", changes={"engine.store.schema": LATER})
SILENT = Variant(
    version="0.1.2",
    changes={
        "engine.store.schema": LATER,
        "agent.app": "import asyncio\nasync def _live(*_):\n    await asyncio.sleep(3600)",
    },
)
"""It migrates, and never becomes ready."""
CRASHING = Variant(
    version="0.1.3",
    changes={
        "engine.store.schema": LATER,
        "agent.app": "async def _live(*_):\n    import ctypes\n    ctypes.string_at(0)",
    },
)
"""It migrates, and dies in native code."""


def why_not() -> str:
    """Why none can be made here; empty if they can."""
    asked = [sys.executable, "-c", "import needs; print(*needs.missing_for_launcher())"]
    lacks = subprocess.run(asked, env=_ENVIRON, check=True, capture_output=True, text=True).stdout.strip()
    if lacks:
        return lacks
    if _packer():
        return ""
    if NAMED_PACKER:
        return f"PACKAGE_PYTHON={NAMED_PACKER} is no Python with zstandard: let it name one (pip install zstandard)"
    return "no Python has zstandard: `make package` makes one, or let PACKAGE_PYTHON name one (pip install zstandard)"


def named(variant: Variant) -> str:
    """The name of its file, as a release has it."""
    return f"ganglion-{variant.version}-{architecture()}"


def make(variant: Variant, folder: Path, work: Path) -> None:
    """An executable out of an unpacked one's folder, and its signature."""
    target = work / named(variant)
    tree = work / variant.version
    shutil.copytree(folder, tree, symlinks=True, ignore=shutil.ignore_patterns(*UNUSED))
    changes = {"agent": f"__version__ = {variant.version!r}", **variant.changes}
    _replace(tree / "_internal" / "base_library.zip", HOOK.replace("@CHANGES@", repr(changes)))
    pack(tree, work / f"{variant.version}-packed", target)
    shutil.rmtree(tree)
    shutil.rmtree(work / f"{variant.version}-packed")
    said = sign(target, seed=_SEED, version=variant.version, arch=architecture())
    target.with_name(target.name + SUFFIX).write_bytes(msgspec.json.encode(said))


def pack(folder: Path, work: Path, executable: Path) -> None:
    """What packaging/launcher.py makes of a folder, quickly."""
    subprocess.run([_packer(), "-c", PACK, folder, work, executable], check=True, env=_ENVIRON)


def _replace(archive: Path, source: str) -> None:
    """`encodings.aliases`, which is imported first of all, is this source; what it was is `encodings._aliases`."""
    with zipfile.ZipFile(archive) as old:
        contents = {name: old.read(name) for name in old.namelist()}
    contents["encodings/_aliases.pyc"] = contents.pop("encodings/aliases.pyc")
    contents["encodings/aliases.py"] = source.encode()
    with zipfile.ZipFile(archive, "w") as new:
        for name, content in contents.items():
            new.writestr(name, content)


def _packer() -> str:
    for python in filter(shutil.which, PACKERS):
        if subprocess.run([python, "-c", "import zstandard"], check=False, capture_output=True).returncode == 0:
            return python
    return ""
