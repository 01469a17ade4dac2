"""Nothing below an allowed directory leads out of it."""

import os
from pathlib import Path

import pytest

from agent.file_watch.folder import Changed, TooLarge, find_files, identity_at, opened_folder, read_file
from agent.file_watch.places import NotAllowed, Place, Places
from engine.definition.model import FileTrigger, MoveTo
from engine.file_patterns import parse_pattern


def found(root: Path, pattern: str) -> list[str]:
    parsed = parse_pattern(pattern)
    return sorted("/".join(steps) for steps, _ in find_files(Place(root, parsed.base), parsed))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("in/a.csv", "in/b.txt", "in/.c.csv", "in/x/d.csv", "in/x/y/e.csv", "in/.h/f.csv", "secret/g.csv"):
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "z.csv").write_text("outside")
    (tmp_path / "root/in/link.csv").symlink_to(tmp_path / "outside/z.csv")
    (tmp_path / "root/in/linked").symlink_to(tmp_path / "outside")
    (tmp_path / "root/in/folder.csv").mkdir()
    os.mkfifo(tmp_path / "root/in/pipe.csv")
    return tmp_path / "root"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("in/*.csv", ["a.csv"]),
        ("in/*", ["a.csv", "b.txt"]),
        ("in/.*.csv", [".c.csv"]),
        ("in/a.csv", ["a.csv"]),
        ("in/*/*.csv", ["x/d.csv"]),
        ("in/**/*.csv", ["a.csv", "x/d.csv", "x/y/e.csv"]),
        ("**/e.csv", ["in/x/y/e.csv"]),
        ("in/**/y/*", ["x/y/e.csv"]),
        ("in/linked/*.txt", None),
    ],
)
def test_what_a_pattern_finds(root: Path, pattern: str, expected: list[str] | None) -> None:
    if expected is None:
        with pytest.raises(OSError, match=r"Not a directory|symbolic"):
            found(root, pattern)
    else:
        assert found(root, pattern) == expected


def test_a_directory_that_became_a_link_is_not_entered(root: Path) -> None:
    place = Place(root, ("in", "x"))
    [(_, identity)] = find_files(place, parse_pattern("in/x/*.csv"))
    (root / "in/x").rename(root / "in/was")
    (root / "in/x").symlink_to(root / "in/was")
    with pytest.raises(OSError, match=r"Not a directory|symbolic"):
        read_file(place, ("d.csv",), identity, 100)
    with pytest.raises(OSError, match=r"Not a directory|symbolic"), opened_folder(place):
        pass


def test_a_file_is_read_only_if_it_is_the_one_that_was_found(root: Path) -> None:
    place = Place(root, ("in",))
    with opened_folder(place) as folder:
        identity = identity_at(folder, "a.csv")
        assert identity is not None
        assert identity_at(folder, "none") is None
        assert identity_at(folder, "link.csv") is None
        assert identity_at(folder, "pipe.csv") is None
    assert read_file(place, ("a.csv",), identity, 100) == b"in/a.csv"
    assert read_file(place, ("a.csv",), identity, None) == b""
    with pytest.raises(TooLarge):
        read_file(place, ("a.csv",), identity, 7)
    (root / "in/new").write_text("in/A.csv")
    (root / "in/new").rename(root / "in/a.csv")
    with pytest.raises(Changed):
        read_file(place, ("a.csv",), identity, 100)
    (root / "in/a.csv").unlink()
    with pytest.raises(Changed):
        read_file(place, ("a.csv",), identity, 100)


def test_a_file_that_is_open_for_writing_is_in_use(root: Path) -> None:
    place = Place(root, ("in",))
    with opened_folder(place) as folder:
        identity = identity_at(folder, "a.csv")
    assert identity is not None
    with (root / "in/a.csv").open("ab"), pytest.raises(Changed):
        read_file(place, ("a.csv",), identity, 100)
    assert read_file(place, ("a.csv",), identity, 100) == b"in/a.csv"


@pytest.mark.parametrize(
    ("path", "move", "expected"),
    [
        ("inbox/*.csv", "done", ("/data/files/inbox", "/data/files/inbox/done")),
        ("*.csv", "done/", ("/data/files", "/data/files/done")),
        ("/srv/in/a/*.csv", "/srv/in/done", ("/srv/in/a", "/srv/in/done")),
        ("/srv/in/*.csv", "/srv/out", None),
        ("/srv/*/x.csv", "done", None),
        ("/srv/inner/*.csv", "done", None),
        ("/etc/*", "done", None),
        ("/data/files/*.csv", "done", ("/data/files", "/data/files/done")),
    ],
)
def test_only_named_directories_are_watched(path: str, move: str, expected: tuple[str, str] | None) -> None:
    places = Places(Path("/data/files"), [Path("/srv/in")])
    trigger = FileTrigger(path=path, then=MoveTo(move=move))
    if expected is None:
        with pytest.raises(NotAllowed, match=r"add one to `watch` under \[engine\]"):
            places.target(trigger) and places.watched(trigger)
        return
    target = places.target(trigger)
    assert target is not None
    assert (str(places.watched(trigger)[0].path), str(target.path)) == expected
