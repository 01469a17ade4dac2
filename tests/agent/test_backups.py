"""Backup and restore as people do them: beside a running agent, and without one."""

import signal
import sqlite3

import pytest

pytestmark = pytest.mark.nats


def executions(agent) -> set[str]:
    return {info["execution"] for info in agent("ps", "-a", "--json").json["executions"]}


def triggered(agent) -> str:
    return agent("trigger", "hello", "-d", '{"celsius": 9, "name": "f"}', "--wait", "--json").json["info"]["execution"]


def test_running_agent_is_backed_up_and_restored_to_that_moment(start, hello, shell):
    agent = start()
    agent("deploy", hello)
    before = triggered(agent)

    made = agent("backup", "b.db", "--json")

    assert made.code == 0, made.err
    assert made.json["state"] == "done"
    assert made.json["path"] == str(shell.directory / "b.db")
    assert (made.json["executions"], made.json["damaged"]) == (1, {})
    after = triggered(agent)
    refused = agent("backup", "b.db")
    assert refused.code == 1
    assert "is there already: name another file, or overwrite it with --force" in refused.err
    again = agent("backup", "b.db", "--force")
    assert again.out.startswith(f"{shell.directory / 'b.db'}: 2 executions, ")
    assert agent("restore", "b.db").code == 1, "the agent runs"
    assert agent.end() == 0

    late = shell("restore", "b.db", "--data-dir", agent.data_dir, "--json")
    assert late.code == 0, late.err
    assert (late.json["executions"], late.json["open"]) == (2, 0)
    agent = start()
    assert executions(agent) == {before, after}
    third = triggered(agent)
    events = agent("events", "-n", "1000", "--json").lines
    assert {event["epoch"] for event in events} == {late.json["epoch"]}
    assert third in executions(agent)


def test_without_an_agent_the_command_copies_by_itself(start, hello, shell):
    agent = start()
    agent("deploy", hello)
    triggered(agent)
    agent.end(signal.SIGKILL)

    made = shell("backup", "b.db", "--data-dir", agent.data_dir)

    assert made.code == 0, made.err
    assert "1 executions, " in made.out
    other = shell("restore", "b.db", "--data-dir", "elsewhere")
    assert other.code == 0, other.err
    assert "elsewhere/ganglion.db is restored: 1 executions, of which 0 go on at the next start" in other.out
    db = sqlite3.connect(shell.directory / "elsewhere" / "ganglion.db")
    assert db.execute("SELECT COUNT(*) FROM executions").fetchone() == (1,)
    db.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("backup", "b.db", "--data-dir", "nothing"), "holds no store"),
        (("restore", "no.db", "--data-dir", "nothing"), "is no file: name one that `ganglion backup` made"),
        (("restore", "hello.yaml", "--data-dir", "nothing"), "is no backup"),
    ],
)
def test_mistakes_say_what_to_do(shell, hello, arguments, message):
    done = shell(*arguments)

    assert done.code != 0
    assert message in done.err


def test_agent_that_is_asked_for_a_place_that_it_can_not_write_says_why(start, shell):
    agent = start()

    assert "is no directory: make it" in agent("backup", "nowhere/b.db").err
    assert "is the store itself" in agent("backup", agent.data_dir / "ganglion.db", "--force").err
