"""A siege: the whole agent as a process, under real faults, with an oracle outside. See siege.py."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.faults.agent import free_port
from tests.faults.siege import Siege


class Prepared(NamedTuple):
    """A data directory with both workflows, to be copied, and where their sink has to listen."""

    data_dir: Path
    sink_port: int


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    directory, sink_port = tmp_path_factory.mktemp("prepared"), free_port()

    async def prepare() -> Path:
        async with Siege.open(directory, sink_port=sink_port) as siege:
            await siege.prepare()
            return siege.agent.data_dir

    return Prepared(asyncio.run(prepare()), sink_port)


@pytest.fixture
async def siege(tmp_path: Path, prepared: Prepared) -> AsyncIterator[Siege]:
    """An agent to which both workflows are deployed; it does not run yet."""
    async with Siege.open(tmp_path, sink_port=prepared.sink_port, deployed=prepared.data_dir) as siege:
        yield siege
