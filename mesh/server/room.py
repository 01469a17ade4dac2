"""A disk that is full: said as such, and whether it has room again."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EDQUOT, ENOSPC
from pathlib import Path

from mesh.errors import ServerRefused

PROBE_BYTES = 1024 * 1024
"""Less is no room: the next message would fill it."""
LOOK_SECONDS = 1.0


@contextmanager
def needing_room(directory: Path) -> Iterator[None]:
    """Within the block files are written there. Raises ServerRefused where that takes more room than there is."""
    try:
        yield
    except OSError as error:
        if error.errno not in (ENOSPC, EDQUOT):
            raise
        raise ServerRefused(f"{directory}: the disk is full: free some space, then start again") from error


async def room(directory: Path) -> None:
    """Wait until something can be written there. Trying is the only way to know: a quota shows in no figure."""
    while True:
        if await asyncio.to_thread(_has_room, directory / ".room"):
            return
        await asyncio.sleep(LOOK_SECONDS)


def _has_room(probe: Path) -> bool:
    try:
        probe.write_bytes(bytes(PROBE_BYTES))
    except OSError:
        return False
    finally:
        probe.unlink(missing_ok=True)
    return True
