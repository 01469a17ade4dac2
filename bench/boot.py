"""A start after a crash: how long until the agent serves, and until what was interrupted has gone on to its end.

Each round makes a data directory as a kill leaves it: 10,000 executions (`--executions`) of which each has finished its
first of three nodes. Then `ganglion up` starts on it; the time to its ready file, and to the last end in its store, is
taken from the start of the process. The command is the one that is installed beside this Python.
"""

import asyncio
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from measure.figures import US, Goal, median, show
from measure.rounds import arguments, file_system, real_disk, say

from engine.engine import Engine
from engine.events import Bus, Identity
from engine.execution.control import control_types
from engine.execution.services import Services
from engine.ids import new_execution_id
from engine.states import ExecutionState, NodeState
from engine.store import Store, Transaction, checkpoints, executions
from engine.store.checkpoints import NodeRow
from engine.store.executions import ExecutionRow
from plugins.nodes import builtin_types
from plugins.registry import Registry

COMMAND = Path(sys.executable).parent / "ganglion"
WORKFLOW = b"""\
name: boot
nodes:
  first: {type: log, level: debug, message: "{{ trigger.data.x }}"}
  second: {type: log, level: debug, message: "{{ nodes.first }}"}
  third: {type: log, level: debug, message: "{{ nodes.second }}"}
outputs: "{{ nodes.third }}"
"""
GIVE_UP_SECONDS = 120.0
READY, RESUMED = "ready", "all resumed, to their end"
GOALS = {READY: Goal(3.0, "less"), RESUMED: None}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--executions", type=int, default=10_000, help="interrupted ones (default 10,000)")
    options = parser.parse_args()
    values: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="ganglion-bench-", dir=real_disk(options.dir)) as place:
        for round in range(options.rounds):
            directory = Path(place) / str(round)
            directory.mkdir(mode=0o700)
            asyncio.run(_interrupted(directory / "ganglion.db", options.executions))
            for case, seconds in _boot(directory, options.executions):
                values[case].append(seconds)
                say(f"round {round + 1} of {options.rounds}: {case} after {seconds:.2f} s")
        title = f"boot with {options.executions:,} interrupted executions, on {file_system(Path(place))} at {place}"
    rows = [median("boot", US, case, values[case], "s", goal=goal) for case, goal in GOALS.items()]
    show(title, rows, as_json=options.json)


async def _interrupted(path: Path, count: int) -> None:
    """A store as a kill leaves it."""
    bus = Bus()
    async with Store.open(path, bus=bus) as store:
        engine = Engine(
            store, types=Registry((*control_types(), *builtin_types())), services=Services(bus=bus),
            identity=Identity("bench", "default", store.epoch),
        )  # fmt: skip
        await engine.prepare()
        deployment, _ = await engine.deploy(WORKFLOW)
        for first in range(0, count, 1000):
            await store.submit(
                lambda tx, first=first: _begun(tx, first, min(1000, count - first), deployment.row.version)
            )
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE meta SET value = 'no' WHERE key = 'clean'")


def _begun(tx: Transaction, first: int, count: int, version: int) -> None:
    now = time.time_ns() // 1000
    for x in range(first, first + count):
        id = new_execution_id(now)
        executions.create(
            tx,
            ExecutionRow(
                id=id, workflow="boot", version=version, status=ExecutionState.QUEUED, root=id, created_at=now,
                trigger=b'{"kind": "bench", "data": {"x": "%d"}}' % x,
            ),
        )  # fmt: skip
        executions.start(tx, id, now)
        node = NodeRow(
            path="first", status=NodeState.COMPLETED, attempt=1, output=b'"%d"' % x, started_at=now, finished_at=now,
            seq=1,
        )  # fmt: skip
        checkpoints.write(tx, id, node)


def _boot(directory: Path, count: int) -> Iterator[tuple[str, float]]:
    ready = directory / "ready.json"
    began = time.perf_counter()
    with _agent(directory, ready) as agent:
        while not ready.exists():
            _check(agent, directory, began)
            time.sleep(0.005)
        yield READY, time.perf_counter() - began
        with closing(sqlite3.connect(f"file:{directory / 'ganglion.db'}?mode=ro", uri=True)) as db:
            while _ended(db) < count:
                _check(agent, directory, began)
                time.sleep(0.02)
        yield RESUMED, time.perf_counter() - began


def _ended(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT COUNT(*) FROM executions WHERE finished_at IS NOT NULL").fetchone()[0])


def _check(agent: "subprocess.Popen[bytes]", directory: Path, began: float) -> None:
    if agent.poll() is not None or time.perf_counter() - began > GIVE_UP_SECONDS:
        sys.exit(f"the agent did not get there:\n{(directory / 'log').read_text()[-4000:]}")


@contextmanager
def _agent(directory: Path, ready: Path) -> "Iterator[subprocess.Popen[bytes]]":
    command = [str(COMMAND), "up", "--data-dir", str(directory), "--ready-file", str(ready), "--listen", "127.0.0.1:0"]
    with (directory / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as agent:
        try:
            yield agent
        finally:
            agent.terminate()


if __name__ == "__main__":
    main()
