"""Whether a disk that was full has room again."""

import asyncio
from pathlib import Path

PROBE_BYTES = 1024 * 1024
"""Less is no room: the next message would fill it."""
LOOK_SECONDS = 1.0


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
