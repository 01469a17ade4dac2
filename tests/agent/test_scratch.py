from pathlib import Path

import pytest

from agent.scratch import NoScratch, scratch, with_room


def test_the_directory_is_below_tmpdir_and_gone_afterwards(tmp_path: Path) -> None:
    with scratch("trial", 1, environ={"TMPDIR": str(tmp_path), "HOME": str(tmp_path)}) as folder:
        assert folder.parent == tmp_path
        assert folder.name.startswith("ganglion-trial-")
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()


def test_a_place_that_is_not_there_is_passed_over(tmp_path: Path) -> None:
    assert with_room([tmp_path / "none", tmp_path], 1) == tmp_path


def test_where_no_place_has_room_each_is_told_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(NoScratch) as caught:
        with_room([tmp_path / "none", tmp_path], 10**18)
    told = str(caught.value)
    assert f"{tmp_path}/none: No such file or directory" in told
    assert f"{tmp_path} has " in told
    assert told.endswith("make room, or name a directory with TMPDIR")
