"""A home of somebody else: `sudo` and `su` may leave HOME as it was."""

import os
import pwd
from pathlib import Path

from agent.config.errors import AnothersHome
from agent.config.nearest import nearest

UNKNOWN = 65534
"""Whom the kernel names as the owner of what belongs to nobody inside a container."""
ROOT_HOME = Path("/root")


def refuse_anothers(variable: str, place: Path, data_dir: Path) -> None:
    """For a data directory that may have to be made below `place`, which the variable has named. Raises AnothersHome
    where root would leave files that the owner can't use, and where another user has no right to make any."""
    user = os.geteuid()
    if place == (ROOT_HOME if user == 0 else None) or place == _home_of(user):
        return  # in containers it may belong to anybody
    owner = nearest(place).stat().st_uid
    if owner in (user, 0, UNKNOWN) or (user != 0 and os.access(nearest(data_dir), os.W_OK | os.X_OK)):
        return
    raise AnothersHome(variable, str(place), _name(owner), _name(user))


def _home_of(user: int) -> Path | None:
    try:
        return Path(pwd.getpwuid(user).pw_dir)
    except KeyError:
        return None


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"
