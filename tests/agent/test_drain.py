"""`ganglion drain` and a real agent."""

import asyncio
from pathlib import Path

import pytest

from tests.hub import running_hub

pytestmark = pytest.mark.nats

SLOW = """\
name: slow
triggers: [{nats: {subject: "slow"}}]
nodes:
  first: {type: shell, argv: [sh, -c, "while ! [ -e GATE ]; do sleep 0.05; done"]}
  last: {type: transform, needs: first, data: done}
outputs: "{{ nodes.last }}"
"""
NAP = "name: nap\nnodes:\n  nap: {type: sleep, duration: 1h}\n"


def ended(agent) -> int:
    """The exit code of an agent that ends by itself."""
    agent.process.wait(15)
    code: int = agent.end()
    return code


@pytest.fixture
def gate(shell):
    return shell.directory / "gate"


@pytest.fixture
def agent(start, shell, gate):
    shell.write("c.toml", "[engine]\nallow_shell = true\n[fleet]\nheartbeat = '1s'\n")
    agent = start("--config", "c.toml")
    deployed = agent("deploy", shell.write("slow.yaml", SLOW.replace("GATE", str(gate))), shell.write("nap.yaml", NAP))
    assert deployed.code == 0, deployed.err
    return agent


def test_a_drain_finishes_what_runs_keeps_what_waits_and_ends_with_0(agent, start, gate, until) -> None:
    slow = agent("trigger", "slow", "--json").json["execution"]
    nap = agent("trigger", "nap", "--json").json["execution"]
    until(lambda: agent.status(nap) == "waiting" and agent.status(slow) == "running")
    begun = agent("drain", "--no-wait", "--json")
    assert (begun.code, begun.json["phase"], begun.json["running"]) == (0, "draining", 1)
    assert begun.json["executions"][0]["execution"] == slow
    refused = agent("trigger", "nap")
    assert refused.code == 1
    assert "is draining: it takes nothing new" in refused.err
    assert "draining" in agent("status").out
    following = agent.shell.start("drain", "--data-dir", agent.data_dir)
    assert "1 execution still running" in following.stderr.readline()
    gate.touch()
    out, _ = following.communicate(timeout=20)
    assert following.returncode == 0
    assert "has drained and stops" in out
    assert ended(agent) == 0
    again = start("--config", "c.toml")
    assert again.status(slow) == "completed"
    assert again.status(nap) == "waiting"


@pytest.mark.parametrize("how", ["time", "signal"])
def test_what_is_not_done_in_time_is_parked_and_goes_on_at_the_next_start(agent, start, gate, until, how) -> None:
    slow = agent("trigger", "slow", "--json").json["execution"]
    until(lambda: agent.status(slow) == "running")
    within = ["--within", "300ms"] if how == "time" else []
    following = agent.shell.start("drain", "--data-dir", agent.data_dir, *within)
    assert "1 execution still running" in following.stderr.readline()
    if how == "signal":
        agent.process.terminate()
    until(lambda: "what still runs is parked" in agent.said())
    gate.touch()  # the attempt itself has the grace time
    out, _ = following.communicate(timeout=30)
    assert following.returncode == 1
    assert "stops; parked, to go on at its next start: 1 execution" in out
    assert agent.end() == 0
    again = start("--config", "c.toml")
    until(lambda: again.status(slow) == "completed")


def test_nothing_to_do_is_drained_at_once_and_nobody_there_is_said(agent) -> None:
    done = agent("drain", "--json")
    assert (done.code, done.json["phase"]) == (0, "drained")
    assert ended(agent) == 0
    assert agent("drain").code == 3


async def test_a_part_of_the_fleet_is_drained_with_a_line_for_each(start, shell, tmp_path: Path) -> None:
    async with running_hub(tmp_path / "hub") as hub:
        for name, site in (("a", "berlin"), ("b", "berlin"), ("c", "paris")):
            shell.write(
                f"{name}.toml",
                f"[agent]\nid = '{name}'\nlabels = {{site = '{site}'}}\n"
                f"[mesh]\nmode = 'external'\nurl = '{hub.url}'\n[fleet]\nheartbeat = '1s'\n",
            )
        a, b, c = [await asyncio.to_thread(start, "--config", f"{name}.toml", data_dir=name) for name in "abc"]
        done = await asyncio.to_thread(shell, "drain", "--config", "c.toml", "--fleet", "site=berlin", "--json")
        assert done.code == 0, done.err
        assert sorted((line["agent"], line["answer"]["phase"]) for line in done.lines) == [
            ("a", "drained"), ("b", "drained"),
        ]  # fmt: skip
        assert [await asyncio.to_thread(ended, agent) for agent in (a, b)] == [0, 0]
        seen = await asyncio.to_thread(
            shell, "drain", "--config", "c.toml", "--fleet", "site=berlin", "--timeout", "1s"
        )
        assert seen.code == 3
        assert c.process.poll() is None
