"""What `ganglion doctor` says of the places where an agent keeps its things."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from agent.finding import Verdict
from agent.place_health import examine_cache, examine_configuration, examine_disk, file_system, mounted


def test_the_file_system_is_that_of_the_nearest_mount(tmp_path: Path) -> None:
    partitions = {"/": "ext4", str(tmp_path): "nfs4", str(tmp_path / "local"): "xfs"}
    (tmp_path / "local").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "local")
    assert file_system(tmp_path / "data", partitions) == "nfs4"
    assert file_system(tmp_path / "link" / "data", partitions) == "xfs"
    assert file_system(Path("/"), partitions) == "ext4"
    assert file_system(tmp_path, {}) == ""


def test_mounts_of_this_machine_are_known() -> None:
    assert file_system(Path("/proc"), mounted()) == "proc"


@pytest.mark.parametrize(
    ("kind", "message", "remedy"),
    [
        ("nfs4", "is on nfs4, a network file system", "--data-dir"),
        ("tmpfs", "everything is gone at the next boot", "--data-dir"),
        ("overlay", "everything is gone with the container", "mount a volume"),
        ("vfat", "without owners and modes", "ext4"),
    ],
)
def test_a_file_system_that_is_not_fit_is_told_with_what_to_do(
    tmp_path: Path, kind: str, message: str, remedy: str
) -> None:
    disk, found = examine_disk(tmp_path / "data", {str(tmp_path): kind})
    assert f" GB free, {kind}" in disk.message
    assert found.verdict is Verdict.WARN
    assert message in found.message
    assert remedy in found.remedy


@pytest.mark.parametrize(
    ("free", "verdict"), [(99_000_000, Verdict.FAIL), (900_000_000, Verdict.WARN), (2_000_000_000, Verdict.OK)]
)
def test_little_room_is_told_before_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, verdict: Verdict
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    [disk] = examine_disk(tmp_path, {"/": "ext4"})
    assert disk.verdict is verdict
    assert bool(disk.remedy) == (verdict is not Verdict.OK)


def test_without_a_configuration_file_it_says_where_one_may_be() -> None:
    environ = {"HOME": "/home/ann", "CONFIGURATION_DIRECTORY": "/etc/other"}
    assert examine_configuration(Path("/etc/g.toml"), environ).message == "/etc/g.toml"
    assert examine_configuration(None, environ).message == (
        "no config.toml, all defaults; it may be /etc/other/config.toml, /home/ann/.config/ganglion/config.toml, "
        "/etc/ganglion/config.toml"
    )


def test_the_cache_is_told_with_its_room(tmp_path: Path) -> None:
    found = examine_cache(tmp_path, {"XDG_CACHE_HOME": str(tmp_path), "HOME": "/"})
    assert found.verdict is Verdict.OK
    assert found.message.startswith(f"{tmp_path}/ganglion, ")
    assert found.message.endswith(" GB free")
    assert examine_cache(tmp_path, {"GANGLION_CACHE_DIR": str(tmp_path)}).message.startswith(f"{tmp_path}, ")


def test_a_cache_that_can_not_be_written_costs_time_only(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = examine_cache(tmp_path, {"GANGLION_CACHE_DIR": str(tmp_path / "file" / "x")})
    assert (found.verdict, found.message) == (Verdict.WARN, f"{tmp_path}/file/x can't be written")
    assert "GANGLION_CACHE_DIR" in found.remedy
