"""Files that change places: at each moment the name leads to a whole file, the old one or the new."""

import os
import shutil
from pathlib import Path

from engine.crash import crash_point
from engine.store.backup import sync


def staged(executable: Path) -> Path:
    """A new executable before it takes the place."""
    return executable.with_name(f"{executable.name}.new")


def kept(executable: Path) -> Path:
    """The one that had the place before."""
    return executable.with_name(f"{executable.name}.old")


def stage(file: Path, executable: Path) -> Path:
    """Copy a file beside the executable, durably and with its owner. It can't be run yet. Raises OSError."""
    new = staged(executable)
    new.unlink(missing_ok=True)
    try:
        shutil.copyfile(file, new)
        new.chmod(0o600)
        if os.geteuid() == 0:
            state = executable.stat()
            os.chown(new, state.st_uid, state.st_gid)
        sync(new)
    except OSError:
        new.unlink(missing_ok=True)
        raise
    return new


def make_runnable(executable: Path) -> None:
    """The staged file may be run by whoever may run the executable."""
    staged(executable).chmod(executable.stat().st_mode & 0o7777 & ~0o6000 | 0o100)


def switch(executable: Path) -> None:
    """The staged file takes the place, the old one is kept. Done again it changes nothing."""
    new = staged(executable)
    if not new.exists():
        return
    _link(executable, kept(executable))
    crash_point("update-kept-old")
    new.replace(executable)
    sync(executable.parent)


def switch_back(executable: Path) -> None:
    """The kept file takes the place again. Only for an executable that was switched: the kept one may be older."""
    _link(kept(executable), executable)


def _link(file: Path, name: Path) -> None:
    """Another name for a file, in the place of what had it."""
    temporary = name.with_name(f"{name.name}.link")
    temporary.unlink(missing_ok=True)
    try:
        temporary.hardlink_to(file)
    except OSError:  # a file system without hard links
        shutil.copy2(file, temporary)
        sync(temporary)
    temporary.replace(name)
    temporary.unlink(missing_ok=True)  # two names of one file: rename() leaves both
    sync(name.parent)
