"""What a machine has: the mounts of its root."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.packaging.minimal_root import DATA, HOME, PROGRAM

FILE = os.environ.get("GANGLION_EXECUTABLE", "")
USER = 10001
DEVICES = ("null", "zero", "full", "random", "urandom")


@dataclass(frozen=True, kw_only=True)
class Equipment:
    """Everything is there unless it is said; `/` is always read-only."""

    glibc: bool = True
    proc: bool = True
    container: bool = False
    """Each process is the first one of its own numbers, as in a container."""
    devices: tuple[str, ...] = DEVICES
    shared_memory: bool = True
    etc: bool = True
    """Without: no users, no name servers, no time zone."""
    passwd: str = ""
    """Another /etc/passwd."""
    tmp_kilobytes: int | None = None
    """The size of /tmp, which is filled then; None: as large as need be."""
    home_kilobytes: int | None = None
    """The size of the home; None: as large as need be, and seen from outside."""
    home_executes: bool = True
    """Without: mounted noexec."""

    def mounts(self, root: Path, folder: Path, at: Path) -> Iterator[str]:
        """Commands that mount the root with all that is to be in it. `folder` has `home` and `data` for the user."""
        yield f"mount --bind {root} {at}"
        yield f"mount --bind {FILE} {at}{PROGRAM}"
        yield f"mount --bind {folder}/data {at}{DATA}"
        if self.home_kilobytes is None:
            yield f"mount --bind {folder}/home {at}{HOME}"
        else:
            yield f"mount -t tmpfs -o size={self.home_kilobytes}k,uid={USER} tmpfs {at}{HOME}"
        if not self.home_executes:
            yield f"mount -o remount,bind,noexec {at}{HOME}"
        yield from self._etc(folder, at)
        if not self.glibc:
            yield f"mount -t tmpfs tmpfs {at}/lib; mount -t tmpfs tmpfs {at}/lib64"
        size = "" if self.tmp_kilobytes is None else f",size={self.tmp_kilobytes}k"
        yield f"mount -t tmpfs -o mode=1777{size} tmpfs {at}/tmp"
        if size:
            yield f"cat /dev/zero > {at}/tmp/full 2> /dev/null || true"
        yield f"mount -t tmpfs -o mode=755 tmpfs {at}/dev"
        for name in self.devices:
            yield f"touch {at}/dev/{name}; mount --bind /dev/{name} {at}/dev/{name}"
        if self.shared_memory:
            yield f"mkdir {at}/dev/shm; mount -t tmpfs -o mode=1777 tmpfs {at}/dev/shm"
        yield f"mount -o remount,ro {at}/dev"
        if self.proc:
            yield f"mount -t proc proc {at}/proc"
        yield f"mount -o remount,bind,ro {at}"

    def _etc(self, folder: Path, at: Path) -> Iterator[str]:
        if not self.etc:
            yield f"mount -t tmpfs -o ro tmpfs {at}/etc"
        elif self.passwd:
            (folder / "passwd").write_text(self.passwd)
            yield f"mount --bind {folder}/passwd {at}/etc/passwd"
