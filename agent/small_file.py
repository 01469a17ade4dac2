"""A small file that is there whole or not at all: half a name after a power cut would be another one."""

import os
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Replace the file, durably. Raises OSError."""
    temporary = path.with_name(f"{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
