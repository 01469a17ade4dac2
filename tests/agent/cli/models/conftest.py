"""A web server with a model, and commands that find their data directory by themselves."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.cli.root import run
from tests.agent.conftest import Shell
from tests.plugins.llm.files.conftest import MODEL, FileServer

__all__ = ["MODEL", "FileServer"]


class Answer:
    """What a command did."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def json(self) -> Any:
        assert self.out, self.err
        return json.loads(self.out)


class Models:
    """`ganglion models …` on one data directory, in this process: a second less for each command."""

    def __init__(self, shell: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.shell = shell
        self.folder = shell.directory / "data" / "models"
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: object) -> Answer:
        return self.plain(*self.line(*arguments))

    def plain(self, *arguments: object) -> Answer:
        """A command that says itself where its data is."""
        with self._monkeypatch.context() as patch:
            patch.setattr("sys.argv", ["ganglion", *map(str, arguments)])
            patch.chdir(self.shell.directory)
            for name in os.environ.keys() - self.shell.environ.keys():
                patch.delenv(name)
            for name, value in self.shell.environ.items():
                patch.setenv(name, value)
            code = run()
        return Answer(code, *self._capsys.readouterr())

    def line(self, *arguments: object) -> list[object]:
        return ["models", *arguments, *self.here]

    @property
    def here(self) -> list[object]:
        return ["--data-dir", self.shell.directory / "data"]

    @property
    def files(self) -> list[str]:
        found = self.folder.iterdir() if self.folder.exists() else ()
        return sorted(path.name for path in found if path.name != ".checksums.json")


@pytest.fixture
def models(shell: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Models:
    return Models(shell, monkeypatch, capsys)


@pytest.fixture
def triage(models: Models) -> Models:
    """With triage-tiny."""
    done = models("add", MODEL, "--name", "triage-tiny")
    assert done.code == 0, done.err
    return models


@pytest.fixture
def server() -> Iterator[FileServer]:
    server = FileServer()
    yield server
    server.close()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with a model of its own, and a remote one."""
    path = tmp_path / "ganglion.toml"
    path.write_text(
        f'data_dir = "data"\n[models.mine]\nfile = "{MODEL}"\ncontext = 512\nkeep_alive = "1m"\n'
        '[models."cloud-1.5"]\nprovider = "openai"\nkey = "CLOUD_KEY"\n'
    )
    return path
