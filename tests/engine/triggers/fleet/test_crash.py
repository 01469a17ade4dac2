"""A process that watches the fleet is killed for real at each point; then it starts again."""

import asyncio
import os
from itertools import count
from pathlib import Path

import pytest

from engine.store import Store, executions
from tests import warm

ROOT = Path(__file__).parents[4]
SCRIPT = """
import asyncio, sys
from pathlib import Path
from engine.definition.fleet import FleetTrigger, Stat
from engine.definition.model import Workflow
from engine.events import Identity
from engine.fleet.event import FleetEvent
from engine.fleet.store import FleetStore
from engine.store import Store, definitions
from engine.triggers.fleet import Watcher
from engine.triggers.routes import Routes

class Anybody:
    def admit(self, rows): pass

class Clock:
    def now(self): return 1_795_255_620_000_000
    def monotonic(self): return 0.0

TRIGGERS = (
    FleetTrigger(kind="workflow.failed"),
    FleetTrigger(kind="workflow.failed", count=3, within=60.0, group_by="agent.id"),
    FleetTrigger(stat=Stat.FAILED, over=60.0, is_=">= 2"),
)

def events(*seqs):
    return [
        FleetEvent(agent=agent, epoch="0", seq=seq, time=Clock().now() - 1_000_000, kind="workflow.failed",
                   workflow="source", execution=f"{agent}{seq}", data=b'{"status": "failed"}')
        for seq in seqs for agent in ("a", "b")
    ]

async def main():
    path = Path(sys.argv[1])
    async with Store.open(path, clock=Clock()) as store, FleetStore.open(path.with_suffix(".fleet"), clock=Clock()) as fleet:
        await store.submit(lambda tx: definitions.deploy(tx, workflow="w", hash="", source=b"", params=b"", now=0))
        watcher = Watcher(store, fleet, Anybody(), Identity("r", "t", store.epoch))
        await watcher.follow(Routes([("w", 1, Workflow(name="w", triggers=TRIGGERS))], agent="r"))
        for batch in ((1, 2), (3,), (4,)):
            await fleet.record(events(*batch))
            while await watcher._look(): pass
            await watcher._judge()
asyncio.run(main())
"""  # noqa: E501


def run(path: Path, crash_at: str = "") -> bool:
    """Whether it ended by itself."""
    done = warm.run(["-c", SCRIPT, str(path)], cwd=ROOT, env={**os.environ, "GANGLION_CRASH_AT": crash_at})
    assert done.returncode in (0, -9), done.stderr
    return done.returncode == 0


def started(path: Path) -> list[str]:
    """What each execution was started by."""

    async def read() -> list[str]:
        async with Store.open(path) as store:
            rows = await store.read(lambda db: executions.listing(db))
        found = [row.trigger_value["data"] for row in rows]
        return sorted(data.get("id") or str(data.get("group") or data.get("stat")) for data in found)

    return asyncio.run(read())


@pytest.mark.crash
@pytest.mark.parametrize("point", ["fleet-before-commit", "fleet-after-commit", "before-commit", "after-commit"])
def test_nothing_is_lost_or_started_twice_when_the_agent_is_killed(tmp_path: Path, point: str) -> None:
    for passing in count(1):
        path = tmp_path / f"{passing}.db"
        ended = run(path, f"{point}:{passing}")
        if not ended:
            run(path)
        singles = [f"{agent}/0/{seq}" for agent in "ab" for seq in range(1, 5)]
        assert started(path) == sorted(["a", "b", *singles, "failed"]), f"killed at {point}:{passing}"
        if ended:
            assert passing > 3
            return
