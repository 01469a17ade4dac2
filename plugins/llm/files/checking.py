"""Whether a file is what it should be: its bytes, and what it says of itself."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from plugins.llm.files.download import Progress
from plugins.llm.files.errors import FileTrouble

__all__ = ["check_file", "check_structure", "digest"]

CHUNK = 2**20


def check_structure(path: Path) -> str:
    """The architecture that a file says it has. Raises FileTrouble: it is no GGUF, or cut off."""
    try:
        with path.open("rb") as file:
            if file.read(4) != b"GGUF":
                raise FileTrouble(f"{path} is no GGUF file: name another", is_wrong=True)
    except OSError as error:
        raise FileTrouble(f"{path}: {(error.strerror or str(error)).lower()}") from None
    return ""


def check_file(path: Path, expected: str, told: Callable[[Progress], None] = lambda _: None) -> tuple[str, str]:
    """Its checksum and its architecture. Raises FileTrouble where it is damaged, or has not the `expected` one."""
    architecture = check_structure(path)
    found = digest(path, told)
    if expected and found != expected:
        raise FileTrouble(
            f"{path}: the checksum is {found}, expected {expected}: it is damaged, or another file than was meant"
        )
    return found, architecture


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
