"""llama.cpp for every processor of an architecture: the computing code in variants, of which the best is loaded at run
time, from plain x86-64 (SSE2) to AMX, from ARMv8.0 to SME.

Of llama_cpp only the binding to the native functions is taken, which needs nothing but ctypes: its Python layer would
bring numpy with OpenBLAS, 70 MB.
"""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

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


def llama(version: str, work: Path) -> Path:
    """A folder with the package `llama_cpp`. The first time it compiles (about 20 minutes of one core)."""
    folder = work / f"llama-{version}"
    if not (folder / "llama_cpp" / "__init__.py").exists():
        _assemble(_source(version, work), work / f"llama-{version}-build", folder / "llama_cpp", version)
    return folder


def _source(version: str, work: Path) -> Path:
    """The unpacked source distribution; $LLAMA_SOURCE names one that is there already."""
    archive = Path(os.environ.get("LLAMA_SOURCE") or work / f"llama_cpp_python-{version}.tar.gz")
    if not archive.exists():
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", "llama-cpp-python",
             "--dest", str(work), f"llama-cpp-python=={version}"],
            check=True,
        )  # fmt: skip
    with tarfile.open(archive) as source:
        source.extractall(work, filter="data")
    return work / f"llama_cpp_python-{version}"


def _assemble(source: Path, build: Path, package: Path, version: str) -> None:
    options = [f"-D{name}={value}" for name, value in OPTIONS.items()]
    subprocess.run(["cmake", "-S", str(source / "vendor" / "llama.cpp"), "-B", str(build), *options], check=True)
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
