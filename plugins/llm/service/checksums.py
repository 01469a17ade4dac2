"""Whether a model's file is the one that was meant. Gigabytes are read once: what was found is remembered."""

import asyncio
import hashlib
import threading
from pathlib import Path

import msgspec

from plugins.llm.errors import ModelError, Trouble
from plugins.llm.service.small_file import read_struct, write_struct
from plugins.llm.spec import ModelSpec

__all__ = ["Checksums", "file_state"]

FILE = ".checksums.json"
CHUNK = 1 << 20
KEPT = 500
"""Files of which the checksum is remembered."""


class Known(msgspec.Struct, frozen=True):
    """A file as it was when it was read."""

    size: int
    mtime_ns: int
    sha256: str


class _Book(msgspec.Struct):
    files: dict[str, Known] = {}
    """By path."""


class Checksums:
    """SHA-256 of files, once per path, size and time of change; kept in the folder through restarts."""

    def __init__(self, folder: Path | None) -> None:
        self._file = None if folder is None else folder / FILE
        self._book: _Book | None = None
        self._under_way: dict[Path, asyncio.Task[str]] = {}
        self._stop = threading.Event()

    async def check(self, spec: ModelSpec) -> None:
        """Raises ModelError: missing, or damaged where the file has not the checksum of its spec."""
        path = Path(spec.file)
        if file_state(path) is None:
            raise ModelError(
                Trouble.MISSING,
                f"model {spec.name}: there is no file {path}; bring it there, or `ganglion models add` it",
            )
        if not spec.sha256:
            return
        try:
            found = await self.of(path)
        except OSError as error:
            raise ModelError(
                Trouble.MISSING, f"model {spec.name}: {path} can't be read: {error.strerror or error}"
            ) from None
        if found != spec.sha256.lower():
            raise ModelError(
                Trouble.DAMAGED,
                f"model {spec.name}: {path} has the checksum {found}, expected {spec.sha256.lower()}: it is damaged or "
                f"another file; get it again, or correct `sha256` if the file is the one you mean",
            )

    async def of(self, path: Path) -> str:
        """The checksum, lower-case hex. Several who ask at once wait for the same reading. Raises OSError."""
        known = self.known(path)
        if known is not None:
            return known
        task = self._under_way.get(path)
        if task is None:
            task = self._under_way[path] = asyncio.create_task(self._read(path), name=f"checksum of {path.name}")
            task.add_done_callback(lambda _: self._under_way.pop(path, None))
        return await asyncio.shield(task)

    def known(self, path: Path) -> str | None:
        """The checksum, if it was read since the file changed last."""
        known, state = self._kept().files.get(str(path)), file_state(path)
        return known.sha256 if known is not None and (known.size, known.mtime_ns) == state else None

    def note(self, path: Path, found: str) -> None:
        """Somebody has just read the file: nobody needs to do it again."""
        state = file_state(path)
        if state is not None:
            self._note(path, state, found)

    def _note(self, path: Path, state: tuple[int, int], found: str) -> None:
        book = self._kept()
        book.files.pop(str(path), None)
        book.files[str(path)] = Known(*state, found)
        while len(book.files) > KEPT:
            del book.files[next(iter(book.files))]
        if self._file is not None:
            write_struct(self._file, book)

    async def aclose(self) -> None:
        """Give up what is being read."""
        self._stop.set()
        tasks = list(self._under_way.values())
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, path: Path) -> str:
        state = file_state(path)
        found = await asyncio.to_thread(self._hash, path)
        if state is not None and state == file_state(path):
            self._note(path, state, found)
        return found

    def _hash(self, path: Path) -> str:
        digest = hashlib.sha256()
        with path.open("rb", buffering=0) as file:
            while chunk := file.read(CHUNK):
                if self._stop.is_set():
                    raise InterruptedError(0, "the agent stops")
                digest.update(chunk)  # gives up the GIL
        return digest.hexdigest()

    def _kept(self) -> _Book:
        if self._book is None:
            self._book = (self._file and read_struct(self._file, _Book)) or _Book()
        return self._book


def file_state(path: Path) -> tuple[int, int] | None:
    """Size and time of change; None where there is no such file."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_size, state.st_mtime_ns
