"""From any box to any agent: `--agent` through the hub."""

import json

import psutil
import pytest

pytestmark = pytest.mark.nats

SLOW = """\
name: slow
nodes:
  ask: {type: form, title: "Go on?"}
"""


def test_an_agent_behind_the_hub_is_steered_from_another(fleet) -> None:
    shell = fleet.north.shell
    south = ("--agent", "south")
    assert fleet.north("status", *south, "--json").json["agent"] == "south"
    assert fleet.north("status", "--agent", "north", "--json").json["agent"] == "north"
    assert fleet.north("deploy", shell.write("slow.yaml", SLOW), *south).code == 0
    id = fleet.north("trigger", "slow", *south, "--json").json["execution"]

    assert id in fleet.north("ps", *south).out
    assert id not in fleet.north("ps", "-a").out
    assert fleet.north("pause", id, *south).code == 0
    assert fleet.north("show", id, *south, "--json").json["info"]["status"] == "paused"
    assert fleet.north("resume", id, *south).code == 0
    [form] = fleet.north("forms", *south, "--json").json["forms"]
    assert form["execution"] == id
    assert fleet.north("cancel", id, *south).code == 0
    assert fleet.south.status(id) == "cancelled"
    assert fleet.north("retry", id, *south).code == 0
    assert fleet.north("events", *south, "-n", "3").out
    assert fleet.north("undeploy", "slow", *south).code == 0


def test_the_hub_serves_whoever_connects_there(fleet) -> None:
    shell = fleet.north.shell
    assert shell("status", "--url", fleet.hub.url, "--agent", "south", "--json").json["agent"] == "south"
    several = shell("status", "--url", fleet.hub.url)
    assert (several.code, "say which with --agent: north, south" in several.err) == (3, True)
    assert shell("status", "--url", fleet.hub.url, "--fleet", "role=edge").code == 0


def test_an_unknown_agent_is_told_who_is_there(fleet) -> None:
    unknown = fleet.north("status", "--agent", "nort")
    assert unknown.code == 3
    assert "the agent nort is not at" in unknown.err
    assert "did you mean north? there are: north, south" in unknown.err


def test_a_trigger_keeps_its_id(fleet) -> None:
    fleet.north("deploy", fleet.north.shell.directory / "hello.yaml")
    first = fleet.north("trigger", "hello", "--id", "once", "-d", '{"celsius": 3}', "--json").json
    again = fleet.north("trigger", "hello", "--id", "once", "-d", '{"celsius": 3}')
    assert first["execution"] in again.out
    assert "it was there already" in again.out
    other = fleet.north("trigger", "hello", "-d", '{"celsius": 3}', "--json").json
    assert (other["execution"] != first["execution"], other["duplicate"]) == (True, False)


def test_events_of_another_agent_are_followed(fleet) -> None:
    fleet.north("deploy", fleet.north.shell.directory / "hello.yaml", "--agent", "south")
    place = ("--agent", "south", "--data-dir", fleet.north.data_dir)
    following = fleet.north.shell.start("events", "-f", "--after", "0", "--json", *place)
    try:
        events = map(json.loads, following.stdout)
        first = next(event for event in events if event["type"] == "ganglion.agent.started")
        assert first["source"] == "/ganglion/default/south"
        id = fleet.north("trigger", "hello", "-d", '{"celsius": 3}', "--json", *place[:2]).json["execution"]
        ends = (event for event in events if event["type"] == "ganglion.workflow.completed")
        assert next(event for event in ends if event["subject"] == id)["source"] == first["source"]
    finally:
        following.kill()
        following.communicate()


def test_waiting_goes_on_over_a_connection_that_broke(fleet, until) -> None:
    north = fleet.north
    north("deploy", north.shell.write("slow.yaml", SLOW))
    waiting = north.shell.start("trigger", "slow", "--wait", "--json", "--data-dir", north.data_dir)
    try:
        [form] = until(lambda: north("forms", "--json").json["forms"])
        [server] = psutil.Process(north.ready["pid"]).children()
        server.kill()
        until(lambda: north("submit", form["form"], "-d", "{}").code == 0)
        out, err = waiting.communicate(timeout=60)
    finally:
        waiting.kill()
    assert json.loads(out)["info"]["status"] == "completed", err


def test_a_hub_that_is_gone_is_told(fleet) -> None:
    """The last one: it is not started again."""
    fleet.hub.kill()
    one = fleet.north("status", "--agent", "south", "--timeout", "1s")
    assert (one.code, "the hub does not answer now" in one.err) == (3, True), one.err
    many = fleet.north("status", "--fleet", "*")
    assert (many.code, "who is there can't be told" in many.err) == (3, True), many.err
    assert fleet.north("status").code == 0
