"""What becomes of a file that was taken in. It is done again after a crash, and never to another file that has come to
the same path meanwhile."""

import os
from enum import Enum
from itertools import count
from pathlib import Path, PurePath

from agent.file_watch.folder import identity_at, opened_folder
from agent.file_watch.places import Place, Places
from engine.crash import crash_point
from engine.store.files import FileRow
from engine.triggers.found import FileIdentity

__all__ = ["Moved", "free_name", "perform"]


class Moved(Enum):
    """Where a file is after an attempt to move it."""

    THERE = "at its target, perhaps since an attempt before"
    GONE = "nowhere, as it was deleted, by us or by others"
    HERE = "where it was: another file lies at the target"


def perform(row: FileRow, identity: FileIdentity, places: Places) -> Moved:
    """Do what is still to be done with a file, on the calling thread. Raises OSError; then it is tried again."""
    path = Path(row.path)
    folder = places.place_of(path.parent)
    target = places.place_of(Path(row.target or row.path))
    if folder is None or target is None:
        raise PermissionError("its directory is not one that this agent watches any more")
    try:
        if row.after == "delete":
            _delete(folder, path.name, identity)
            return Moved.GONE
        return _move(folder, path.name, identity, free_name(target, path.name) if row.after == "move" else target)
    except FileNotFoundError:
        return Moved.GONE


def _delete(folder: Place, name: str, identity: FileIdentity) -> None:
    """Delete it if it is still there. Raises OSError."""
    aside = f".{name[:200]}.ganglion-taken"
    with opened_folder(folder) as here:
        if identity_at(here, name) == identity:
            _rename(here, name, here, aside, identity)
        if identity_at(here, aside) == identity:
            os.unlink(aside, dir_fd=here)


def _move(folder: Place, name: str, identity: FileIdentity, target: Place) -> Moved:
    """Move it to exactly this place. Raises OSError."""
    with opened_folder(folder) as here, opened_folder(Place(target.root, target.steps[:-1]), make=True) as there:
        new = target.steps[-1]
        if identity_at(there, new) is None and identity_at(here, name) == identity:
            _rename(here, name, there, new, identity)
        if identity_at(there, new) == identity:
            return Moved.THERE
        return Moved.HERE if identity_at(here, name) == identity else Moved.GONE


def free_name(target: Place, name: str) -> Place:
    """The place of a file in a directory under its own name, or, where there is one already, with a number. Raises
    OSError."""
    with opened_folder(target, make=True) as there:
        stem, ending = PurePath(name).stem, PurePath(name).suffix
        for number in count(1):
            free = name if number == 1 else f"{stem}-{number}{ending}"
            try:
                os.stat(free, dir_fd=there, follow_symlinks=False)
            except FileNotFoundError:
                break
    return target.joined(free)


def _rename(here: int, name: str, there: int, new: str, identity: FileIdentity) -> None:
    """Between look and rename another file may have come to the name: then it goes back."""
    os.rename(name, new, src_dir_fd=here, dst_dir_fd=there)
    crash_point("files-after-rename")
    if identity_at(there, new) != identity:
        os.rename(new, name, src_dir_fd=there, dst_dir_fd=here)
