"""A process that takes messages in, or keeps schedules, is killed for real at each point; then it starts again."""

import asyncio
import os
from itertools import count
from pathlib import Path

import pytest

from engine.store import Store, executions
from engine.store.executions import ExecutionRow
from tests import warm

ROOT = Path(__file__).parents[3]

COMMON = """
import asyncio, sys
from pathlib import Path
from engine.definition.model import CronTrigger, NatsTrigger, Workflow
from engine.store import Store, definitions
from engine.triggers.cron import Cron
from engine.triggers.intake import Intake
from engine.triggers.message import Message
from engine.triggers.routes import Routes

class Anybody:
    def admit(self, rows): pass

class Clock:
    micros = 1_795_255_620_000_000
    def now(self): return self.micros
    def monotonic(self): return self.micros / 1e6

def routes(*triggers):
    return Routes([("w", 1, Workflow(name="w", triggers=triggers))], agent="here")
"""
INTAKE = """
async def main():
    acknowledged = set(sys.argv[2:])
    async with Store.open(Path(sys.argv[1])) as store:
        intake = Intake(store, Anybody(), routes(NatsTrigger(subject="a")))
        for batch in ((1, 2), (3, 4)):
            left = [number for number in batch if str(number) not in acknowledged]
            bodies = [b"no" if number == 2 else b"%d" % number for number in left]
            await intake.accept([
                Message(subject="a", body=body, received_at=1, stream="S", stream_created="c", sequence=number)
                for number, body in zip(left, bodies)
            ])
            print(*left, flush=True)
asyncio.run(main())
"""
CRON = """
class Over(Exception): pass

async def main():
    clock = Clock()
    until = clock.micros + 3_600_000_000
    async def sleep(seconds):
        clock.micros += int(seconds * 1e6)
        if clock.micros > until: raise Over
    async with Store.open(Path(sys.argv[1]), clock=clock) as store:
        await store.submit(lambda tx: definitions.deploy(tx, workflow="w", hash="", source=b"", params=b"", now=0))
        cron = Cron(store, Anybody(), sleep=sleep)
        await cron.follow(routes(CronTrigger(schedule="*/15 * * * *")))
        try: await cron.run()
        except Over: pass
asyncio.run(main())
"""
CHAINED = """
from engine.definition.model import WorkflowTrigger
from engine.events import Event, Identity, Kind
from engine.states import ExecutionState
from engine.store import executions
from engine.store.executions import ExecutionRow
from engine.store.outbox import Outbox
from engine.triggers.chained import Chained

def end(id):
    def unit(tx):
        if executions.get(tx.db, id) is None:
            row = ExecutionRow(
                id=id, workflow="source", version=1, status=ExecutionState.COMPLETED, root=id, trigger=b"{}",
                created_at=0,
            )
            executions.create(tx, row)
            tx.fact(Event(kind=Kind.WORKFLOW_COMPLETED, time=0, workflow="source", execution=id,
                          data={"status": "completed"}))
    return unit

async def main():
    async with Store.open(Path(sys.argv[1])) as store:
        await store.submit(lambda tx: definitions.deploy(tx, workflow="w", hash="", source=b"", params=b"", now=0))
        chained = Chained(store, Outbox(store), Anybody(), Identity("a", "t", store.epoch))
        await chained.follow(routes(WorkflowTrigger(name="source")))
        for batch in ("ab", "c", "d"):
            for id in batch:
                await store.submit(end(id))
            while await chained._look(): pass
asyncio.run(main())
"""


def run(script: str, path: Path, *arguments: str, crash_at: str = "") -> tuple[bool, list[str]]:
    """Whether it ended by itself, and the words that it said."""
    done = warm.run(
        ["-c", COMMON + script, str(path), *arguments], cwd=ROOT, env={**os.environ, "GANGLION_CRASH_AT": crash_at}
    )
    assert done.returncode in (0, -9), done.stderr
    return done.returncode == 0, done.stdout.split()


def stored(path: Path) -> tuple[list[ExecutionRow], int]:
    async def read() -> tuple[list[ExecutionRow], int]:
        async with Store.open(path) as store:
            letters = await store.read(lambda db: db.execute("SELECT COUNT(*) FROM deadletters").fetchone()[0])
            return await store.read(lambda db: executions.listing(db)), letters

    return asyncio.run(read())


@pytest.mark.crash
@pytest.mark.parametrize("point", ["inbox-after-insert", "before-commit", "after-commit", "intake-after-commit"])
def test_no_message_is_lost_or_taken_in_twice_when_the_intake_is_killed(tmp_path: Path, point: str) -> None:
    for passing in count(1):
        path = tmp_path / f"{passing}.db"
        ended, acknowledged = run(INTAKE, path, crash_at=f"{point}:{passing}")
        if not ended:
            run(INTAKE, path, *acknowledged)
        rows, letters = stored(path)
        assert sorted(row.trigger_value["data"] for row in rows) == [1, 3, 4]
        assert letters == 1
        if ended:
            assert passing > 2
            return


@pytest.mark.crash
@pytest.mark.parametrize("point", ["before-commit", "after-commit"])
def test_no_scheduled_time_is_lost_or_run_twice_when_the_agent_is_killed(tmp_path: Path, point: str) -> None:
    for passing in count(3):  # the first two commits are the deploy and the row of the schedule
        path = tmp_path / f"{passing}.db"
        ended, _ = run(CRON, path, crash_at=f"{point}:{passing}")
        if not ended:
            run(CRON, path)
        rows, _ = stored(path)
        assert sorted(row.trigger_value["time"][11:16] for row in rows) == ["10:15", "10:30", "10:45", "11:00"]
        if ended:
            assert passing > 6
            return


@pytest.mark.crash
@pytest.mark.parametrize("point", ["before-commit", "after-commit", "chain-before-commit", "chain-after-commit"])
def test_no_event_is_lost_or_starts_two_executions_when_the_agent_is_killed(tmp_path: Path, point: str) -> None:
    first = (
        3 if point in ("before-commit", "after-commit") else 1
    )  # deployed and followed: from then on nothing is lost
    for passing in count(first):
        path = tmp_path / f"{passing}.db"
        ended, _ = run(CHAINED, path, crash_at=f"{point}:{passing}")
        if not ended:
            run(CHAINED, path)
        rows, _ = stored(path)
        assert sorted(row.cause for row in rows if row.workflow == "w") == ["a", "b", "c", "d"]
        if ended:
            assert passing > first + 1
            return
