"""The checksums of what a release is made of, beside what the project asks for."""

import re
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "packaging"))

import lock  # noqa: E402

USES = (lock.PACKED, lock.BUILD, lock.SOURCE)


def listed(use: str) -> dict[str, tuple[Requirement, list[str]]]:
    found = lock.entries((ROOT / use).read_text())
    return {canonicalize_name(one.name): (one, hashes) for one, hashes in found}


@pytest.mark.parametrize("use", USES)
def test_every_package_has_the_version_of_the_constraints_and_checksums(use: str) -> None:
    known = lock.constraints()
    for name, (one, hashes) in listed(use).items():
        assert str(one.specifier) == f"=={known.get(name)}", f"{use} has {one}: make lock"
        assert hashes, name
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in hashes), name


@pytest.mark.parametrize("use", USES)
def test_what_the_project_asks_for_is_locked(use: str) -> None:
    found = listed(use)
    for one in lock.asked(use):
        entry, _ = found[canonicalize_name(one.name)]
        assert one.specifier.contains(str(entry.specifier).removeprefix("==")), f"{use} has {entry}: make lock"


def test_what_the_packages_themselves_ask_for_is_locked() -> None:
    ours = listed(lock.PACKED)
    for one, _ in ours.values():
        for text in requires(one.name) or ():
            other = Requirement(text)
            if other.marker is None or other.marker.evaluate({"extra": ""}):
                assert canonicalize_name(other.name) in ours, f"{one.name} asks for {other.name}: make lock"


@pytest.mark.parametrize("use", USES)
def test_no_list_says_where_packages_come_from(use: str) -> None:
    assert not re.search(r"://|^-|@ ", (ROOT / use).read_text(), re.MULTILINE)


def test_entries_of_other_systems_are_left_out() -> None:
    text = 'a==1 ; sys_platform == "win32" \\\n --hash=sha256:00\nb==2 \\\n --hash=sha256:22 \\\n --hash=sha256:11\n'
    assert [(str(one), hashes) for one, hashes in lock.entries(text)] == [("b==2", ["11", "22"])]
