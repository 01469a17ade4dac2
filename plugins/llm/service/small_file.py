"""Small files of ours in the models' folder: there whole or not at all, and no trouble when they are not."""

import logging
from pathlib import Path
from typing import TypeVar

import msgspec

_log = logging.getLogger("ganglion.models")
T = TypeVar("T", bound=msgspec.Struct)


def read_struct(path: Path, kind: type[T]) -> T | None:
    """What was written; None where there is nothing that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        _log.warning("%s can't be read and is begun anew: %s", path, error)
        return None


def write_struct(path: Path, value: msgspec.Struct) -> None:
    """Replace the file. A full disk only costs the memory of it."""
    temporary = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary.write_bytes(msgspec.json.encode(value))
        temporary.replace(path)
    except OSError as error:
        _log.warning("%s can't be written: %s", path, error)
