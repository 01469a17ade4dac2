"""What a machine must have to build the executable, asked before minutes of work are spent.

python3 packaging/needs.py              (make package does it)
python3 packaging/needs.py launcher     to pack only (make package-test does it)

One line for each thing that is missing, with Debian's name of it. It runs on a bare Python, so that it can come first.
"""

import ctypes
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

OLDEST_PYTHON = (3, 11)
PROGRAMS = {
    "cmake": "cmake",
    "git": "git",
    "make": "make",
    "objdump": "binutils",  # PyInstaller reads libraries with it
    "strip": "binutils",
    "tar": "tar",
}
STATIC_ZSTD = "#include <zstd.h>\nint main(void) { return (int)ZSTD_versionNumber() == 0; }\n"
CPLUSPLUS = "#include <thread>\nint main() { std::thread([] {}).join(); }\n"


def missing() -> Iterator[str]:
    """A line for each thing that is not here."""
    for program, package in PROGRAMS.items():
        if shutil.which(program) is None:
            yield f"no {program} (Debian: {package})"
    yield from missing_for_launcher()
    if said := _refused(os.environ.get("CXX", "c++"), "-xc++", CPLUSPLUS, "-pthread"):
        yield f"no C++ compiler that works (Debian: g++; another one: CXX=…): {said}"
    yield from _of_python()


def missing_for_launcher() -> Iterator[str]:
    """The same for the small program around the packed one."""
    if said := _refused(os.environ.get("CC", "cc"), "-xc", "int main(void) { return 0; }\n"):
        yield f"no C compiler that works (Debian: gcc, libc6-dev; another one: CC=…): {said}"
    elif said := _refused(os.environ.get("CC", "cc"), "-xc", STATIC_ZSTD, "-static-pie", "-fPIE", *_flags(), "-lzstd"):
        yield f"no static zstd (Debian: libzstd-dev; elsewhere: LAUNCHER_CFLAGS='-I… -L…'): {said}"


def _of_python() -> Iterator[str]:
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if sys.version_info < OLDEST_PYTHON:
        yield f"{sys.executable} is Python {version}; 3.11 or newer is needed"
    if importlib.util.find_spec("ensurepip") is None:
        yield f"{sys.executable} makes no virtual environments (Debian: python{version}-venv)"
    name = sysconfig.get_config_var("INSTSONAME") or ""
    library = name if ".so" in name else f"libpython{version}.so.1.0"
    try:
        ctypes.CDLL(str(Path(sysconfig.get_config_var("LIBDIR") or "/usr/lib") / library))
    except OSError:
        try:
            ctypes.CDLL(library)
        except OSError:
            yield (
                f"{sys.executable} has no {library}, which the executable takes in (Debian: libpython{version}; "
                "a Python of your own: configure it with --enable-shared)"
            )


def _flags() -> list[str]:
    return shlex.split(os.environ.get("LAUNCHER_CFLAGS", ""))


def _refused(compiler: str, language: str, text: str, *options: str) -> str:
    """Why a program can't be compiled and linked; empty if it can."""
    with tempfile.TemporaryDirectory() as folder:
        before = [option for option in options if not option.startswith("-l")]
        after = [option for option in options if option.startswith("-l")]
        command = [*shlex.split(compiler), *before, language, "-", "-o", f"{folder}/program", *after]
        try:
            done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        except OSError as error:
            return f"{compiler}: {error.strerror}"
    lines = [line for line in done.stderr.splitlines() if "error" in line or "cannot find" in line] or [done.stderr]
    return lines[0].strip() if done.returncode else ""


def main() -> int:
    if sys.argv[1:] == ["launcher"]:
        what, found = "Other versions can't be packed here, for the tests of updates", list(missing_for_launcher())
    else:
        what, found = "The executable can't be built here", list(missing())
    if found:
        sys.stderr.write(f"{what}:\n" + "".join(f"  {line}\n" for line in found))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
