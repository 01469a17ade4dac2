"""Where the configuration file and the data are looked for when nobody says."""

import os
import pwd
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from agent.config.errors import NoHome
from agent.config.homes import refuse_anothers

FILE = "config.toml"
SYSTEM_CONFIG = Path("/etc/ganglion") / FILE
SYSTEM_DATA = Path("/var/lib/ganglion")


def find_config(environ: Mapping[str, str]) -> Path | None:
    """The file to read without `--config`: `$GANGLION_CONFIG` (which must then exist), or the first that is there."""
    named = environ.get("GANGLION_CONFIG")
    if named:
        return Path(named)
    # os.path: a home that is another user's (`sudo -u` may leave HOME as it was) can't be looked into.
    return next((path for path in looked_for(environ) if os.path.isfile(path)), None)  # noqa: PTH113


def looked_for(environ: Mapping[str, str]) -> list[Path]:
    """Where the file may be: of a systemd service that has a directory for it, the user's, the system's."""
    places = [Path(given) / FILE for given in _of_service(environ, "CONFIGURATION_DIRECTORY")]
    with suppress(NoHome):
        places.append(_xdg(environ, "XDG_CONFIG_HOME", ".config") / FILE)
    return [*places, SYSTEM_CONFIG]


def default_data_dir(environ: Mapping[str, str], *, to_make: bool = False) -> Path:
    """A systemd service's own; `/var/lib/ganglion` for root where an installation made one; else the user's own. Raises
    NoHome, and for somebody who is to make it AnothersHome."""
    if given := _of_service(environ, "STATE_DIRECTORY"):
        return given[0]
    if os.geteuid() == 0 and SYSTEM_DATA.is_dir():
        return SYSTEM_DATA
    path = _xdg(environ, "XDG_DATA_HOME", ".local/share")
    if to_make:
        is_of_home = not Path(environ.get("XDG_DATA_HOME") or "").is_absolute()
        place = ("HOME", home(environ)) if is_of_home else ("XDG_DATA_HOME", path.parent)
        refuse_anothers(*place, path)
    return path


def default_cache_dir(environ: Mapping[str, str]) -> Path:
    """For what can be made again; a service has one of its own. It may not exist. Raises NoHome."""
    given = _of_service(environ, "CACHE_DIRECTORY")
    return given[0] if given else _xdg(environ, "XDG_CACHE_HOME", ".cache")


def home(environ: Mapping[str, str]) -> Path:
    """The user's. Raises NoHome, which a container's made-up user gets."""
    given = environ.get("HOME")
    if given:
        return Path(given)
    try:
        return Path(pwd.getpwuid(os.geteuid()).pw_dir)
    except KeyError:
        raise NoHome from None


def _of_service(environ: Mapping[str, str], variable: str) -> list[Path]:
    """The first directory of a kind that systemd has made for a service."""
    given = Path(environ.get(variable, "").partition(":")[0])
    return [given] if given.is_absolute() else []


def _xdg(environ: Mapping[str, str], variable: str, fallback: str) -> Path:
    # The specification says that a relative path in such a variable is to be ignored.
    base = Path(environ.get(variable) or "")
    if not base.is_absolute():
        base = home(environ) / fallback
    return base / "ganglion"
