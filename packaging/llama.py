"""llama.cpp for every processor of an architecture: the computing code in variants, of which the best is loaded at run
time, from plain x86-64 (SSE2) to AMX, from ARMv8.0 to SME.

Of llama_cpp only the binding to the native functions is taken, which needs nothing but ctypes: its Python layer would
bring numpy with OpenBLAS, 70 MB.

CC=aarch64-linux-gnu-gcc CXX=aarch64-linux-gnu-g++ python packaging/llama.py --work FOLDER

compiles for another architecture than this machine's; the build on such a machine that uses the same work folder finds
it done.
"""

import argparse
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCKED = ROOT / "constraints-source.txt"
OPTIONS = {
    "CMAKE_BUILD_TYPE": "Release",
    "BUILD_SHARED_LIBS": "ON",
    "GGML_NATIVE": "OFF",
    "GGML_BACKEND_DL": "ON",
    "GGML_CPU_ALL_VARIANTS": "ON",
    "LLAMA_BUILD_COMMON": "OFF",
    "LLAMA_BUILD_TESTS": "OFF",
    "LLAMA_BUILD_TOOLS": "OFF",
    "LLAMA_BUILD_EXAMPLES": "OFF",
    "LLAMA_BUILD_SERVER": "OFF",
    "LLAMA_CURL": "OFF",
    "CMAKE_INSTALL_RPATH": "$ORIGIN",
    "CMAKE_BUILD_WITH_INSTALL_RPATH": "ON",
}
BINDING = ("llama_cpp.py", "_ctypes_extensions.py")
LIBRARIES = ("libllama.so", "libggml.so.0", "libggml-base.so.0")
"""As they are opened: libllama by the binding, the others by what libllama says it needs."""
PROBES = {
    "x86_64": {"alderlake": "-mavxvnni", "sapphirerapids": "-mamx-int8"},
    "aarch64": {"armv9.2_1": "-march=armv9.2-a+sme", "armv9.2_2": "-march=armv9.2-a+sme"},
}
"""Variants that not every compiler in use can make (AVX-VNNI and AMX: gcc 11, SME: gcc 14), and what it then refuses.
Where one is left out, the processors that it is for run the next best."""


def llama(version: str, work: Path) -> Path:
    """A folder with the package `llama_cpp`. The first time it compiles (about 20 minutes of one core)."""
    folder = work / f"llama-{version}"
    if not (folder / "llama_cpp" / "__init__.py").exists():
        _assemble(_source(version, work), work / f"llama-{version}-build", folder / "llama_cpp", version)
    return folder


def pinned(name: str) -> str:
    """The version of a package that constraints.txt names."""
    found = re.search(rf"^{name}==([^\s;\\]+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    return found[1] if found else sys.exit(f"constraints.txt does not name {name}")


def without(variants: list[str], cmake: str) -> str:
    """ggml's list of variants without these."""
    names = "|".join(map(re.escape, variants))
    return re.sub(rf"^ *ggml_add_cpu_backend_variant\(({names})[ )].*\n", "", cmake, flags=re.MULTILINE)


def _source(version: str, work: Path) -> Path:
    """The unpacked source distribution; $LLAMA_SOURCE names one that is there already. Raises SystemExit if it is not
    the one whose checksum is locked."""
    archive = Path(os.environ.get("LLAMA_SOURCE") or work / f"llama_cpp_python-{version}.tar.gz")
    if not archive.exists():
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:",
             "--no-build-isolation", "--require-hashes", "--requirement", str(LOCKED), "--dest", str(work)],
            check=True,
        )  # fmt: skip
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if f"=={version} " not in LOCKED.read_text() or f"--hash=sha256:{digest}" not in LOCKED.read_text():
        sys.exit(f"{archive} is not what {LOCKED.name} names; remove it to have it fetched again, or run `make lock`")
    subprocess.run(["tar", "-xzf", str(archive), "-C", str(work), "--no-same-owner"], check=True)
    return work / f"llama_cpp_python-{version}"


def _assemble(source: Path, build: Path, package: Path, version: str) -> None:
    compiler = os.environ.get("CC", "cc")
    machine = _output(compiler, "-dumpmachine").partition("-")[0]
    _leave_out(compiler, machine, source / "vendor" / "llama.cpp" / "ggml" / "src" / "CMakeLists.txt")
    target = {} if machine == platform.machine() else {"CMAKE_SYSTEM_NAME": "Linux", "CMAKE_SYSTEM_PROCESSOR": machine}
    options = [f"-D{name}={value}" for name, value in (OPTIONS | target).items()]
    cmake = ["cmake", "-S", str(source / "vendor" / "llama.cpp"), "-B", str(build), *options]
    subprocess.run(cmake, check=True, env=os.environ | _nowhere(source, build))
    subprocess.run(["cmake", "--build", str(build), "--target", "llama", "-j", str(os.cpu_count() or 1)], check=True)
    shutil.rmtree(package, ignore_errors=True)
    (package / "lib").mkdir(parents=True)
    for name in BINDING:
        shutil.copy(source / "llama_cpp" / name, package)
    for path in [build / "bin" / name for name in LIBRARIES] + sorted((build / "bin").glob("libggml-cpu-*.so")):
        shutil.copy(path, package / "lib")
    for name, licence in {"llama.cpp": source / "vendor" / "llama.cpp", "llama-cpp-python": source}.items():
        for path in licence.glob("LICENSE*"):
            (package.parent / "licences" / name).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, package.parent / "licences" / name)
    (package / "__init__.py").write_text(f'__version__ = "{version}"\n')


def _nowhere(source: Path, build: Path) -> dict[str, str]:
    """An environment in which the libraries don't tell where they were compiled: neither the folder nor the commit of
    the repository around it."""
    flags = f"-ffile-prefix-map={source}=llama-cpp-python -ffile-prefix-map={build}=build"
    return {
        **{name: f"{os.environ.get(name, '')} {flags}".strip() for name in ("CFLAGS", "CXXFLAGS")},
        "GIT_CEILING_DIRECTORIES": str(source / "vendor"),
    }


def _leave_out(compiler: str, machine: str, variants: Path) -> None:
    refused = [
        variant
        for variant, flag in PROBES.get(machine, {}).items()
        if subprocess.run([compiler, flag, "-fsyntax-only", "-xc", os.devnull], capture_output=True).returncode
    ]
    if refused:
        print(f"left out, because {compiler} {_output(compiler, '-dumpversion')} can't make them: {', '.join(refused)}")
        variants.write_text(without(refused, variants.read_text()))


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "package")
    work = parser.parse_args().work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    print(llama(pinned("llama-cpp-python"), work))


if __name__ == "__main__":
    main()
