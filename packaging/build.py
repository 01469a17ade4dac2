"""Makes dist/ganglion-<version>-linux-<arch>, one executable, and says how large it is.

python packaging/build.py [--work build/package] [--dist dist] [--glibc 2.31]      (make package)
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from importlib.metadata import version as version_of
from pathlib import Path

import glibc
from launcher import pack
from licences import write_licences
from llama import llama, pinned
from pages import check_pages
from sqlite import sqlite

ROOT = Path(__file__).parents[1]
LIMIT_BYTES = 90_000_000
PROCESSORS = {"x86_64": "x86-64 with SSE2", "aarch64": "ARMv8.0"}
"""The oldest that everything inside is compiled for; llama.cpp has variants for newer ones."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "package")
    parser.add_argument("--dist", type=Path, default=ROOT / "dist")
    parser.add_argument("--glibc", type=glibc.version, help="fail if a part asks for a newer one than this")
    options = parser.parse_args()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    options.dist.mkdir(parents=True, exist_ok=True)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    executable = options.dist / f"ganglion-{version}-linux-{platform.machine()}"

    sqlite_library, sqlite_version = sqlite(work / "sqlite")
    llama_version = pinned("llama-cpp-python")
    library = llama(llama_version, work)
    server = Path(sysconfig.get_path("scripts")) / "nats-server"
    said = work / "said"
    shutil.rmtree(said, ignore_errors=True)
    said.mkdir()
    commit = _commit()
    (said / "commit.txt").write_text(f"{commit}\n")
    folder = _collect(work, library, sqlite_library, server, said)
    check_pages(folder)
    write_licences(work, library, server, folder / "_internal" / "licences")
    inside = _told(commit, sqlite_version, llama_version, server, _glibc(folder, options.glibc))
    (folder / "_internal" / "agent" / "build.txt").write_text(inside)
    pack(folder, work / "packed", executable)
    check_pages(executable)
    size = executable.stat().st_size
    print(f"{executable}: {size / 1e6:.1f} MB, of {_size(folder) / 1e6:.0f} MB unpacked\n{inside}", end="")
    if size > LIMIT_BYTES:
        sys.exit(f"that is more than {LIMIT_BYTES // 1_000_000} MB")


def _collect(work: Path, library: Path, sqlite_library: Path, server: Path, said: Path) -> Path:
    environment = os.environ | {
        "GANGLION_LLAMA": str(library),
        "GANGLION_SQLITE": str(sqlite_library),
        "GANGLION_NATS_SERVER": str(server),
        "GANGLION_BUILD_FILES": str(said),
        "PYINSTALLER_ZLIB_COMPRESSION_LEVEL": "0",  # modules start quicker, and all is compressed better as a whole
        "PYTHONHASHSEED": "1",
        "SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH", "1735689600"),
    }
    subprocess.run(
        [sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level", "WARN", "--distpath", str(work / "folder"),
         "--workpath", str(work / "lists"), str(ROOT / "packaging" / "ganglion.spec")],
        check=True, env=environment, cwd=work,
    )  # fmt: skip
    return work / "folder" / "ganglion"


def _told(commit: str, sqlite_version: str, llama_version: str, server: Path, needed: str) -> str:
    nats = subprocess.run([str(server), "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
    facts = {  # the names of agent/build.py
        "commit": commit,
        "python": platform.python_version(),
        "sqlite": sqlite_version,
        "nats": nats.removeprefix("v"),
        "llama_cpp": llama_version,
        "wasmtime": version_of("wasmtime"),
        "architecture": platform.machine(),
        "glibc": needed,
        "processor": PROCESSORS[platform.machine()],
    }
    return "".join(f"{name} {fact}\n" for name, fact in facts.items())


def _commit() -> str:
    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    return git("rev-parse", "HEAD") + ("-modified" if git("status", "--porcelain", "--untracked-files=no") else "")


def _glibc(folder: Path, limit: glibc.Version | None) -> str:
    """The oldest that runs it all. Raises SystemExit if that is newer than the limit."""
    found = glibc.asked(folder.rglob("*"))
    if limit is not None and (lines := glibc.beyond(found, limit)):
        sys.exit("\n".join([f"not for glibc {glibc.told(limit)}; build it in an older system:", *lines]))
    return glibc.told(max(found.values()))


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


if __name__ == "__main__":
    main()
