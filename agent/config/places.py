"""Where the configuration file and the data are looked for when nobody says."""

import os
import pwd
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from agent.config.errors import NoHome

FILE = "config.toml"
SYSTEM_CONFIG = Path("/etc/ganglion") / FILE
SYSTEM_DATA = Path("/var/lib/ganglion")


def find_config(environ: Mapping[str, str]) -> Path | None:
    """The file to read without `--config`: `$GANGLION_CONFIG` (which must then exist), the user's, the system's."""
    named = environ.get("GANGLION_CONFIG")
    if named:
        return Path(named)
    with suppress(NoHome):
        path = _xdg(environ, "XDG_CONFIG_HOME", ".config") / FILE
        if path.is_file():
            return path
    return SYSTEM_CONFIG if SYSTEM_CONFIG.is_file() else None


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """`/var/lib/ganglion` for root where an installation made one, else the user's own directory. Raises NoHome."""
    if os.geteuid() == 0 and SYSTEM_DATA.is_dir():
        return SYSTEM_DATA
    return _xdg(environ, "XDG_DATA_HOME", ".local/share")


def default_cache_dir(environ: Mapping[str, str]) -> Path:
    """For what can be made again; a service has one of its own. It may not exist. Raises NoHome."""
    given = environ.get("CACHE_DIRECTORY", "").partition(":")[0]
    return Path(given) if given else _xdg(environ, "XDG_CACHE_HOME", ".cache")


def home(environ: Mapping[str, str]) -> Path:
    """The user's. Raises NoHome, which a container's made-up user gets."""
    given = environ.get("HOME")
    if given:
        return Path(given)
    try:
        return Path(pwd.getpwuid(os.geteuid()).pw_dir)
    except KeyError:
        raise NoHome from None


def _xdg(environ: Mapping[str, str], variable: str, fallback: str) -> Path:
    # The specification says that a relative path in such a variable is to be ignored.
    base = Path(environ.get(variable) or "")
    if not base.is_absolute():
        base = home(environ) / fallback
    return base / "ganglion"
