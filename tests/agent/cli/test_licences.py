"""`ganglion licences`, of a checkout and of the executable."""

import json
from importlib.metadata import version
from pathlib import Path

import pytest

from agent import licences
from agent.cli.licences import _rows

INDEX = [
    {"part": "uvloop", "version": "0.23.0", "licence": "MIT", "inside": [{"part": "libuv", "licence": "MIT"}],
     "texts": ["INSIDE.txt", "LICENSE"]},
]  # fmt: skip


def test_a_checkout_lists_what_is_installed_and_nothing_for_development(shell) -> None:
    parts = {one["part"]: one for one in json.loads(shell("licences", "--json").out)["parts"]}
    assert {"ganglion", "nats-py", "msgspec", "wasmtime", "llama_cpp_python", "certifi"} <= parts.keys()
    assert not {"pytest", "mypy", "ruff", "hypothesis", "pyinstaller"} & parts.keys()
    assert parts["wasmtime"]["licence"] == "Apache-2.0 WITH LLVM-exception"
    assert parts["wasmtime"]["version"] == version("wasmtime")


def test_the_text_of_a_part_is_printed(shell) -> None:
    done = shell("licences", "MSGSPEC")
    assert done.code == 0
    assert f"msgspec {version('msgspec')}: LICENSE" in done.out
    assert "Redistribution and use" in done.out
    assert (
        "Redistribution and use"
        in json.loads(shell("licences", "msgspec", "--json").out)["parts"][0]["texts"]["LICENSE"]
    )


def test_an_unknown_part_is_refused_with_its_neighbour(shell) -> None:
    done = shell("licences", "msgspek")
    assert done.code == 2
    assert done.err == "ganglion: nothing here is called msgspek; did you mean msgspec?\n"
    assert "`ganglion licences` lists them" in shell("licences", "qqq").err


def test_the_executable_has_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "licences" / "uvloop"
    folder.mkdir(parents=True)
    (folder / "LICENSE").write_text("MIT\n")
    (folder / "INSIDE.txt").write_text("libuv\n")
    (folder.parent / "index.json").write_text(json.dumps(INDEX))
    monkeypatch.setattr(licences, "__file__", str(tmp_path / "agent" / "licences.pyc"))
    [part] = licences.parts()
    assert (part.part, part.inside[0].part) == ("uvloop", "libuv")
    assert licences.texts(part) == {"INSIDE.txt": "libuv\n", "LICENSE": "MIT\n"}
    assert [*_rows(part)] == [("uvloop", "0.23.0", "MIT"), ("  libuv", "", "MIT")]
