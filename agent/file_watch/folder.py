"""Directories and files below an allowed place. Each step is opened from the one before and never through a symbolic
link, so that whoever may write there can't make us read, move or delete anything elsewhere."""

import errno
import fcntl
import os
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from agent.file_watch.places import Place
from engine.file_patterns import ANY, FilePattern, name_fits
from engine.triggers.found import FileIdentity

__all__ = ["Changed", "TooLarge", "find_files", "identity_at", "is_being_written", "opened_folder", "read_file"]

MAX_DEPTH = 32
"""Directories below the watched one are looked into so deep."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe under a file's name must not block us


class Changed(Exception):
    """The file is not the one that was found any more, or somebody writes to it: look again later."""


class TooLarge(Exception):
    """More than the limit."""


@contextmanager
def opened_folder(place: Place, *, make: bool = False) -> Iterator[int]:
    """A descriptor of the directory. With `make`, what is missing below the root is made. Raises OSError."""
    folder = os.open(place.root, _FOLDER)
    try:
        for step in place.steps:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(step, dir_fd=folder)
            inner = os.open(step, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        yield folder
    finally:
        os.close(folder)


def find_files(place: Place, pattern: FilePattern) -> list[tuple[tuple[str, ...], FileIdentity]]:
    """Regular files that fit, as steps below the place, each with its identity. Raises OSError if the place itself
    can't be read; directories below that can't be are left out."""
    with opened_folder(place) as folder:
        return list(_found(folder, pattern.rest, ()))


def _found(
    folder: int, rest: tuple[str, ...], above: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], FileIdentity]]:
    step, deeper = rest[0], rest[1:]
    if step == ANY:
        yield from _found(folder, deeper, above)
    with os.scandir(folder) as entries:
        for entry in entries:
            fits = not entry.name.startswith(".") if step == ANY else name_fits(step, entry.name)
            if not fits:
                continue
            if not deeper:
                if entry.is_file(follow_symlinks=False):
                    with suppress(FileNotFoundError):
                        yield (*above, entry.name), _identity(entry.stat(follow_symlinks=False))
            elif entry.is_dir(follow_symlinks=False) and len(above) < MAX_DEPTH:
                with suppress(OSError):
                    inner = os.open(entry.name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
                    try:
                        yield from _found(inner, rest if step == ANY else deeper, (*above, entry.name))
                    finally:
                        os.close(inner)


def identity_at(folder: int, name: str) -> FileIdentity | None:
    """What lies there under this name; None if it is no regular file."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return _identity(found) if stat.S_ISREG(found.st_mode) else None


def read_file(place: Place, steps: tuple[str, ...], identity: FileIdentity, max_bytes: int | None) -> bytes:
    """What the file holds; with None nothing is read, it is only checked. Raises Changed, TooLarge, OSError."""
    with opened_folder(place.joined(*steps[:-1])) as folder:
        try:
            file = os.open(steps[-1], _FILE, dir_fd=folder)
        except FileNotFoundError:
            raise Changed from None
    try:
        if _identity(os.fstat(file)) != identity or is_being_written(file):
            raise Changed
        if max_bytes is None:
            return b""
        if identity.size > max_bytes:
            raise TooLarge
        body = bytearray()
        while part := os.read(file, 1 << 20):
            body += part
            if len(body) > max_bytes:
                raise Changed
        if _identity(os.fstat(file)) != identity:
            raise Changed
        return bytes(body)
    finally:
        os.close(file)


def is_being_written(file: int) -> bool:
    """Whether somebody has the file open for writing, as far as the system tells: a read lease is refused then. It
    tells of our own files on local disks; of others False, and size and time alone decide."""
    try:
        # Should a writer come while we hold the lease, this signal is sent to us; the usual one would end the process.
        fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    except AttributeError:  # not Linux
        return False
    fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def _identity(found: os.stat_result) -> FileIdentity:
    return FileIdentity(found.st_ino, found.st_mtime_ns, found.st_size)
