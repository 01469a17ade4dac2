import select
from pathlib import Path

import pytest

from agent.file_watch.inotify import Inotify


def changed(notes: Inotify) -> set[Path]:
    """What is told within a moment, with new directories followed."""
    found, new = notes.changes()
    notes.follow(new)
    return found


def test_a_file_that_comes_changes_moves_or_goes_is_told(tmp_path: Path) -> None:
    file, other = tmp_path / "a.csv", tmp_path / "b.csv"
    with Inotify() as notes:
        notes.watch({tmp_path: False})
        assert changed(notes) == set()
        file.write_text("1")
        assert changed(notes) == {file}
        file.rename(other)
        assert changed(notes) == {file, other}
        other.unlink()
        assert changed(notes) == {other}


def test_at_rest_there_is_nothing_to_read(tmp_path: Path) -> None:
    with Inotify() as notes:
        notes.watch({tmp_path: True})
        assert select.select([notes.descriptor], [], [], 0)[0] == []
        (tmp_path / "a").touch()
        assert select.select([notes.descriptor], [], [], 0)[0] == [notes.descriptor]


def test_what_is_below_is_told_only_where_it_is_asked_for(tmp_path: Path) -> None:
    flat, deep = tmp_path / "flat", tmp_path / "deep"
    for folder in (flat, deep):
        (folder / "in").mkdir(parents=True)
    with Inotify() as notes:
        notes.watch({flat: False, deep: True})
        for folder in (flat, deep):
            (folder / "in" / "a").touch()
        assert changed(notes) == {deep / "in" / "a"}


def test_directories_that_are_new_are_watched_with_all_that_is_below(tmp_path: Path) -> None:
    with Inotify() as notes:
        notes.watch({tmp_path: True})
        (tmp_path / "a" / "b").mkdir(parents=True)
        assert tmp_path / "a" in changed(notes)
        (tmp_path / "a" / "b" / "file").touch()
        assert changed(notes) == {tmp_path / "a" / "b" / "file"}


def test_a_new_directory_that_has_gone_again_is_passed_over(tmp_path: Path) -> None:
    with Inotify() as notes:
        notes.watch({tmp_path: True})
        (tmp_path / "a").mkdir()
        (tmp_path / "a").rmdir()
        assert changed(notes) == {tmp_path / "a"}


def test_a_directory_under_two_names_is_told_under_both(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    with Inotify() as notes:
        notes.watch({real: False, link: False})
        (real / "a").touch()
        assert changed(notes) == {real / "a", link / "a"}


def test_names_that_are_no_text_are_told(tmp_path: Path) -> None:
    with Inotify() as notes:
        notes.watch({tmp_path: False})
        name = b"\xff\xfe"
        Path(tmp_path, name.decode(errors="surrogateescape")).touch()
        [path] = changed(notes)
    assert bytes(path).endswith(name)


def test_a_directory_that_is_not_there_is_an_error_that_names_why(tmp_path: Path) -> None:
    with Inotify() as notes, pytest.raises(FileNotFoundError, match="No such file"):
        notes.watch({tmp_path / "no": False})
