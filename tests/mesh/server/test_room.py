from errno import EDQUOT, ENOSPC, EROFS
from pathlib import Path

import pytest

from mesh.errors import ServerRefused
from mesh.server.room import needing_room


@pytest.mark.parametrize("number", [ENOSPC, EDQUOT])
def test_a_full_disk_is_told_with_what_to_do(tmp_path: Path, number: int) -> None:
    with (
        pytest.raises(ServerRefused, match="the disk is full: free some space, then start again"),
        needing_room(tmp_path),
    ):
        raise OSError(number, "no room")


def test_other_errors_of_files_stay_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="read-only"), needing_room(tmp_path):
        raise OSError(EROFS, "read-only")
