"""Root works in a data directory of somebody else: the user of a service. What it leaves there becomes theirs."""

import os
import stat
from pathlib import Path


def hand_over(folder: Path, *, like: Path | None = None) -> None:
    """Give what root has put into the folder, and the folder, to the owner of `like`, else of the folder itself.

    Only root's own plain files: the folder is in somebody's hands, who could have put links into it. Raises OSError.
    """
    owner = (like or folder).stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.fstat(descriptor).st_uid == 0:
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        for name in os.listdir(descriptor):  # noqa: PTH208 - Path knows no descriptors
            _give(descriptor, name, owner)
    finally:
        os.close(descriptor)


def _give(folder: int, name: str, owner: os.stat_result) -> None:
    try:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return  # a link, a socket, or gone
    try:
        state = os.fstat(file)
        if state.st_uid == 0 and stat.S_ISREG(state.st_mode) and state.st_nlink == 1:
            os.fchown(file, owner.st_uid, owner.st_gid)
    finally:
        os.close(file)
