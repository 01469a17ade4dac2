"""A hub and two agents that lead to it, each a process with a server of its own."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.conftest import HELLO, Agent, Shell, until
from tests.hub import Hub

CONFIG = """\
[agent]
id = "{id}"
labels = {{ site = "{site}", role = "edge" }}
[mesh]
hub = "{hub}"
[fleet]
heartbeat = "1s"
"""


class Fleet:
    """`north` and `south`, behind one hub."""

    def __init__(self, directory: Path) -> None:
        self.hub = Hub(directory / "hub")
        asyncio.run(self.hub.start())
        self.agents: list[Agent] = []
        self.north = self._start(directory, "north", "berlin")
        self.south = self._start(directory, "south", "hamburg")

    def _start(self, directory: Path, id: str, site: str) -> Agent:
        home = directory / id
        home.mkdir()
        shell = Shell(home)
        config = shell.write("ganglion.toml", CONFIG.format(id=id, site=site, hub=self.hub.leaf_url))
        shell.write("hello.yaml", HELLO)
        self.agents.append(Agent(shell, "--config", config))
        return self.agents[-1]

    def end(self) -> None:
        for agent in self.agents:
            agent.process.send_signal(signal.SIGCONT)
            agent.end(signal.SIGKILL)
        self.hub.kill()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Both agents know of each other, and are reached through the hub."""
    fleet = Fleet(tmp_path_factory.mktemp("fleet"))
    try:
        until(lambda: all(one("status", "--fleet", "role=edge").out.count("running") == 2 for one in fleet.agents))
        yield fleet
    finally:
        fleet.end()
