"""A file that is not whole yet: held by one process, continued by the next after an interruption."""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import msgspec

from engine.whole_file import sync_folder, write_whole
from plugins.llm.files.errors import FileTrouble

__all__ = ["Begun", "Part", "held", "read_begun"]

SPARE = 256 * 2**20
"""Bytes of the disk that stay free: an agent that can't write takes nothing in."""
SAVE_BYTES = 64 * 2**20
"""So much may have to be loaded again after a power cut."""


class Begun(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the bytes of a part belong to; beside it as NAME.gguf.part.from."""

    source: str = ""
    """SHA-256 of the URL: it may hold credentials."""
    validator: str = ""
    """For If-Range: the strong ETag, else Last-Modified; empty: the server gives neither."""
    total: int = 0
    """Bytes of the whole file; 0: the server does not say."""
    saved: int = 0
    """Bytes that are on the disk for certain."""


class Part:
    """The bytes so far. Whoever holds it is alone with it."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._is_over = False
        self._note = _note(path)
        self.begun = read_begun(path)
        self.size = min(self.begun.saved, os.fstat(descriptor).st_size)
        os.ftruncate(descriptor, self.size)
        os.lseek(descriptor, self.size, os.SEEK_SET)

    def may_go_on(self, url: str) -> bool:
        """The bytes are of this URL."""
        return self.size > 0 and self.begun.source == _hash(url)

    def begin(self, url: str = "", *, validator: str = "", total: int = 0) -> None:
        """Forget what is there: other bytes come."""
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        self.size = 0
        self.begun = Begun(source=_hash(url), validator=validator, total=total)
        self.make_room(total)

    def make_room(self, more: int) -> None:
        """Raises FileTrouble where so many more bytes do not fit on the disk."""
        free = shutil.disk_usage(self.path.parent).free
        if free < more + SPARE:
            raise FileTrouble(
                f"{self.path.parent} has {free / 1e9:.1f} GB free, and {(more + SPARE) / 1e9:.1f} GB are needed (with "
                f"{SPARE / 1e9:.1f} GB that stay free for the agent): free some space, or link a file that is on "
                "another disk (--link)"
            )

    def write(self, chunk: bytes) -> None:
        """Append. Raises FileTrouble when the disk is full."""
        try:
            left = memoryview(chunk)
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise FileTrouble(f"{self.path.parent}: the disk is full: free some space, then go on") from None
            raise
        before, self.size = self.size, self.size + len(chunk)
        if self.size // SAVE_BYTES > before // SAVE_BYTES:
            self.save()
            if not self.begun.total:
                self.make_room(SAVE_BYTES)

    def save(self) -> None:
        """What is there outlives a power cut."""
        if self.begun.source and self.size:
            os.fsync(self._descriptor)
            self.begun = msgspec.structs.replace(self.begun, saved=self.size)
            write_whole(self._note, msgspec.json.encode(self.begun))

    def finish(self, target: Path) -> None:
        """Its bytes are what they should be: give them their name."""
        os.fsync(self._descriptor)
        self.path.replace(target)
        self._is_over = True
        self._note.unlink(missing_ok=True)
        sync_folder(target.parent)

    def discard(self) -> None:
        """Nothing can be made of it."""
        self._is_over = True
        self._note.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Keep the bytes of a URL, nothing else; others may have it now."""
        try:
            if not self._is_over:
                self.save()
                if not self.begun.saved:
                    self.discard()
        finally:
            os.close(self._descriptor)


def read_begun(path: Path) -> Begun:
    """What is in the part at this path, as far as it is known."""
    try:
        return msgspec.json.decode(_note(path).read_bytes(), type=Begun)
    except (OSError, msgspec.DecodeError):
        return Begun()


@contextmanager
def held(folder: Path, name: str) -> Iterator[Part]:
    """The part of the model `name`; kept at the end of the block if bytes of a URL are in it. Raises FileTrouble where
    another process has it."""
    path = folder / f"{name}.gguf.part"
    descriptor = _locked(path)
    if descriptor is None:
        raise FileTrouble(f"{name} is being added by another process: wait until that is done, or end it")
    part = Part(path, descriptor)
    try:
        yield part
    finally:
        part.close()


def _locked(path: Path) -> int | None:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except FileNotFoundError:  # whoever had it has just given it its name
            pass
        os.close(descriptor)


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.from")


def _hash(url: str) -> str:
    return sha256(url.encode()).hexdigest() if url else ""
