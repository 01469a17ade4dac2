"""A watch on real directories and a real store, in virtual time."""

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from agent.file_watch.places import Places
from agent.file_watch.watch import FileWatch
from engine.definition.model import FileTrigger, Workflow
from engine.signal import Signal
from engine.store import Store
from engine.store.executions import ExecutionRow
from engine.triggers.files import Files
from engine.triggers.routes import Routes

NOW = 1_795_000_000_000_000


class TimeIsUp(Exception):
    """Ends a test's run of the service."""


class FakeClock:
    """Time that only tests move."""

    def __init__(self) -> None:
        self.micros = NOW
        self.seconds = 0.0

    def now(self) -> int:
        return self.micros

    def monotonic(self) -> float:
        return self.seconds

    def pass_by(self, seconds: float) -> None:
        self.micros += round(seconds * 1_000_000)
        self.seconds += seconds


class Admitted:
    """Keeps what it is told to run."""

    def __init__(self) -> None:
        self.rows: list[ExecutionRow] = []
        self.slots = 1000
        self._admitted = Signal()

    def admit(self, rows: list[ExecutionRow]) -> None:
        self.rows.extend(rows)
        self._admitted.set()

    async def next(self) -> None:
        """Until more are admitted than at the last call."""
        await self._admitted.wait()

    def free_slots(self) -> int:
        return self.slots

    async def wait_for_slots(self) -> None:
        return

    @property
    def data(self) -> list[Any]:
        return [row.trigger_value["data"] for row in self.rows]

    @property
    def contents(self) -> list[Any]:
        return [data.get("content") for data in self.data]


class Watched:
    """One life of a watch; `run` lets virtual time pass, `later` does something in it."""

    def __init__(self, root: Path, store: Store, clock: FakeClock) -> None:
        self.files = root / "files"
        self.inbox = self.files / "inbox"
        self.store = store
        self.clock = clock
        self.admitted = Admitted()
        self.later: list[tuple[float, Callable[[], object]]] = []
        self._root = root
        self._until = 0.0
        self.restart()

    def restart(self) -> None:
        """Another process on the same store."""
        self.taken = Files(self.store, self.admitted)
        places = Places(self.files, [self._root / "srv"], make=True)
        self.watch = FileWatch(self.taken, places, self.clock, sleep=self._sleep)

    def routes(self, *triggers: FileTrigger, **workflows: FileTrigger) -> Routes:
        found = {"w": triggers} if triggers else {name: (trigger,) for name, trigger in workflows.items()}
        return Routes(
            [(name, 1, Workflow(name=name, triggers=triggers)) for name, triggers in found.items()], agent="here"
        )

    async def follow(self, *triggers: FileTrigger, **workflows: FileTrigger) -> None:
        await self.watch.follow(self.routes(*triggers, **workflows))

    async def run(self, seconds: float) -> None:
        self._until = self.clock.seconds + seconds
        try:
            await self.watch.run()
        except* TimeIsUp:
            pass

    async def _sleep(self, seconds: float) -> None:
        end = min(self.clock.seconds + seconds, self._until)
        if self.later and self.later[0][0] <= end:
            at, act = self.later.pop(0)
            self.clock.pass_by(max(0.0, at - self.clock.seconds))
            act()
            return
        if self.clock.seconds >= self._until:
            raise TimeIsUp
        self.clock.pass_by(end - self.clock.seconds)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def store(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "ganglion.db", clock=clock) as opened:
        yield opened


@pytest.fixture
def watched(tmp_path: Path, store: Store, clock: FakeClock) -> Watched:
    with suppress(FileExistsError):
        (tmp_path / "srv").mkdir()
    return Watched(tmp_path, store, clock)
