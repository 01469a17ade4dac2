"""A small file that is there whole or not at all: half a name after a power cut would be another one."""

import os
from pathlib import Path

__all__ = ["replace_whole", "sync_folder", "write_whole"]


def write_whole(path: Path, content: bytes) -> None:
    """Replace the file, for this user alone, durably. Raises OSError."""
    replace_whole(path, content)
    sync_folder(path.parent)


def replace_whole(path: Path, content: bytes) -> None:
    """The same, but after a power cut the one from before may be there. Others can't read it, not even for a moment.
    Raises OSError."""
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def sync_folder(folder: Path) -> None:
    """The names in it outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
