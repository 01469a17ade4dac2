"""One agent for all tests of the folder: what they do does not get in each other's way."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import Running, running_agent


@pytest.fixture(scope="session")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A recording agent, with MQTT."""
    with running_agent(Path(tmp_path_factory.mktemp("agent"))) as running:
        yield running
