"""Where the configuration file and the data are looked for when nobody says."""

import os
from collections.abc import Mapping
from pathlib import Path

FILE = "config.toml"
SYSTEM_CONFIG = Path("/etc/ganglion") / FILE
SYSTEM_DATA = Path("/var/lib/ganglion")


def find_config(environ: Mapping[str, str]) -> Path | None:
    """The file to read without `--config`: `$GANGLION_CONFIG` (which must then exist), the user's, the system's."""
    named = environ.get("GANGLION_CONFIG")
    if named:
        return Path(named)
    for path in (_xdg(environ, "XDG_CONFIG_HOME", ".config") / FILE, SYSTEM_CONFIG):
        if path.is_file():
            return path
    return None


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """`/var/lib/ganglion` for root where an installation made one, else the user's own data directory."""
    if os.geteuid() == 0 and SYSTEM_DATA.is_dir():
        return SYSTEM_DATA
    return _xdg(environ, "XDG_DATA_HOME", ".local/share")


def default_cache_dir(environ: Mapping[str, str]) -> Path:
    """For what can be made again; a service has one of its own. It may not exist."""
    given = environ.get("CACHE_DIRECTORY", "").partition(":")[0]
    return Path(given) if given else _xdg(environ, "XDG_CACHE_HOME", ".cache")


def _xdg(environ: Mapping[str, str], variable: str, fallback: str) -> Path:
    # The specification says that a relative path in such a variable is to be ignored.
    base = Path(environ.get(variable) or "")
    if not base.is_absolute():
        base = Path(environ.get("HOME") or Path.home()) / fallback
    return base / "ganglion"
