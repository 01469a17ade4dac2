import shutil
from pathlib import Path

import pytest

from agent.fleet.fingerprint import FILE, NOWHERE, fingerprint, is_where_it_was, keep
from agent.lock import locked


@pytest.fixture
def data(tmp_path: Path) -> Path:
    with locked(tmp_path / "data"):
        pass
    return tmp_path / "data"


def test_a_directory_that_was_never_looked_at_is_where_it_was(data: Path) -> None:
    assert is_where_it_was(data)


def test_a_directory_that_stayed_is_where_it_was(data: Path) -> None:
    keep(data, fingerprint(data))
    with locked(data):
        pass
    assert is_where_it_was(data)


def test_the_same_is_not_written_again(data: Path) -> None:
    keep(data, fingerprint(data))
    before = (data / FILE).stat()
    keep(data, fingerprint(data))
    assert (data / FILE).stat().st_ino == before.st_ino
    keep(data, NOWHERE)
    assert not is_where_it_was(data)


def test_a_copy_is_not(data: Path, tmp_path: Path) -> None:
    keep(data, fingerprint(data))
    shutil.copytree(data, tmp_path / "copy")
    assert not is_where_it_was(tmp_path / "copy")
    assert is_where_it_was(data)


def test_the_same_files_on_another_machine_are_not(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(data, fingerprint(data))
    (tmp_path / "machine-id").write_text("another\n")
    monkeypatch.setattr("agent.fleet.fingerprint._MACHINE_ID", (tmp_path / "machine-id",))
    assert not is_where_it_was(data)
    assert "another" not in str(fingerprint(data))


@pytest.mark.parametrize("content", [b"", b"{}", b"nonsense"])
def test_a_spoilt_fingerprint_is_a_suspicion(data: Path, content: bytes) -> None:
    (data / FILE).write_bytes(content)
    assert not is_where_it_was(data)


def test_one_can_ask_for_a_look(data: Path) -> None:
    keep(data, NOWHERE)
    assert not is_where_it_was(data)
