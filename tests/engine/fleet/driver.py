"""One life of a recorder that a test kills.

    python driver.py FILE [FIRST]

Records batches of 20 facts of two agents from FIRST on, without an end, retention between them. What `record` has
reported is printed: `<last> <new> <duplicates>`. With GANGLION_CRASH_AT=point:n it dies at the n-th passing of a point.
"""

import asyncio
import sys
from pathlib import Path

from engine.fleet.event import FleetEvent
from engine.fleet.store import FleetRetention, FleetStore

NOW = 1_795_000_000_000_000
BATCH = 20
KEEP = FleetRetention(age=None, count=100_000, bytes=None)


def facts(first: int) -> list[FleetEvent]:
    """Numbers `first` to `first + BATCH - 1` of two agents; each third one never comes."""
    return [
        FleetEvent(
            agent=agent, epoch="e", seq=seq, time=NOW + seq, kind="workflow.completed", workflow="w",
            data=b'{"status": "completed", "duration_seconds": 1.5}',
        )
        for seq in range(first, first + BATCH)
        if seq % 3
        for agent in ("a1", "a2")
    ]  # fmt: skip


async def main(path: Path, first: int) -> None:
    async with FleetStore.open(path) as store:
        while True:
            recorded = await store.record(facts(first))
            print(first + BATCH - 1, recorded.new, recorded.duplicates, flush=True)
            await store.tidy(KEEP)
            first += BATCH


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1))
