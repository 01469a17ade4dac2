import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.fleet.event import FleetEvent
from engine.fleet.store import FleetStore

NOW = 1_795_000_000_000_000


@pytest.fixture
async def fleet(tmp_path: Path, clock) -> AsyncIterator[FleetStore]:
    async with FleetStore.open(tmp_path / "fleet.db", clock=clock) as opened:
        yield opened


def make_fact(
    seq: int, kind: str = "node.completed", *, agent: str = "a1", data: object = None, **fields
) -> FleetEvent:
    """A fact that happened `seq` seconds into the test."""
    fields = {"epoch": "e1", "time": NOW + seq * 1_000_000, "workflow": "w", **fields}
    return FleetEvent(agent=agent, seq=seq, kind=kind, data=json.dumps(data or {}).encode(), **fields)


@pytest.fixture
def fact():
    return make_fact
