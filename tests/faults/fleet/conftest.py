from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.fleet.fleet import Fleet


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    """A hub, two agents behind leaf links that can be cut, and a recorder; all of them run."""
    async with Fleet.open(tmp_path) as fleet:
        yield fleet
