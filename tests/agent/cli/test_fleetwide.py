"""One command to many agents: who did it, who could not, and who did not answer."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

pytestmark = pytest.mark.nats


@contextmanager
def stopped(agent) -> Iterator[None]:
    """The process stands still: its server takes requests, nobody answers them."""
    agent.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        agent.process.send_signal(signal.SIGCONT)


def test_every_agent_with_the_labels_is_asked(fleet) -> None:
    done = fleet.north("deploy", fleet.north.shell.directory / "hello.yaml", "--fleet", "role=edge")
    assert done.code == 0, done.err
    assert sorted(line.split()[0] for line in done.out.splitlines()) == ["north", "south"]
    assert done.out.count("hello version 1") == 2

    listed = fleet.south("workflows", "--fleet", "site=berlin", "--json")
    [answered] = listed.lines
    assert (answered["agent"], answered["outcome"]) == ("north", "ok")
    assert [info["workflow"] for info in answered["answer"]["definitions"]] == ["hello"]

    started = fleet.north("trigger", "hello", "-d", '{"celsius": 3}', "--wait", "--fleet", "*")
    assert (started.code, started.out.count("completed in")) == (0, 2)
    executions = fleet.north("ps", "-a", "--fleet", "site!=berlin").out
    assert executions.startswith("south  ")
    assert "hello@1  completed" in executions


def test_refusals_and_silence_are_told_apart(fleet) -> None:
    fleet.north("deploy", fleet.north.shell.directory / "hello.yaml", "--fleet", "role=edge")
    only = fleet.north("undeploy", "hello", "--agent", "south")
    assert only.code == 0, only.err

    refused = fleet.north("trigger", "hello", "--fleet", "role=edge")
    assert refused.code == 1
    assert any(line.startswith("south  failed  ") and "hello" in line for line in refused.out.splitlines())
    assert any(line.startswith("north  ") and "accepted" in line for line in refused.out.splitlines())
    assert refused.err == "of 2 agents, 1 failed, 1 ok\n"

    with stopped(fleet.south):
        silent = fleet.north("status", "--fleet", "role=edge", "--timeout", "1s")
        assert silent.code == 3, silent.out
        assert "south  no answer  the agent south did not answer status within 1 s" in silent.out
        told = {line["agent"]: line for line in fleet.north("ps", "--fleet", "*", "--timeout", "1", "--json").lines}
        assert (told["north"]["outcome"], told["south"]["outcome"]) == ("ok", "no answer")
        assert told["north"]["state"] == "up"

        lost = fleet.north("status", "--fleet", "site=hamburg", "--timeout", "500ms")
        while "lost" not in lost.out:
            lost = fleet.north("status", "--fleet", "site=hamburg", "--timeout", "500ms")
        assert lost.code == 3
        assert "it is lost: nothing was heard of it since" in lost.out
        one = fleet.north("show", "1234", "--agent", "south", "--timeout", "500ms")
        assert one.code == 3
        assert "the agent south did not answer show within 0.5 s; it is lost: nothing was heard" in one.err
    assert fleet.north("status", "--fleet", "role=edge").code == 0


def test_who_selects_nobody_is_told_what_there_is(fleet) -> None:
    nobody = fleet.north("ps", "--fleet", "site=munich")
    assert nobody.code == 2
    assert "--fleet site=munich selects no agent" in nobody.err
    assert "labels in use: role=edge (2), site=berlin (1), site=hamburg (1)" in nobody.err
    for wrong in ("berlin", ""):
        assert "expected label=value" in fleet.north("ps", "--fleet", wrong).err
    both = fleet.north("ps", "--fleet", "*", "--agent", "south")
    assert (both.code, "leave one of them out" in both.err) == (2, True)


def test_state_and_dead_letters_and_forms_of_many(fleet) -> None:
    fleet.north("deploy", fleet.north.shell.directory / "hello.yaml", "--fleet", "role=edge")
    done = fleet.north("state", "hello", "count", "--set", "3", "--fleet", "*")
    assert done.code == 0, done.out
    assert fleet.south("state", "hello", "count", "--agent", "north").out.strip() == "3"
    assert fleet.south("state", "hello", "--fleet", "*").out.count("count  3") == 2
    assert fleet.south("deadletters", "list", "--fleet", "*").out.count("no dead letters") == 2
    assert fleet.south("forms", "--fleet", "*").out.count("no forms") == 2


def test_names_of_agents_and_labels_are_completed(fleet) -> None:
    def completed(*words: str) -> str:
        shell = fleet.north.shell
        shell.environ |= {
            "__C_COMPLETE": "complete_bash",  # of `python -c`, as these commands are called
            "COMP_WORDS": " ".join(("ganglion", "ps", "--data-dir", str(fleet.north.data_dir), *words)),
            "COMP_CWORD": str(3 + len(words)),
        }
        try:
            return shell().out
        finally:
            for name in ("__C_COMPLETE", "COMP_WORDS", "COMP_CWORD"):
                del shell.environ[name]

    assert "south" in completed("--agent", "so")
    assert "north" not in completed("--agent", "so")
    assert {"site=berlin", "site=hamburg"} <= set(completed("--fleet", "si").split())
