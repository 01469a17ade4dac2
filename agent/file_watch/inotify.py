"""The kernel's notifications of what changes in directories: Linux's inotify, read by the event loop, so that nothing
is looked at while nothing changes. inotify(7) has the numbers and the layout."""

import ctypes
import os
import struct
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from errno import EACCES, ENOENT, ENOTDIR, EPERM
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["Inotify"]

_MODIFY, _ATTRIB, _CLOSE_WRITE, _MOVED_FROM, _MOVED_TO = 0x2, 0x4, 0x8, 0x40, 0x80
_CREATE, _DELETE, _DELETE_SELF, _MOVE_SELF = 0x100, 0x200, 0x400, 0x800
_OVERFLOW, _IGNORED, _ONLYDIR, _ISDIR = 0x4000, 0x8000, 0x1000000, 0x40000000
_MASK = (
    _MODIFY
    | _ATTRIB
    | _CLOSE_WRITE
    | _MOVED_FROM
    | _MOVED_TO
    | _CREATE
    | _DELETE
    | _DELETE_SELF
    | _MOVE_SELF
    | _ONLYDIR
)
_HEAD = struct.Struct("iIII")
"""Watch, mask, cookie, length of the name that follows."""
_BUFFER_BYTES = 65_536
_PASSED_OVER = frozenset({EACCES, EPERM, ENOENT, ENOTDIR})
"""Below a watched directory: one that may not be read, or that has just gone."""
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class Inotify:
    """Notifications of some directories, until the block's end. Raises OSError where the system has none to give."""

    def __init__(self) -> None:
        if _libc is None:
            raise OSError(f"{sys.platform} has no inotify")
        self.descriptor = _checked(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        """Readable when something has changed."""
        self._places: dict[int, dict[Path, bool]] = {}
        """Watch -> the names that its directory was given by, each with whether all below is watched too."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.descriptor)

    def watch(self, directories: Mapping[Path, bool]) -> None:
        """Watch these directories; True: and all that is below, which takes as long as listing it: for a thread.

        Raises OSError for one that can't be watched, or where the system watches no more."""
        for directory, deep in directories.items():
            self._add(directory, deep=deep)
            if deep:
                self.follow([directory])

    def follow(self, directories: Iterable[Path]) -> None:
        """The same for what is below a watched one, with all that is below these; what has just gone is passed over."""
        for directory in directories:
            for place in (directory, *_below(directory)):
                try:
                    self._add(place, deep=True)
                except OSError as error:
                    if error.errno not in _PASSED_OVER:
                        raise

    def changes(self) -> tuple[set[Path], list[Path]]:
        """What may have changed since the last call, and the directories that are new where all is to be watched."""
        changed: set[Path] = set()
        new: list[Path] = []
        with suppress(BlockingIOError):
            while found := os.read(self.descriptor, _BUFFER_BYTES):
                for watch, mask, name in _events(found):
                    if mask & _OVERFLOW:
                        changed.update(path for places in self._places.values() for path in places)
                    places = self._places.pop(watch, {}) if mask & _IGNORED else self._places.get(watch, {})
                    for place, deep in places.items():
                        path = place / name if name else place
                        changed.add(path)
                        if deep and mask & _ISDIR and mask & (_CREATE | _MOVED_TO):
                            new.append(path)
        return changed, new

    def _add(self, directory: Path, *, deep: bool) -> None:
        if _libc is not None:
            watch = _checked(_libc.inotify_add_watch(self.descriptor, os.fsencode(directory), ctypes.c_uint32(_MASK)))
            self._places.setdefault(watch, {})[directory] = deep


def _below(directory: Path) -> Iterator[Path]:
    for folder, names, _ in os.walk(directory):
        for name in names:
            path = Path(folder, name)
            if not path.is_symlink():
                yield path


def _events(found: bytes) -> Iterator[tuple[int, int, str]]:
    at = 0
    while at < len(found):
        watch, mask, _, length = _HEAD.unpack_from(found, at)
        at += _HEAD.size + length
        yield watch, mask, os.fsdecode(found[at - length : at].rstrip(b"\0"))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
