"""What root leaves in the data directory of a service belongs to the service."""

import os
from pathlib import Path

import pytest

from agent.ownership import hand_over

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
SOMEBODY = 61_234


def owner(path: Path) -> int:
    return path.lstat().st_uid


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    os.chown(folder, SOMEBODY, SOMEBODY)
    return folder


def test_files_of_root_become_those_of_the_owner(data) -> None:
    (data / "ganglion.db").write_text("")
    hand_over(data)
    assert owner(data / "ganglion.db") == SOMEBODY


def test_links_lead_nowhere(data, tmp_path) -> None:
    passwords = tmp_path / "passwd"
    passwords.write_text("")
    (data / "link").symlink_to(passwords)
    (data / "hard").hardlink_to(passwords)
    hand_over(data)
    assert owner(passwords) == 0
    (data / "models").symlink_to(tmp_path)
    with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
        hand_over(data / "models", like=data)


def test_a_directory_of_root_stays_roots(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    hand_over(tmp_path)
    assert owner(tmp_path / "file") == 0


def test_a_model_that_root_adds_can_be_read_by_the_service(data, shell) -> None:
    model = Path(__file__).parents[2] / "examples/models/triage-tiny-q8_0.gguf"
    done = shell("models", "add", model, "--name", "triage-tiny", "--data-dir", data)
    assert done.code == 0, done.err
    left = [data / "models", *(path for path in (data / "models").iterdir())]
    assert len(left) > 2
    assert {owner(path) for path in left} == {SOMEBODY}
