"""Are the places of an agent fit for it: room, rights, and a file system that a database can trust?"""

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil

from agent.config.errors import NoHome
from agent.config.nearest import nearest
from agent.config.places import FILE, SYSTEM_DATA, default_cache_dir, looked_for
from agent.finding import Finding, Verdict
from agent.service.installation import SYSTEM_CACHE

LITTLE_SPACE, NO_SPACE = 1_000_000_000, 100_000_000
LOCAL = "put the data on a local disk: --data-dir"
POOR = {
    **dict.fromkeys(
        ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "fuse.sshfs", "fuse.glusterfs"),
        ("a network file system: its locks and shared memory do not keep SQLite's promises", LOCAL),
    ),
    **dict.fromkeys(("tmpfs", "ramfs"), ("memory: everything is gone at the next boot", LOCAL)),
    "overlay": ("a container's own layer: everything is gone with the container", "mount a volume there"),
    **dict.fromkeys(
        ("vfat", "msdos", "exfat"),
        ("without owners and modes: others can read secrets", f"{LOCAL} with ext4, btrfs or f2fs"),
    ),
}
"""Kinds of file systems: what is wrong with them, and what to do."""


def examine_configuration(file: Path | None, environ: Mapping[str, str] = os.environ) -> Finding:
    """Which file, or where one would be found."""
    if file is not None:
        return Finding("configuration", Verdict.OK, str(file))
    places = ", ".join(str(place) for place in looked_for(environ))
    return Finding("configuration", Verdict.OK, f"no {FILE}, all defaults; it may be {places}")


def examine_disk(data_path: Path, partitions: Mapping[str, str] | None = None) -> Iterator[Finding]:
    """Room for the data, and the kind of its file system. `partitions`: kinds by the places where they are mounted."""
    place = nearest(data_path)
    kind = file_system(place, mounted() if partitions is None else partitions)
    free = shutil.disk_usage(place).free
    message = f"{free / 1e9:.1f} GB free{f', {kind}' if kind else ''}"
    if free < NO_SPACE:
        yield Finding("disk", Verdict.FAIL, message, "free some space: on a full disk nothing is accepted")
    elif free < LITTLE_SPACE:
        yield Finding("disk", Verdict.WARN, message, "free some space, or lower [store] retention")
    else:
        yield Finding("disk", Verdict.OK, message)
    if kind in POOR:
        why, remedy = POOR[kind]
        yield Finding("file system", Verdict.WARN, f"{data_path} is on {kind}, {why}", remedy)


def examine_cache(data_path: Path, environ: Mapping[str, str] = os.environ) -> Finding:
    """For what can be made again: an agent works without it, the executable unpacks itself at each start then."""
    remedy = "name one with GANGLION_CACHE_DIR: the executable starts quicker then"
    given = environ.get("GANGLION_CACHE_DIR")
    try:
        if data_path == SYSTEM_DATA and SYSTEM_CACHE.exists():  # of the service
            path = SYSTEM_CACHE
        else:
            path = Path(given) if given else default_cache_dir(environ)
    except NoHome:
        return Finding("cache", Verdict.WARN, "none, since this user has no home directory", remedy)
    place = nearest(path)
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        return Finding("cache", Verdict.WARN, f"{path} can't be written", remedy)
    return Finding("cache", Verdict.OK, f"{path}, {shutil.disk_usage(place).free / 1e9:.1f} GB free")


def is_closed(data_path: Path) -> bool:
    """Whether this user may not look into it."""
    try:
        (data_path / FILE).lstat()
    except OSError as error:
        return isinstance(error, PermissionError)
    return False


def file_system(path: Path, partitions: Mapping[str, str]) -> str:
    """Its kind, such as ext4; empty where nobody knows."""
    real = path.resolve()
    return next((partitions[str(place)] for place in (real, *real.parents) if str(place) in partitions), "")


def mounted() -> dict[str, str]:
    """The kinds of file systems by the places where they are mounted; the last of one place hides the others."""
    try:
        return {one.mountpoint: one.fstype for one in psutil.disk_partitions(all=True)}
    except (OSError, RuntimeError):  # without /proc
        return {}
