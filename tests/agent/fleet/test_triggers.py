"""An agent that records the fleet starts workflows on what happens in it; one that does not says where to go."""

import asyncio
import signal
from pathlib import Path

import pytest

from tests.hub import running_hub

EXAMPLE = Path(__file__).parents[3] / "examples/fleet-watch.yaml"
FLAKY = """\
name: flaky
nodes: {a: {type: transform, data: "{{ trigger.data.level }}"}}
"""
EACH = """\
name: each
triggers: [{fleet: {kind: workflow.failed}}]
nodes: {a: {type: log, message: x}}
outputs: {text: "{{ trigger.data.agent }}"}
"""
CONFIG = '[agent]\nid = "pi-1"\nlabels = {site = "berlin"}\n[fleet]\nrecord = true\n'


def texts(agent, workflow: str = "fleet-watch") -> list[str]:
    found = agent("ps", "-a", "--json").json["executions"]
    ids = [info["execution"] for info in found if info["workflow"] == workflow and info["status"] == "completed"]
    return sorted(agent("show", id, "--json").json["outputs"]["text"] for id in ids)


def fail(agent, times: int) -> None:
    for _ in range(times):
        assert agent("trigger", "flaky", "-d", "{}").code == 0  # fails: there is no level


def test_a_recorder_watches_the_fleet_over_a_kill(shell, start, until) -> None:
    config = shell.write("recorder.toml", CONFIG)
    agent = start("--config", config)
    assert agent("deploy", shell.write("flaky.yaml", FLAKY)).code == 0
    done = agent("deploy", EXAMPLE, "-p", "watched=flaky", "-p", "failures=3")
    assert (done.code, done.err) == (0, "")
    assert "fleet flaky workflow.failed >= 3 in 10m" in agent("workflows").out
    fail(agent, 2)
    until(lambda: len(agent("ps", "-a", "--json").json["executions"]) == 2)
    agent.end(signal.SIGKILL)
    agent = start("--config", config)
    fail(agent, 1)
    until(lambda: texts(agent) == ["3 failures of flaky at berlin"])
    agent.end(signal.SIGKILL)
    agent = start("--config", config)
    # The position moves on with the next thing that starts: an event by itself, behind another failure.
    assert agent("deploy", shell.write("each.yaml", EACH)).code == 0
    fail(agent, 1)
    until(lambda: texts(agent, "each") == ["pi-1"])
    assert texts(agent) == ["3 failures of flaky at berlin"]


@pytest.mark.nats
async def test_a_recorder_at_a_hub_tells_of_an_edge_that_fails_and_dies(tmp_path, start, until) -> None:
    def up(name: str, record: str, site: str):
        home = tmp_path / name
        home.mkdir()
        (home / "config.toml").write_text(
            f'[agent]\nid = "{name}"\nlabels = {{site = "{site}"}}\n[mesh]\nhub = "{hub.leaf_url}"\n'
            f'[fleet]\nheartbeat = "1s"\nrecord = {record}\n'
        )
        (home / "flaky.yaml").write_text(FLAKY)
        return start("--config", home / "config.toml", home=home)

    def fleet() -> None:
        boss, edge = up("boss", "true", "berlin"), up("edge", "false", "bonn")
        assert boss("deploy", EXAMPLE, "-p", "watched=flaky", "-p", "failures=2").code == 0
        assert edge("deploy", edge.shell.directory / "flaky.yaml").code == 0
        fail(edge, 2)
        until(lambda: texts(boss) == ["2 failures of flaky at bonn"])
        edge.end(signal.SIGKILL)
        until(lambda: texts(boss) == ["2 failures of flaky at bonn", "agent.lost: edge"])

    async with running_hub(tmp_path / "hub") as hub:
        await asyncio.to_thread(fleet)


def test_elsewhere_a_fleet_trigger_is_refused(shell, start) -> None:
    agent = start()
    done = agent("deploy", EXAMPLE)
    assert done.code != 0
    assert "fleet-watch: a fleet trigger works where the fleet is recorded: set `[fleet] record = true`" in done.err
    assert agent("workflows", "--json").json["definitions"] == []


def test_one_that_was_deployed_while_the_agent_recorded_waits(shell, start) -> None:
    agent = start("--config", shell.write("recorder.toml", CONFIG))
    assert agent("deploy", EXAMPLE).code == 0
    agent.end()
    agent = start("--config", shell.write("plain.toml", CONFIG.replace("true", "false")))
    assert "fleet-watch: a fleet trigger works where the fleet is recorded" in agent.said()
    assert agent("deploy", EXAMPLE, "-p", "failures=4").code == 0
    assert agent("deploy", shell.write("flaky.yaml", FLAKY)).code == 0
