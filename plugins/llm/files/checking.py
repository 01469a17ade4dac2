"""Whether a file is what it should be: its bytes, and what it says of itself."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from plugins.llm.errors import ModelError
from plugins.llm.files.download import Progress
from plugins.llm.files.errors import FileTrouble
from plugins.llm.local.gguf import ModelFile, read_header

__all__ = ["check_file", "check_structure", "digest"]

CHUNK = 2**20


def check_structure(path: Path, shown: str = "") -> ModelFile:
    """What a file says of itself. Raises FileTrouble: it is no GGUF, cut off or damaged; the message calls it `shown`,
    or by its path."""
    try:
        return read_header(path)
    except ModelError as error:
        reason = str(error).removeprefix(str(path))
        raise FileTrouble(f"{shown or path}{reason}") from None


def check_file(
    path: Path, expected: str, told: Callable[[Progress], None] = lambda _: None, shown: str = ""
) -> tuple[str, ModelFile]:
    """Its checksum, and what it says of itself. Raises FileTrouble: damaged, or another checksum than `expected`."""
    header = check_structure(path, shown)
    found = digest(path, told)
    if expected and found != expected:
        raise FileTrouble(
            f"{shown or path}: the checksum is {found}, expected {expected}: it is damaged, or another file than was "
            "meant"
        )
    return found, header


def digest(path: Path, told: Callable[[Progress], None] = lambda _: None) -> str:
    """SHA-256 of a file in lower-case hex. Raises FileTrouble when it can't be read."""
    total = sha256()
    try:
        with path.open("rb", buffering=0) as file:
            size, done = path.stat().st_size, 0
            while chunk := file.read(CHUNK):
                total.update(chunk)
                done += len(chunk)
                told(Progress("checking", done, size))
    except OSError as error:
        raise FileTrouble(f"{path}: {(error.strerror or str(error)).lower()}: the disk may be damaged") from None
    return total.hexdigest()
