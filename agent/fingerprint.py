"""Whether a data directory is still where it was: a copy of it, on another machine or beside it, has another
fingerprint. So does one that was moved, which is why this is a suspicion and no more."""

import hashlib
from pathlib import Path

import msgspec

from agent.small_file import write_whole

FILE = "fingerprint.json"
_MACHINE_ID = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))


class Fingerprint(msgspec.Struct, frozen=True):
    """Of the machine and of the directory's own files. Device numbers are left out: they may change with each boot."""

    machine: str = ""
    """Empty where the machine has no id."""
    directory: int = 0
    lock: int = 0
    """Inodes of the directory and of its lock file, which is never replaced."""


NOWHERE = Fingerprint()
"""Differs from every place."""


def fingerprint(data_dir: Path) -> Fingerprint:
    """Of the directory where it is now; its lock file is there."""
    return Fingerprint(_machine(), data_dir.stat().st_ino, (data_dir / "lock").stat().st_ino)


def is_where_it_was(data_dir: Path) -> bool:
    """Whether the directory has the fingerprint that was kept. One without any has never been anywhere else."""
    try:
        kept = msgspec.json.decode((data_dir / FILE).read_bytes(), type=Fingerprint)
    except FileNotFoundError:
        return True
    except (OSError, msgspec.DecodeError):
        return False
    return kept == fingerprint(data_dir)


def keep(data_dir: Path, place: Fingerprint) -> None:
    """This is where it is from now on."""
    write_whole(data_dir / FILE, msgspec.json.encode(place) + b"\n")


def _machine() -> str:
    for path in _MACHINE_ID:
        try:
            found = path.read_text().strip()
        except (OSError, UnicodeDecodeError):
            continue
        if found:  # not the id itself, which is nobody else's business
            return hashlib.sha256(f"ganglion {found}".encode()).hexdigest()[:32]
    return ""
