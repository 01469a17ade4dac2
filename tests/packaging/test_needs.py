"""What a machine lacks is said before a build begins."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_what_is_missing_for_a_build_is_said_before_it_begins(tmp_path: Path) -> None:
    (tmp_path / "git").symlink_to("/usr/bin/git")
    done = subprocess.run(
        [sys.executable, ROOT / "packaging/needs.py"],
        env={"PATH": str(tmp_path), "CC": "no-such-cc"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    first, *lines = done.stderr.splitlines()
    assert first == "The executable can't be built here:"
    assert "  no cmake (Debian: cmake)" in lines
    (compiler,) = (line for line in lines if "C compiler" in line)
    assert compiler.endswith(": no-such-cc: No such file or directory")
    assert not any("git" in line for line in lines)


def test_without_a_python_that_packs_the_executable_is_not_tried_at_all() -> None:
    done = subprocess.run(
        ["make", "--no-print-directory", "package-test-needs", "PACKAGE_PYTHON=/no/python", "EXECUTABLE=Makefile"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("PACKAGE_PYTHON=/no/python is no Python with zstandard, which packs other versions")


def test_without_an_executable_nothing_is_tried() -> None:
    done = subprocess.run(
        ["make", "--no-print-directory", "package-test-needs", "EXECUTABLE="], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith("There is no executable in dist: make package")


def test_to_pack_a_compiler_is_enough(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "packaging/needs.py", "launcher"],
        env={"PATH": str(tmp_path), "CC": "no-such-cc"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    first, compiler = done.stderr.splitlines()
    assert first == "Other versions can't be packed here, for the tests of updates:"
    assert compiler.endswith(": no-such-cc: No such file or directory")
