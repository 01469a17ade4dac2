"""What asks for which glibc is read from the files themselves."""

import argparse
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

PACKAGING = Path(__file__).parents[2] / "packaging"


def module(name: str) -> ModuleType:
    """A file of packaging/, which is no package."""
    spec = spec_from_file_location(name, PACKAGING / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


glibc = module("glibc")


def library(path: Path, *names: str) -> Path:
    path.write_bytes(b"\x7fELF\2\1\1" + b"".join(b"\0" + name.encode() for name in names) + b"\0")
    return path


def test_the_newest_version_counts_as_a_number(tmp_path: Path) -> None:
    path = library(tmp_path / "a.so", "GLIBC_2.2.5", "GLIBC_2.9", "GLIBC_2.31", "GLIBC_2.4")
    assert glibc.asked([path]) == {path: (2, 31)}


def test_packed_relocations_need_the_loader_that_knows_them(tmp_path: Path) -> None:
    path = library(tmp_path / "a.so", "GLIBC_2.17", "GLIBC_ABI_DT_RELR")
    assert glibc.asked([path]) == {path: (2, 36)}


def test_what_asks_for_no_glibc_is_left_out(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_bytes(b"\0GLIBC_2.99\0")
    link = tmp_path / "link.so"
    link.symlink_to(library(tmp_path / "real.so", "GLIBC_2.17"))
    assert glibc.asked([text, link, tmp_path, library(tmp_path / "static", "GLIBCXX_3.4.29", "GLIBC_PRIVATE")]) == {}


def test_a_real_program_asks_for_what_readelf_says() -> None:
    program = Path(sys.executable).resolve()
    if subprocess.run(["which", "readelf"], capture_output=True, check=False).returncode != 0:
        pytest.skip("readelf is not here")
    said = subprocess.run(["readelf", "--version-info", program], capture_output=True, text=True, check=True).stdout
    versions = {word.removeprefix("GLIBC_") for word in said.split() if word.startswith("GLIBC_2")}
    assert glibc.asked([program])[program] == max(tuple(map(int, version.split("."))) for version in versions)


def test_files_beyond_the_limit_are_named_the_worst_first(tmp_path: Path) -> None:
    fits = library(tmp_path / "fits.so", "GLIBC_2.31")
    more = library(tmp_path / "more.so", "GLIBC_2.34")
    most = library(tmp_path / "most.so", "GLIBC_2.36")
    found = glibc.asked([fits, more, most])
    assert glibc.beyond(found, (2, 31)) == [f"{most} asks for GLIBC_2.36", f"{more} asks for GLIBC_2.34"]
    assert glibc.beyond(found, (2, 36)) == []


@pytest.mark.parametrize("text", ["2", "2.x", "3.1", "2.31.1", ""])
def test_a_limit_that_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"write it as 2\.31"):
        glibc.version(text)


def test_a_limit_is_a_version() -> None:
    assert glibc.version("2.31") == (2, 31)
    assert glibc.told((2, 31)) == "2.31"
