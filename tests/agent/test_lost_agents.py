"""An agent that dies is told by a recorder, within three beats; real processes on one server."""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.hub import Hub, running_hub

pytestmark = pytest.mark.nats
BEAT = 1.0


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with running_hub(tmp_path / "hub") as hub:
        yield hub


async def test_an_agent_that_is_killed_is_lost_within_three_beats_and_told_when_it_returns(
    start: Any, shell: Any, hub: Hub
) -> None:
    base = f"[mesh]\nmode = 'external'\nurl = '{hub.url}'\n[fleet]\nheartbeat = '1s'\n"
    shell.write("edge.toml", base)
    shell.write("recorder.toml", base + "record = true\n")
    recorder = await asyncio.to_thread(start, "--config", "recorder.toml", "--id", "rec", data_dir="rec")
    async with hub.client() as client:
        facts = await client.subscribe("ganglion.event.default.rec._.agent.>")
        edge = await asyncio.to_thread(start, "--config", "edge.toml", "--id", "edge", data_dir="edge")
        await asyncio.to_thread(_heard, recorder, "edge")
        edge.end(signal.SIGKILL)
        killed = time.monotonic()
        lost = await _next(facts)
        took = time.monotonic() - killed
        assert (lost["type"], lost["data"]["agent"]) == ("ganglion.agent.lost", "edge")
        assert took < 3 * BEAT + 2.0  # the last beat was before the kill; looks and a slow machine come on top
        await asyncio.to_thread(start, "--config", "edge.toml", "--id", "edge", data_dir="edge")
        back = await _next(facts)
        assert (back["type"], back["data"]["agent"]) == ("ganglion.agent.returned", "edge")
        assert back["data"]["silent_seconds"] >= lost["data"]["silent_seconds"]


async def _next(facts: Any) -> Any:
    """The next fact of another agent: the recorder tells of itself too, as when its machine is under load."""
    while True:
        fact = json.loads((await facts.next_msg(20)).data)
        if fact["type"] in ("ganglion.agent.lost", "ganglion.agent.returned"):
            return fact


def _heard(recorder: Any, agent: str) -> None:
    """Wait until the recorder knows the agent."""
    give_up = time.monotonic() + 20
    while agent not in recorder("fleet", "--json", "--config", "recorder.toml").out:
        assert time.monotonic() < give_up, recorder.said()
        time.sleep(0.05)  # each look is a command
