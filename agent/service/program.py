"""The executable that a service is to run: the one that runs now."""

import os
import shutil
import sys
from pathlib import Path

from agent.service.unit import NAME

HOMES = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 - named to be refused
"""What a hardened service does not see."""


class NoProgram(ValueError):
    """There is no executable that a service could run; the message says what to do."""


def running_program() -> Path:
    """The packaged executable, or the console script of the environment. Raises NoProgram.

    A packaged executable that unpacks itself says in GANGLION_EXECUTABLE which file people have copied to the device.
    """
    if getattr(sys, "frozen", False):
        return Path(os.environ.get("GANGLION_EXECUTABLE") or sys.executable)
    found = [Path(sys.argv[0]).absolute(), Path(sys.executable).parent / NAME]
    on_path = shutil.which(NAME)
    for path in [*found, Path(on_path)] if on_path else found:
        if path.name.startswith(NAME) and path.is_file() and os.access(path, os.X_OK):
            return path
    raise NoProgram(f"the executable {NAME} was not found: name it with --program")


def check_program(path: Path, *, for_system: bool) -> None:
    """Whether a service could run it. Raises NoProgram."""
    if not path.is_file() or not os.access(path, os.X_OK):
        raise NoProgram(f"{path} is no program: name the executable with --program")
    if any(letter.isspace() or letter in "\"'\\$%;" for letter in str(path)):
        raise NoProgram(f"{path}: a service can't have this path: copy the executable to /usr/local/bin")
    if not for_system:
        return
    for place in dict.fromkeys((path.parent.absolute(), path.resolve().parent, _interpreter(path))):
        if any(place == Path(home) or Path(home) in place.parents for home in HOMES):
            raise NoProgram(
                f"{place} is no place for a service's program, which sees neither homes nor /tmp: copy the executable "
                "to /usr/local/bin and install that one, or install a service of your own with --user"
            )
        closed = [parent for parent in (place, *place.parents) if not parent.stat().st_mode & 0o001]
        if closed:
            raise NoProgram(f"{closed[0]} is closed to other users: copy the executable to /usr/local/bin")


def _interpreter(path: Path) -> Path:
    """The folder of the Python behind a console script; of anything else its own."""
    with path.open("rb") as file:
        head = file.readline(256)
    if not head.startswith(b"#!/"):
        return path.resolve().parent
    named = Path(os.fsdecode(head[2:].split()[0]))
    return named.resolve().parent
