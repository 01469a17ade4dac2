from pathlib import Path

import pytest

from agent.secret_files import SecretFiles
from engine.secrets import UnknownSecret


def keep(folder: Path, name: str, value: str, mode: int = 0o600) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(value)
    path.chmod(mode)
    return path


def test_credentials_come_before_files_and_files_before_the_environment(tmp_path: Path) -> None:
    environ = {"GANGLION_SECRET_A": "env", "GANGLION_SECRET_B": "env", "GANGLION_SECRET_C": "env"}
    environ["CREDENTIALS_DIRECTORY"] = str(tmp_path / "credentials")
    keep(tmp_path / "credentials", "A", "credential", 0o444)
    keep(tmp_path / "secrets", "A", "file")
    keep(tmp_path / "secrets", "B", "file\n")
    secrets = SecretFiles(tmp_path, environ)
    assert [secrets.reveal(name) for name in "ABC"] == ["credential", "file", "env"]
    assert dict(secrets.revealed()) == {"A": "credential", "B": "file", "C": "env"}


def test_a_file_that_others_can_read_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = keep(tmp_path / "secrets", "TOKEN", "hidden", 0o640)
    with pytest.raises(UnknownSecret, match=f"can be read by others: run chmod 600 {path}"):
        SecretFiles(tmp_path, {}).reveal("TOKEN")


@pytest.mark.parametrize("name", ["../agent-id", "", "a b", "NONE"])
def test_what_is_not_there_is_unknown(tmp_path: Path, name: str) -> None:
    (tmp_path / "agent-id").write_text("x")
    with pytest.raises(UnknownSecret, match="no secret named"):
        SecretFiles(tmp_path, {}).reveal(name)


def test_what_is_no_text_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secrets" / "DIR").mkdir(parents=True)
    keep(tmp_path / "secrets", "BIG", "x" * 70_000)
    (tmp_path / "secrets" / "RAW").touch(mode=0o600)
    (tmp_path / "secrets" / "RAW").write_bytes(b"\xff\xfe")
    for name, message in (("DIR", "directory"), ("BIG", "larger than"), ("RAW", "not UTF-8")):
        with pytest.raises(UnknownSecret, match=message):
            SecretFiles(tmp_path, {}).reveal(name)
