"""A data directory that a newer program wrote is refused before anything in it is touched."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from agent.backups import RECORDING, STORE
from agent.update.program import Program, this_program
from engine.fleet.schema import MIGRATIONS as FLEET_MIGRATIONS
from engine.store.errors import StoreFull, StoreNewer
from engine.store.schema import MIGRATIONS
from engine.store.versions import versions
from engine.whole_file import write_whole

FORMAT = 1
"""Of everything in the directory but the databases: manifests of models, NATS streams, secrets. A version that writes
what the one before can't read counts up."""
FILE = "format.json"
DATABASES = (STORE, RECORDING)
"""Files of the directory."""


class Knowledge(msgspec.Struct, frozen=True, kw_only=True):
    """What a program can read."""

    program: Program
    format: int
    migrations: dict[str, tuple[str, ...]]
    """By the name of the database file, in their order."""


class Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """Kept in the directory."""

    format: int
    program: str
    """That wrote this format first, or last."""


def knowledge() -> Knowledge:
    """What this program can read."""
    return Knowledge(
        program=this_program(),
        format=FORMAT,
        migrations={
            STORE: tuple(name for name, _ in MIGRATIONS),
            RECORDING: tuple(name for name, _ in FLEET_MIGRATIONS),
        },
    )


def refuse_newer(data_dir: Path) -> None:
    """Raises StoreNewer, in one line: who wrote it, what this program does not know of it, and what to do."""
    stamp = _stamp(data_dir)
    if stamp is not None and stamp.format > FORMAT:
        raise _newer(data_dir, stamp.program, f"has format {stamp.format}, and this one knows up to {FORMAT}",
                     "use another --data-dir")  # fmt: skip
    for name, known in knowledge().migrations.items():
        found = versions(data_dir / name)
        unknown = [] if found is None else [one for one in found.migrations if one not in known]
        if found is not None and unknown:
            way = "ganglion restore a backup from before" if name == STORE else f"move {name} and its -wal away"
            what = f"has in {name} what this one does not know ({', '.join(unknown)})"
            raise _newer(data_dir, found.program, what, way)


def mark(data_dir: Path) -> None:
    """Say which program uses the directory from now on, before it writes anything else. The caller holds its lock.

    Raises StoreFull where another format can't be announced.
    """
    found, stamp = _stamp(data_dir), Stamp(format=FORMAT, program=this_program().told)
    if found == stamp:
        return
    try:
        write_whole(data_dir / FILE, msgspec.json.encode(stamp) + b"\n")
    except OSError:  # a full disk: an agent starts all the same, and works on when there is room
        if (1 if found is None else found.format) != FORMAT:
            raise StoreFull from None


def would_migrate(data_dir: Path, known: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The databases to which a program that knows this would add something."""
    changed = []
    for name, migrations in known.items():
        found = versions(data_dir / name)
        if found is not None and set(migrations) - set(found.migrations):
            changed.append(name)
    return changed


def _newer(data_dir: Path, writer: str, what: str, way: str) -> StoreNewer:
    by = writer or "a newer ganglion"
    return StoreNewer(
        f"{data_dir} was written by {by} and {what}; this is {this_program().told}: nothing was touched. "
        f"Run the newer program, or {way}"
    )


def _stamp(data_dir: Path) -> Stamp | None:
    try:
        return msgspec.json.decode((data_dir / FILE).read_bytes(), type=Stamp)
    except (OSError, msgspec.DecodeError):
        return None
