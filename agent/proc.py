"""/proc, by which one process is told from a later one with the same number."""

import sys
from pathlib import Path

REMEDY = "mount it: mount -t proc proc /proc"


def lacks_proc(folder: Path = Path("/proc")) -> bool:
    """Whether this is a Linux where it is not mounted, such as a folder that somebody made a root of (chroot)."""
    return sys.platform == "linux" and not (folder / "self/stat").exists()
