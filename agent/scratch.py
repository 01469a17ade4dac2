"""A directory for what is to be gone afterwards, where there is room for it."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from agent.config.errors import NoHome
from agent.config.places import default_cache_dir
from engine.store.errors import StoreError


class NoScratch(StoreError):
    """Nothing can be written anywhere; the message says for each place why."""


@contextmanager
def scratch(purpose: str, needed_bytes: int, *, environ: Mapping[str, str] = os.environ) -> Iterator[Path]:
    """An empty directory that only this user can read; gone after the block. Raises NoScratch."""
    base = with_room(_places(environ), needed_bytes)
    with tempfile.TemporaryDirectory(prefix=f"ganglion-{purpose}-", dir=base) as folder:
        yield Path(folder)


def with_room(places: list[Path], needed_bytes: int) -> Path:
    """The first of the places that can be written and has so many bytes left. Raises NoScratch."""
    reasons = []
    for place in places:
        try:
            free = shutil.disk_usage(place).free
        except OSError as error:
            reasons.append(f"{place}: {error.strerror}")
            continue
        if not os.access(place, os.W_OK | os.X_OK):
            reasons.append(f"{place} can't be written")
        elif free < needed_bytes:
            reasons.append(f"{place} has {free / 1e6:.1f} MB left")
        else:
            return place
    raise NoScratch(
        f"{needed_bytes / 1e6:.0f} MB are needed for a while, and no place has them ({'; '.join(reasons)}): make room, "
        "or name a directory with TMPDIR"
    )


def _places(environ: Mapping[str, str]) -> list[Path]:
    """The usual ones, and the cache, which a service can write where it can't write anything else."""
    places = [Path(environ["TMPDIR"])] if environ.get("TMPDIR") else []
    places += [Path("/tmp"), Path("/var/tmp")]  # noqa: S108  the directory in it is made with a name nobody can guess
    with suppress(NoHome, OSError):
        cache = default_cache_dir(environ)
        cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        places.append(cache)
    return places
