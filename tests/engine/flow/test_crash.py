"""A process with full queues, quiet times and keys is killed for real at each point; then it starts again."""

import asyncio
import json
import os
from collections import Counter
from itertools import count
from pathlib import Path

import pytest

from engine.store import Store, executions, outbox, turns
from tests import warm

ROOT = Path(__file__).parents[3]

COMMON = """
import asyncio, sys
from pathlib import Path
import msgspec
from engine.contract import Done, Effect, NodeType
from engine.engine import Engine
from engine.events import Bus, Identity
from engine.execution.services import Services
from engine.store import Store
from engine.triggers.message import Fate, Message
from engine.values import Json

class Params(msgspec.Struct, frozen=True, kw_only=True):
    data: Json = None

async def run(ctx, params):
    print("began", params.data["k"], params.data["n"], flush=True)
    return Done(None)

class Types:
    def get(self, name):
        return NodeType(name="say", description="", example="", params=Params, run=run, effect=Effect.AT_LEAST_ONCE)
    def names(self): return ("say",)
    def disabled(self, name): return None

TEXT = '''
name: w
triggers: [{nats: {subject: in}}]
flow: %s
nodes:
  a: {type: say, data: "{{ trigger.data }}"}
'''

def message(n, k):
    return Message(subject="in", body=msgspec.json.encode({"n": n, "k": k}), received_at=0, stream="S",
                   stream_created="c", sequence=n + 1)

async def main(flow, work):
    bus = Bus()
    async with Store.open(Path(sys.argv[1]), bus=bus) as store:
        engine = Engine(store, types=Types(), services=Services(bus=bus), identity=Identity("a", "default", "e"))
        await engine.prepare()
        if not engine.catalogue.active:
            await engine.deploy((TEXT % flow).encode())
        await work(engine)
"""
DROPS = (
    COMMON
    + """
async def work(engine):
    acknowledged = set(sys.argv[2:])
    for first in range(0, 12, 4):
        left = [n for n in range(first, first + 4) if str(n) not in acknowledged]
        receipts = await engine.intake.accept([message(n, n % 2) for n in left])
        assert all(receipt.fate is not Fate.HELD for receipt in receipts)
        print(*left, flush=True)

asyncio.run(main("{queue: {max: 3, when_full: WHEN}}", work))
"""
)
KEYS = (
    COMMON
    + """
async def work(engine):
    for n in range(12):
        await engine.intake.accept([message(n, n % 3)])
    running = asyncio.create_task(engine.run())
    while engine.executor.finished.get("completed", 0) + done_before < 12 and not running.done():
        await asyncio.sleep(0.001)
    engine.drain()
    await running

done_before = int(sys.argv[2])
asyncio.run(main("{key: trigger.data.k, concurrency: 2}", work))
"""
)


def run(script: str, path: Path, *arguments: str, crash_at: str = "") -> tuple[bool, str]:
    """Whether it ended by itself, and what it said."""
    done = warm.run(["-c", script, str(path), *arguments], cwd=ROOT, env={**os.environ, "GANGLION_CRASH_AT": crash_at})
    assert done.returncode in (0, -9), done.stderr
    return done.returncode == 0, done.stdout


def facts_and_rows(path: Path):
    async def read():
        async with Store.open(path) as store:
            rows = await store.read(lambda db: executions.listing(db, limit=1000))
            facts = await store.read(lambda db: outbox.history(db, after=0, limit=10_000))
            return rows, facts, await store.read(turns.counts)

    return asyncio.run(read())


@pytest.mark.crash
@pytest.mark.parametrize("when", ["drop_oldest", "drop_newest"])
@pytest.mark.parametrize("point", ["inbox-after-insert", "after-commit", "intake-after-commit"])
def test_what_is_dropped_is_told_before_it_is_acknowledged(tmp_path: Path, point: str, when: str) -> None:
    script = DROPS.replace("WHEN", when)
    for passing in count(2):
        path = tmp_path / f"{passing}.db"
        ended, said = run(script, path, crash_at=f"{point}:{passing}")
        if not ended:
            run(script, path, *said.split())
        rows, facts, counts = facts_and_rows(path)
        assert counts == {"w": {turns.Turn.READY: 3}}
        told = Counter(fact.kind.value for fact in facts if fact.kind.value.endswith("dropped"))
        queued = sorted(row.trigger_value["data"]["n"] for row in rows if row.status.value == "queued")
        if when == "drop_oldest":
            assert (queued, told) == ([9, 10, 11], {"workflow.dropped": 9})
        else:
            assert (queued, told) == ([0, 1, 2], {"message.dropped": 9})
        if ended:
            assert passing > 2
            return


@pytest.mark.crash
@pytest.mark.parametrize("point", ["turn-after-take", "before-commit", "effect-before-result"])
def test_keys_keep_their_order_when_the_process_is_killed(tmp_path: Path, point: str) -> None:
    for passing in (3, 7, 12):
        path = tmp_path / f"{passing}.db"
        ended, said = run(KEYS, path, "0", crash_at=f"{point}:{passing}")
        assert not ended
        rows, _, _ = facts_and_rows(path)
        done = sum(row.status.value == "completed" for row in rows)
        again, more = run(KEYS, path, str(done))
        assert again
        said += more
        rows, _, counts = facts_and_rows(path)
        assert counts == {}
        assert sorted(row.trigger_value["data"]["n"] for row in rows) == list(range(12))
        assert {row.status.value for row in rows} == {"completed"}
        began = [json.loads(line.split()[2]) for line in said.splitlines() if line.startswith("began")]
        assert len(began) <= 12 + 2  # at most what ran when it was killed began twice
        for key in range(3):
            order = list(dict.fromkeys(n for n in began if n % 3 == key))
            assert order == [key, key + 3, key + 6, key + 9]
