from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from engine.definition.model import Workflow
from engine.store import Store
from engine.store.executions import ExecutionRow
from engine.triggers.intake import Intake
from engine.triggers.routes import Routes

NOW = 1_795_000_000_000_000  # 2026-11-18T11:06:40Z


class FakeClock:
    """Time that only tests move."""

    def __init__(self, now: int = NOW) -> None:
        self.micros = now
        self.seconds = 0.0

    def now(self) -> int:
        return self.micros

    def monotonic(self) -> float:
        return self.seconds

    def pass_by(self, seconds: float) -> None:
        """Time goes by, as seen by both clocks."""
        self.micros += int(seconds * 1_000_000)
        self.seconds += seconds


class Admitted:
    """Keeps what it is told to run."""

    def __init__(self) -> None:
        self.rows: list[ExecutionRow] = []

    def admit(self, rows: list[ExecutionRow]) -> None:
        self.rows.extend(rows)

    def free_slots(self) -> int:
        return 100

    async def wait_for_slots(self) -> None:
        return

    def names(self) -> list[str]:
        return [row.workflow for row in self.rows]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def store(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "ganglion.db", clock=clock) as opened:
        yield opened


@pytest.fixture
def admitted() -> Admitted:
    return Admitted()


@pytest.fixture
def make_intake(store: Store, admitted: Admitted) -> Callable[..., Intake]:
    def make(*active: tuple[str, int, Workflow]) -> Intake:
        return Intake(store, admitted, Routes(active, agent="here"))

    return make
