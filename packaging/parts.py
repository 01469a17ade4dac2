"""To which part a packed file belongs: a Python package, Python, a package of the system, or what was compiled here."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path
from typing import Any

from linked import TEXTS
from llama import pinned
from sqlite import sqlite

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from agent.licences import said_licence, text_files  # noqa: E402

OWN = ("agent", "engine", "mesh", "plugins", "examples", "packaging", "config.example.toml")
MODELS = {"triage-tiny-q8_0.gguf": "Apache-2.0"}
"""Language models among the examples; their README tells where they come from."""
GCC = "GPL-3.0-or-later WITH GCC-exception-3.1"
SYSTEM = {
    "libc6": ("LGPL-2.1-or-later", "LGPL-2.1"),
    "libgcc-s1": (GCC, "GPL-3"),
    "libgomp1": (GCC, "GPL-3"),
    "libomp5": ("Apache-2.0 WITH LLVM-exception", ""),
    "libstdc++6": (GCC, "GPL-3"),
    "libbz2-": ("bzip2-1.0.6", ""),
    "libffi": ("MIT", ""),
    "liblzma": ("public domain", ""),
    "libssl": ("Apache-2.0", ""),
    "libuuid1": ("BSD-3-Clause", ""),
    "libzstd1": ("BSD-3-Clause", ""),
    "zlib1g": ("Zlib", ""),
}
"""Debian's packages by how their names begin: the licence of the library, which their texts don't name among those of
programs; and the text in COMMON that theirs refers to."""
COMMON = Path("/usr/share/common-licenses")
LIBRARIES = ("libcrypto.", "libssl.")
OPENSSL = Path(sys.base_prefix) / "licences" / "OpenSSL"
"""Where packaging/python.sh puts its text: the version, and LICENSE.txt."""


@dataclass
class Part:
    """Something with a licence of its own."""

    name: str
    version: str
    licence: str
    """As its makers name it: an SPDX expression where they do."""
    texts: list[Path] = field(default_factory=list)
    crates: list[str] = field(default_factory=list)
    """Libraries in Rust that are linked into it, with their licences, as its bill of materials has them."""


class Parts:
    """Finds the part of a file. `work`: what build.py made; `llama`: where llama.cpp is in it."""

    def __init__(self, work: Path, llama: Path) -> None:
        self._work = work
        self._llama = llama
        self._of: dict[str, str] = {}
        for one in distributions():
            self._of |= dict.fromkeys(_files(one), one.name)
        self._found: dict[str, Part] = {}

    def of(self, source: Path) -> Part | None:
        """None: nobody knows whose it is."""
        made = next((name for name in self._names(source) if name), None)
        if made is None:
            return None
        if made not in self._found:
            self._found[made] = self._part(made)
        return self._found[made]

    def named(self, name: str) -> Part:
        """A Python package (`name`), a package of the system (`debian:name`), or one of ours."""
        if name not in self._found:
            self._found[name] = self._part(name)
        return self._found[name]

    def _names(self, source: Path) -> Iterator[str]:
        if source.name in MODELS:
            yield f"model:{source.name}"
        if source.is_relative_to(ROOT) and source.relative_to(ROOT).parts[0] in OWN and source.suffix != ".gguf":
            yield "ganglion"
        yield self._of.get(str(source), "")
        if source.is_relative_to(self._work):
            first = source.relative_to(self._work).parts[0]
            yield {"said": "ganglion", "sqlite": "SQLite"}.get(first, "")
            if first == "lists":
                yield "Python" if source.suffix in {".zip", ".pyc"} else "pyinstaller"
        if source.is_relative_to(self._llama):
            yield "llama.cpp"
        if OPENSSL.exists() and source.parent == Path(sys.base_prefix) / "lib" and source.name.startswith(LIBRARIES):
            yield "OpenSSL"
        if source.is_relative_to(sysconfig.get_path("stdlib")) or source.name.startswith("libpython"):
            yield "Python"
        package = system_package(source)
        yield f"debian:{package}" if package else ""

    def _part(self, name: str) -> Part:
        kind, _, rest = name.partition(":")
        if kind == "ganglion":
            project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
            return Part(name, project["version"], project["license"], sorted(ROOT.glob("LICENSE*")))
        if kind == "Python":
            text = Path(sysconfig.get_path("stdlib")) / "LICENSE.txt"
            return Part(name, sys.version.split()[0], "PSF-2.0", [text] if text.exists() else [])
        if kind == "OpenSSL":
            return Part(name, (OPENSSL / "version").read_text().strip(), "Apache-2.0", [OPENSSL / "LICENSE.txt"])
        if kind == "llama.cpp":
            texts = sorted((self._llama / "licences").rglob("LICENSE*"))
            return Part(name, f"of llama-cpp-python {pinned('llama-cpp-python')}", "MIT", texts)
        if kind == "SQLite":
            return Part(name, sqlite(self._work / "sqlite")[1], "blessing", [TEXTS / "blessing.txt", *_extension()])
        if kind == "model":
            texts = [ROOT / "examples" / "models" / "README.md", ROOT / "LICENSE-APACHE"]
            return Part(Path(rest).stem, "", MODELS[rest], texts)
        if kind == "debian":
            return _debian(rest)
        one = distribution(name)
        return Part(one.name, one.version, said_licence(one), list(text_files(one)), _crates(one))


def _files(one: Distribution) -> Iterator[str]:
    """Where its files are. Its `files` would take a second for all of an environment."""
    folder = str(one.locate_file(""))
    for line in (one.read_text("RECORD") or "").splitlines():
        yield os.path.normpath(f"{folder}/{line.partition(',')[0]}")  # scripts are ../../../bin/NAME


def system_package(path: Path) -> str:
    """The Debian package that a file is of; empty on another system, or where it is of none."""
    if shutil.which("dpkg") is None:
        return ""
    for name in {path, path.resolve(), Path(str(path.resolve()).removeprefix("/usr"))}:
        found = subprocess.run(["dpkg", "-S", str(name)], capture_output=True, text=True, check=False)
        if found.returncode == 0:
            return found.stdout.partition(":")[0]
    return ""


def _extension() -> list[Path]:
    """The texts of the package whose extension module SQLite is taken from; none where it is compiled."""
    try:
        return list(text_files(distribution("pysqlite3")))
    except PackageNotFoundError:
        return []


def _debian(package: str) -> Part:
    known = [about for start, about in SYSTEM.items() if package.startswith(start)]
    licence, common = known[0] if known else ("see its text", "")
    texts = [Path("/usr/share/doc") / package / "copyright", *([COMMON / common] if common else [])]
    asked = subprocess.run(
        ["dpkg-query", "--show", "--showformat", "${Version}\n", package], capture_output=True, text=True, check=False
    )
    return Part(package, asked.stdout.partition("\n")[0], licence, texts if all(map(Path.exists, texts)) else [])


def _crates(one: Distribution) -> list[str]:
    bills = [Path(str(file.locate())) for file in one.files or () if str(file).endswith(".cyclonedx.json")]
    return [
        f"{crate['name']} {crate.get('version', '')}: {', '.join(map(_crate_licence, crate.get('licenses', [])))}"
        for bill in bills
        for crate in json.loads(bill.read_text()).get("components", [])
    ]


def _crate_licence(said: dict[str, Any]) -> str:
    named = said.get("license", {})
    return said.get("expression") or named.get("id") or named.get("name") or "unknown"
