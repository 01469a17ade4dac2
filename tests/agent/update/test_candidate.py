"""A file that is not fit to take the place changes nothing."""

import shutil
from pathlib import Path

import pytest

from agent.lock import holder
from agent.update import candidate
from agent.update.candidate import Unfit, order_of
from agent.update.program import architecture
from agent.update.signature import SUFFIX, Untrusted, new_key
from agent.update.unit import NotOurs
from tests.agent.update.conftest import KEYS, Place, run, says, script, signed


def refused(place: Place, file: Path, error: type[Exception], why: str, **options: bool) -> None:
    before = {path: path.read_bytes() for path in place.folder.rglob("*") if path.is_file()}
    with pytest.raises(error, match=why):
        place.update().begin(file, data_dir=place.data, keys=KEYS, **options)
    assert {path: path.read_bytes() for path in place.folder.rglob("*") if path.is_file()} == before


def test_a_file_that_is_not_what_was_signed_changes_nothing(place) -> None:
    file = place.new()
    with file.open("a") as more:
        more.write("# more\n")
    refused(place, file, Untrusted, "is not the file that was signed")


def test_a_file_signed_by_nobody_or_by_somebody_else_changes_nothing(place) -> None:
    file = place.new()
    signed(file, "0.2.0", seed=new_key()[0])
    refused(place, file, Untrusted, "is not trusted")
    file.with_name(file.name + SUFFIX).unlink()
    refused(place, file, Untrusted, "put the signature beside the file")


def test_a_file_for_another_machine_changes_nothing(place) -> None:
    refused(place, signed(place.new(), "0.2.0", arch="linux-mips"), Unfit, r"is for linux-mips, and this machine is")


def test_an_older_version_is_taken_only_when_somebody_says_so(place) -> None:
    older = place.new("0.0.9")
    refused(place, older, Unfit, r"is 0\.0\.9, older than 0\.1\.0, .* --allow-downgrade")
    place.update().begin(older, data_dir=place.data, keys=KEYS, allow_downgrade=True)
    assert says(place.executable) == "0.0.9"


def test_a_file_that_does_not_run_or_says_something_else_changes_nothing(place) -> None:
    broken = signed(
        script(place.folder / "new" / "broken", "0.2.0", text="#!/bin/sh\necho sorry >&2; exit 3\n"), "0.2.0"
    )
    refused(place, broken, Unfit, r"does not run here: --version ended with 3 \(sorry\)")
    other = signed(script(place.folder / "new" / "other", "0.3.0"), "0.2.0")
    refused(place, other, Unfit, r"says 'ganglion 0\.3\.0' of itself, and its signature says 0\.2\.0")
    none = signed(script(place.folder / "new" / "none", "0.2.0", text="#!/no/such/interpreter"), "0.2.0")
    refused(place, none, Unfit, "does not run here: No such file")


def test_a_file_that_is_no_executable_of_this_machine_is_told_by_its_head(place) -> None:
    text = script(place.folder / "new" / "text", "0.2.0", text="hello")
    refused(place, text, Unfit, f"text is no executable: name the one for {architecture()}")
    other = place.folder / "new" / "other"
    other.write_bytes(b"\x7fELF\2\1\1" + bytes(11) + (8).to_bytes(2, "little") + bytes(100))
    refused(place, other, Unfit, r"other is for another machine \(8\), and this machine is")


def test_what_is_there_already_or_belongs_to_a_package_stays(place, monkeypatch, tmp_path) -> None:
    same = signed(shutil.copy(place.executable, place.new().with_name("same")), "0.1.0")
    refused(place, same, Unfit, r"same is what .*/ganglion is already: there is nothing to do")
    monkeypatch.setattr(candidate, "PACKAGE_FILES", tmp_path / "ganglion.list")
    candidate.PACKAGE_FILES.write_text(f"/.\n{place.executable}\n")
    refused(place, place.new(), Unfit, "belongs to the Debian package ganglion: update that, with apt or dpkg")


def test_a_file_under_another_name_changes_nothing(place) -> None:
    file = place.new()
    renamed = file.rename(file.with_name("other"))
    file.with_name(file.name + SUFFIX).rename(renamed.with_name("other" + SUFFIX))
    refused(place, renamed, Unfit, "was signed as ganglion-0.2.0: give it that name again")


def test_an_agent_of_another_executable_is_left_alone(place) -> None:
    pid = run(place)
    place.executable = script(place.executable.with_name("other"), "0.1.0")

    refused(place, place.new(), NotOurs, r"runs another executable than .*/other: update with that one, or stop")

    assert holder(place.data) == pid


def test_versions_are_ordered_as_people_mean_them() -> None:
    versions = ["nonsense", "0.1.0", "0.2.0.dev1", "0.2.0a1", "0.2.0-rc1", "0.2.0-rc2", "0.2.0", "0.2.1", "0.10"]
    assert sorted(versions, key=order_of) == versions
