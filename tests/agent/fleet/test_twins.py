"""A cloned data directory: real processes on one hub, as leaves of it and straight at it."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mesh.presence.beat import BUCKET
from tests.hub import Hub, running_hub

pytestmark = pytest.mark.nats

NAP = "name: nap\nnodes:\n  nap: {type: sleep, duration: 1h}\n"


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with running_hub(tmp_path / "hub") as hub:
        yield hub


@pytest.fixture(params=["leaf", "external"], autouse=True)
def config(request: pytest.FixtureRequest, hub: Hub, shell: Any) -> None:
    """Where the agents of all commands meet."""
    mesh = f"hub = '{hub.leaf_url}'" if request.param == "leaf" else f"mode = 'external'\nurl = '{hub.url}'"
    file = shell.write("c.toml", f"[mesh]\n{mesh}\n[fleet]\nheartbeat = '1s'\n")
    shell.environ["GANGLION_CONFIG"] = str(file)


def clone(shell: Any, of: Path, name: str, *, bit_by_bit: bool = False) -> Path:
    """A copy of a data directory. `bit_by_bit`: nothing in it tells that it is one."""
    copy = Path(shutil.copytree(of, shell.directory / name, ignore=shutil.ignore_patterns("agent.json", "*.sock")))
    if bit_by_bit:
        (copy / "fingerprint.json").unlink()
    return copy


async def run(work: Any, *arguments: Any, **options: Any) -> Any:
    return await asyncio.to_thread(work, *arguments, **options)


@pytest.mark.parametrize("config", ["leaf"], indirect=True)
async def test_a_copy_refuses_to_run_beside_its_original_until_it_is_told_what_it_is(start: Any, shell: Any) -> None:
    original = await run(start)
    agent = original.ready["agent"]
    assert (await run(original, "deploy", shell.write("nap.yaml", NAP))).code == 0
    nap = (await run(original, "trigger", "nap", "--json")).json["execution"]
    copy = clone(shell, original.data_dir, "copy")
    up = ("up", "--data-dir", copy, "--listen", "127.0.0.1:0")
    refused = await run(shell, *up)
    assert refused.code == 1
    assert f"another agent {agent} is running on " in refused.err
    assert "ganglion identity new" in refused.err
    assert "ganglion identity keep" in refused.err
    assert "interrupted" not in refused.err

    again = await run(shell, *up)
    assert again.code == 1
    assert again.err.splitlines()[-1] == refused.err.splitlines()[-1]
    assert "looking whether" not in again.err
    shown = (await run(shell, "identity", "show", "--data-dir", copy, "--json")).json
    assert (shown["agent"], shown["twin"]["agent"]) == (agent, agent)

    assert (await run(shell, "identity", "keep", "--data-dir", copy)).code == 0
    kept = await run(shell, *up)
    assert kept.code == 1
    assert "looking whether" in kept.err

    made = await run(shell, "identity", "new", "--data-dir", copy, "--json")
    assert made.code == 0, made.err
    assert made.json["before"] == agent
    assert made.json["cancelled"] == 1
    other = await run(start, data_dir="copy")
    assert other.ready["agent"] == made.json["agent"] != agent
    assert other.status(nap) == "cancelled"
    assert original.status(nap) == "waiting"
    workflows = (await run(other, "workflows", "--json")).json["definitions"]
    assert [workflow["workflow"] for workflow in workflows] == ["nap"]


async def test_of_two_that_nothing_tells_apart_the_later_one_stops(
    start: Any, shell: Any, until: Any, hub: Hub
) -> None:
    original = await run(start)
    agent = original.ready["agent"]
    clone(shell, original.data_dir, "copy", bit_by_bit=True)
    later = await run(start, data_dir="copy")
    assert await run(later.process.wait, 20) == 1
    assert "Make this one an agent of its own: ganglion identity new" in later.said()
    later.end()
    assert json.loads((later.data_dir / "twin.json").read_text())["agent"] == agent
    assert (await run(shell, "up", "--data-dir", later.data_dir)).code == 1

    assert original.process.poll() is None

    def told() -> list[Any]:
        events = original("events", "--json").lines
        return [event["data"] for event in events if event["type"] == "ganglion.agent.twin"]

    assert (await run(until, told))[0]["instance"]
    async with hub.client() as client:
        entry = await (await client.jetstream().key_value(BUCKET)).get(f"default.{agent}")
    said = json.loads(entry.value or b"{}")
    assert said["instance"] != (await run(told))[0]["instance"]
    assert said.get("state", "up") == "up"


@pytest.mark.parametrize("config", ["external"], indirect=True)
async def test_a_directory_that_was_moved_is_taken_over_when_nobody_else_is_there(start: Any, shell: Any) -> None:
    agent = await run(start)
    id = agent.ready["agent"]
    assert agent.end() == 0
    shutil.move(clone(shell, agent.data_dir, "copy"), shell.directory / "moved")
    shutil.rmtree(agent.data_dir)
    moved = await run(start, data_dir="moved")
    assert moved.ready["agent"] == id
    assert f"no other agent {id} was found" in moved.said()
    assert moved.end() == 0
    back = await run(start, data_dir="moved")
    assert "looking whether" not in back.said().rsplit("stopped", 1)[1]
