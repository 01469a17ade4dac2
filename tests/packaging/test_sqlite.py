"""The SQLite that is packed."""

import importlib.util
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

FILE = Path(__file__).parents[2] / "packaging" / "sqlite.py"


@pytest.fixture(scope="module")
def sqlite() -> ModuleType:
    spec = importlib.util.spec_from_file_location("packaging_sqlite", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def library(folder: Path, version: str) -> Path:
    """A library that calls itself that version, compiled as if it were SQLite."""
    (folder / "sqlite3.c").write_text(f'const char *sqlite3_libversion(void) {{ return "{version}"; }}\n')
    return folder


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
@pytest.mark.parametrize("version", ["3.51.3", "3.54.1", "4.0.0"])
def test_the_amalgamation_that_is_named_is_compiled_once(
    sqlite: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setenv("SQLITE_SOURCE", str(library(tmp_path, version)))
    made = sqlite.compiled(tmp_path / "work")
    assert made.name == "libsqlite3.so.0"
    monkeypatch.delenv("SQLITE_SOURCE")
    assert sqlite.sqlite(tmp_path / "work") == (made, version)


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_a_version_with_the_bug_is_refused(sqlite: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQLITE_SOURCE", str(library(tmp_path, "3.51.2")))
    sqlite.compiled(tmp_path / "work")
    with pytest.raises(SystemExit, match=r"is SQLite 3\.51\.2; 3\.51\.3 or newer is needed"):
        sqlite.sqlite(tmp_path / "work")


def test_without_a_package_and_a_source_it_says_what_to_name(
    sqlite: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SQLITE_SOURCE", raising=False)
    with pytest.raises(SystemExit, match=r"sqlite3\.c .* with SQLITE_SOURCE"):
        sqlite.compiled(tmp_path)


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_what_the_compiler_refuses_is_not_left_behind(
    sqlite: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sqlite3.c").write_text("this is not C\n")
    monkeypatch.setenv("SQLITE_SOURCE", str(tmp_path))
    with pytest.raises(subprocess.CalledProcessError):
        sqlite.compiled(tmp_path / "work")
    assert not (tmp_path / "work/compiled/libsqlite3.so.0").exists()
