"""How far an update is: a file beside the executable, for whoever goes on after a kill."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

import msgspec

from engine.whole_file import sync_folder, write_whole

SUFFIX = ".update"


class Phase(StrEnum):
    """Written before what it names is begun; each can be done again from its beginning."""

    SWITCH = "switch"
    TRIAL = "trial"
    BACK = "back"


class UpdateUnderWay(Exception):
    """Another one is at work on this executable, or was interrupted."""


class Journal(msgspec.Struct, frozen=True, kw_only=True):
    """One update of one executable."""

    phase: Phase
    executable: str
    version: str
    """The new one."""
    before: str
    """The version that ran."""
    sha256: str
    """Of the new file."""
    data_dir: str
    arguments: tuple[str, ...] = ()
    """Of the agent that ran, from `up` on; empty: none ran, so nothing is started."""
    directory: str = "/"
    """The agent's working directory."""
    unit: str = ""
    """The service that it ran as; empty: none."""
    databases: tuple[str, ...] = ()
    """Those that the new version would migrate."""
    why: str = ""
    """It goes back."""
    put_aside: bool = False
    """It goes back though the new version has done work."""


def journal_of(executable: Path) -> Path:
    """Where it is. An executable that was kept aside knows the one that took its place."""
    return executable.with_name(executable.name.removesuffix(".old") + SUFFIX)


def write_journal(journal: Journal) -> None:
    """Durable when it returns. Raises OSError."""
    write_whole(journal_of(Path(journal.executable)), msgspec.json.encode(journal) + b"\n")


def read_journal(executable: Path) -> Journal | None:
    """None: no update is under way. Raises UpdateUnderWay for a file that says nothing."""
    path = journal_of(executable)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Journal)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise UpdateUnderWay(f"{path} can't be read ({error}): see whether {executable} is whole, remove it") from None


def remove_journal(executable: Path) -> None:
    """The update is over."""
    path = journal_of(executable)
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


@contextmanager
def only_one(executable: Path) -> Iterator[None]:
    """Nobody else updates this executable within the block: a lock on its folder, which the kernel takes back from a
    process that is gone. Raises UpdateUnderWay, OSError."""
    descriptor = os.open(executable.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise UpdateUnderWay(f"another update of {executable} is under way: let it come to its end") from None
    try:
        yield
    finally:
        os.close(descriptor)
