"""Whether a data directory is still where it was: a copy of it, on another machine or beside it, has another
fingerprint. So does one that was moved, which is why this is a suspicion and no more."""

import hashlib
from contextlib import suppress
from pathlib import Path

import msgspec

from engine.whole_file import write_whole

FILE = "fingerprint.json"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
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


def named_after(data_dir: Path, name: str, *, for_good: bool) -> str:
    """A name that a copy of the directory does not have: from its fingerprint and, unless the name has to stay the same
    for good, from the start of the machine, since a disk that was copied bit by bit has no other difference."""
    place = [msgspec.json.encode(fingerprint(data_dir))]
    if not for_good:
        with suppress(OSError):
            place.append(_BOOT_ID.read_bytes())
    return f"{name}-{hashlib.sha256(b' '.join(place)).hexdigest()[:8]}"


def keep(data_dir: Path, place: Fingerprint) -> None:
    """This is where it is from now on. A file that says so is left alone: what is flushed at each start wears flash."""
    content = msgspec.json.encode(place) + b"\n"
    with suppress(OSError):
        if (data_dir / FILE).read_bytes() == content:
            return
    write_whole(data_dir / FILE, content)


def _machine() -> str:
    for path in _MACHINE_ID:
        try:
            found = path.read_text().strip()
        except (OSError, UnicodeDecodeError):
            continue
        if found:  # not the id itself, which is nobody else's business
            return hashlib.sha256(f"ganglion {found}".encode()).hexdigest()[:32]
    return ""
