"""What `ganglion --version` says."""

from agent import __version__, build


def test_a_checkout_has_only_a_version() -> None:
    assert build.version_text() == f"ganglion {__version__}\n"


def test_the_executable_says_what_is_inside(tmp_path, monkeypatch) -> None:
    (tmp_path / "build.txt").write_text("Python 3.13.0\n")
    monkeypatch.setattr(build, "__file__", str(tmp_path / "build.pyc"))
    assert build.version_text() == f"ganglion {__version__}\nPython 3.13.0\n"
