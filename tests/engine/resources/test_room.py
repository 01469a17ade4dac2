"""How much memory there is to take."""

from pathlib import Path

import psutil

from engine.resources.cgroup import Cgroup
from engine.resources.room import Room, memory_room

MIB = 2**20


def group(folder: Path, limit: str, used: int, idle: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 1\ninactive_file {idle}\n")


def test_machine_without_limits_gives_what_it_has() -> None:
    room = memory_room(Cgroup(Path("/nowhere"), Path("/nowhere")))
    assert room.total == psutil.virtual_memory().total
    assert 0 < room.free <= room.total


def test_tightest_group_counts_and_caches_that_nobody_uses_are_free(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("0::/outer/inner\n")
    root = tmp_path / "fs"
    group(root / "outer", str(100 * MIB), 90 * MIB, idle=60 * MIB)
    group(root / "outer/inner", str(80 * MIB), 30 * MIB)
    assert memory_room(Cgroup(root, tmp_path / "own")) == Room(total=80 * MIB, free=50 * MIB)
    group(root / "outer/inner", "max", 30 * MIB)
    assert memory_room(Cgroup(root, tmp_path / "own")) == Room(total=100 * MIB, free=70 * MIB)


def test_group_over_its_limit_has_nothing_free(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("0::/\n")
    group(tmp_path / "fs", str(MIB), 2 * MIB)
    assert memory_room(Cgroup(tmp_path / "fs", tmp_path / "own")).free == 0
