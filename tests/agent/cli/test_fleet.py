"""A fleet as the command line shows it: real agents on one server, one of which records."""

import asyncio
import json
import os
import pty
import signal
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests import warm
from tests.hub import Hub
from tests.interop.checking import check
from tests.running import Running

pytestmark = pytest.mark.nats

CONFIG = """\
[agent]
id = "{id}"
labels = {{site = "{site}"}}
[mesh]
mode = "external"
url = "{url}"
[fleet]
record = {record}
heartbeat = "1s"
"""
WORK = """\
name: work
nodes:
  a: {type: transform, data: 1}
  b: {type: fail, needs: a, when: trigger.data.bad, message: a bad day}
"""
PATIENCE = 60.0
SITES = {"rec": "berlin", "pi-1": "berlin", "pi-2": "oslo"}


def until(look: Callable[[], bool]) -> None:
    """Look again until it is so."""
    give_up = time.monotonic() + PATIENCE
    while not look():
        assert time.monotonic() < give_up, "it took too long"
        time.sleep(0.05)  # each look is a command, and takes from those that are looked at


class Fleet:
    """A shared server, a recorder and two other agents."""

    def __init__(self, folder: Path) -> None:
        self.hub = Hub(folder / "hub")
        asyncio.run(self.hub.start())
        self.agents: dict[str, Running] = {}
        for id, site in SITES.items():
            (folder / id).mkdir()
            text = CONFIG.format(id=id, site=site, url=self.hub.url, record=str(id == "rec").lower())
            self.agents[id] = Running(folder / id, text)

    def start(self) -> None:
        for agent in self.agents.values():
            agent.start()
        for agent in self.agents.values():
            agent.deploy(WORK)
            for bad in ("true", "false", "false"):
                agent("trigger", "work", "-d", f'{{"bad": {bad}}}', "--wait", code=1 if bad == "true" else 0)
        self.wait_for(9)

    def wait_for(self, ends: int) -> None:
        """Until so many ends of executions are recorded."""
        until(lambda: len(self.events("--kind", "workflow.completed", "--kind", "workflow.failed", "-n", 1000)) >= ends)

    def __call__(self, *arguments: object, code: int = 0) -> str:
        """A command, given on the recorder's machine."""
        return self.agents["rec"](*arguments, code=code)

    def json(self, *arguments: object) -> Any:
        return json.loads(self(*arguments, "--json"))

    def events(self, *arguments: object) -> list[Any]:
        return [json.loads(line) for line in self("events", "--fleet", "--json", *arguments).splitlines()]

    def end(self) -> None:
        for agent in self.agents.values():
            agent.end(signal.SIGKILL)
        self.hub.kill()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    made = Fleet(tmp_path_factory.mktemp("fleet"))
    try:
        made.start()
        yield made
    finally:
        made.end()


def test_a_table_shows_every_agent_and_a_line_sums_up(fleet: Fleet) -> None:
    out = fleet("fleet")
    rows = {line.split()[0]: line.split() for line in out.splitlines()[1:4]}

    assert rows.keys() == SITES.keys()
    assert all(row[1] == "up" and row[2] == f"site={SITES[id]}" and row[-1] == "work@1" for id, row in rows.items())
    assert "3 agents: 3 up; 1 version; recorded by rec" in out


def test_a_selector_says_which_agents_are_shown(fleet: Fleet) -> None:
    assert [agent["agent"] for agent in fleet.json("fleet", "site=berlin")["agents"]] == ["pi-1", "rec"]
    assert [agent["agent"] for agent in fleet.json("fleet", "list", "site!=berlin")["agents"]] == ["pi-2"]
    said = fleet("fleet", "site=rome", code=2)
    assert "site=rome selects no agent; labels in use: site=berlin, site=oslo" in said


def test_json_tells_how_far_each_agents_facts_are_recorded(fleet: Fleet) -> None:
    picture = fleet.json("fleet")

    assert picture["recorder"] == "rec"
    assert picture["summary"]["states"] == {"up": 3}
    for agent in picture["agents"]:
        assert agent["recorded_seq"] > 0
        assert agent["epoch"]


def test_stats_count_what_ended_by_workflow_agent_and_label(fleet: Fleet) -> None:
    [work] = fleet.json("stats", "--workflow", "work")["windows"]
    assert (work["completed"], work["failed"]) == (6, 3)
    assert work["failure_rate"] == pytest.approx(1 / 3)
    assert work["p50"] <= work["p95"] <= work["p99"] <= work["longest"] * 1.02

    by_agent = fleet.json("stats", "--by", "agent", "-w", "work", "--per", "hour")["windows"]
    assert {one["agent"]: one["failed"] for one in by_agent} == dict.fromkeys(SITES, 1)

    by_site = fleet.json("stats", "--by", "label:site", "-w", "work")["windows"]
    assert {one["label"]: one["failed"] for one in by_site} == {"berlin": 2, "oslo": 1}

    [oslo] = fleet.json("stats", "--label", "site=oslo", "-w", "work")["windows"]
    assert oslo["failed"] == 1


def test_stats_are_a_table_with_bars(fleet: Fleet) -> None:
    out = fleet("stats", "--by", "agent", "--by", "workflow", "-w", "work")

    assert out.split("\n", 1)[0].split()[:3] == ["AGENT", "WORKFLOW", "ENDED"]
    assert "pi-2" in out
    assert "█" in out
    assert "9 executions ended, 3 of them failed (33.3%)" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("stats", "--by", "site"), "expected agent, workflow, or label:NAME such as label:site"),
        (("stats", "--per", "day"), "expected one of minute, hour, all"),
        (("stats", "--label", "site"), "expected name=value, such as --label site=berlin"),
        (("stats", "--recorder", "pi-1"), "does not record the fleet; these do: rec"),
        (("stats", "--recorder", "recc"), "did you mean rec?"),
        (("stats", "--since", "yesterday"), "since"),
        (("events", "--fleet", "--status", "dead"), "expected one of completed, partial, failed, cancelled"),
        (("events", "--fleet", "--kind", "Failed!"), "or a pattern such as node.*"),
        (("events", "--fleet", "--live"), "say --on AGENT"),
        (("events", "--on", "pi-1"), "say --fleet too"),
        (("fleet", "=x"), "selects no agents: expected label=value"),
    ],
)
def test_what_can_not_be_asked_is_said_with_what_can(fleet: Fleet, arguments: tuple[str, ...], said: str) -> None:
    assert said in fleet(*arguments, code=2)


def test_events_of_all_agents_pass_the_filters(fleet: Fleet) -> None:
    failed = fleet.events("--status", "failed")
    assert {event["source"].rpartition("/")[2] for event in failed} == SITES.keys()
    assert all(event["type"] == "ganglion.workflow.failed" for event in failed)

    assert len(fleet.events("--status", "failed", "--on", "pi-2")) == 1
    assert len(fleet.events("--status", "failed", "--label", "site=berlin")) == 2
    execution = failed[0]["subject"]
    of_one = fleet.events("--execution", execution)
    assert {event["subject"] for event in of_one} == {execution}
    assert of_one == [event for event in fleet.events("-n", 1000) if event.get("subject") == execution]
    assert {event["type"] for event in fleet.events("--kind", "node", "-n", 1000)} == {
        "ganglion.node.completed", "ganglion.node.failed", "ganglion.node.skipped",
    }  # fmt: skip
    assert fleet.events("--until", "1h") == []
    assert len(fleet.events("--since", "1h", "--kind", "agent.started")) == 3


def test_numbers_say_where_to_go_on(fleet: Fleet) -> None:
    everything = fleet.events("-n", 1000)
    numbers = [event["number"] for event in everything]
    assert numbers == sorted(set(numbers))

    assert fleet.events("--after", numbers[3], "-n", 2) == everything[4:6]
    assert fleet.events("-n", 2) == everything[-2:]


def test_people_see_a_line_for_each_event(fleet: Fleet) -> None:
    [line] = fleet("events", "--fleet", "--status", "failed", "--on", "pi-2").splitlines()

    assert all(word in line for word in ("pi-2", "workflow.failed", "work", "a bad day"))


def test_top_shows_rates_failures_and_the_busiest_once(fleet: Fleet) -> None:
    out = fleet("fleet", "top", "--once")

    assert "3 agents: 3 up" in out
    assert "9, 0.6/min" in out
    assert "3 failed (33.3%)" in out
    assert out.count("a bad day") == 3
    view = fleet.json("fleet", "top", "site=oslo")
    assert [one["failed"] for one in view["workflows"] if one["workflow"] == "work"] == [1]
    assert [one["info"]["agent"] for one in view["agents"]] == ["pi-2"]


def test_top_goes_on_until_somebody_presses_q(fleet: Fleet) -> None:
    recorder = fleet.agents["rec"]
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, 120))
    top = warm.Warm(
        recorder.line("fleet", "top"), cwd=recorder.folder, env=recorder.environ | {"TERM": "xterm"},
        stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    watchdog = threading.Timer(PATIENCE, top.kill)
    watchdog.start()
    try:
        with suppress(OSError):  # how the end of the other side looks
            seen = os.read(ours, 65536)
            while seen.count(b"3 agents: 3 up") < 2:  # it looks again
                seen += os.read(ours, 65536)
            os.write(ours, b"xq")
            while os.read(ours, 65536):
                pass
        top.wait(PATIENCE)
    finally:
        watchdog.cancel()
        top.kill()
        os.close(ours)
    assert top.returncode == 0


def test_following_goes_on_where_it_was_when_the_server_comes_back(fleet: Fleet) -> None:
    before = fleet.events("-n", 1)[0]["number"]
    follower = fleet.agents["rec"].follow(
        "events", "--fleet", "-f", "--json", "--after", before, "-n", 1000, "--kind", "workflow.started"
    )
    watchdog = threading.Timer(PATIENCE, follower.kill)
    watchdog.start()
    seen = []
    try:
        assert follower.stdout is not None
        for n, id in enumerate(("pi-1", "pi-2", "rec")):
            fleet.agents[id]("trigger", "work", "-d", '{"bad": false}')
            if n == 0:
                seen.append(json.loads(follower.stdout.readline()))
            asyncio.run(fleet.hub.restart())
            until(lambda: not any(agent.command("status").returncode for agent in fleet.agents.values()))
        seen += [json.loads(follower.stdout.readline()) for _ in range(2)]
    finally:
        watchdog.cancel()
        follower.kill()
        follower.communicate()

    numbers = [event["number"] for event in seen]
    assert numbers == sorted(set(numbers))
    recorded = fleet.events("--after", before, "--kind", "workflow.started", "-n", 1000)
    assert seen == recorded
    assert {event["source"].rpartition("/")[2] for event in recorded} == SITES.keys()


def test_a_lost_agent_comes_first_and_can_be_forgotten(fleet: Fleet) -> None:
    assert "stop it first" in fleet("fleet", "forget", "pi-2", code=1)
    assert "known are: pi-1, pi-2, rec" in fleet("fleet", "forget", "pi-9", code=1)

    fleet.agents["pi-2"].end(signal.SIGKILL)
    until(lambda: fleet.json("fleet")["summary"]["states"] != {"up": 3})
    picture = fleet.json("fleet")
    assert [(agent["agent"], agent["state"]) for agent in picture["agents"]] == [
        ("pi-2", "lost"), ("pi-1", "up"), ("rec", "up"),
    ]  # fmt: skip
    assert "3 agents: 2 up, 1 lost" in fleet("fleet")
    assert fleet("fleet", "forget", "pi-2") == "pi-2 is forgotten\n"
    assert [agent["agent"] for agent in fleet.json("fleet")["agents"]] == ["pi-1", "rec"]

    fleet.agents["pi-2"].start()
    until(lambda: len(fleet.json("fleet")["agents"]) == 3)
    for kind in ("agent.lost", "agent.returned"):
        until(lambda kind=kind: bool(fleet.events("--kind", kind)))  # type: ignore[misc]
        [event] = fleet.events("--kind", kind)
        assert event["data"]["agent"] == "pi-2"
        del event["number"]
        check(event, f"events/{kind}.json")


def test_without_a_recorder_there_is_presence_and_a_hint(tmp_path: Path) -> None:
    alone = Running(tmp_path, '[agent]\nid = "alone"\n[mesh]\nlisten = "127.0.0.1:0"\n[fleet]\nheartbeat = "1s"\n')
    try:
        alone.start()
        until(lambda: "alone" in alone.command("fleet").stdout)  # its first beat may be under way
        shown = alone.command("fleet")
        assert "1 agent: 1 up" in shown.stdout
        assert "LAG" not in shown.stdout
        assert "set `[fleet] record = true`" in shown.stderr
        assert "no agent records the fleet's events; to have one, set `[fleet] record = true`" in alone("stats", code=3)
        assert "set `[fleet] record = true`" in alone("fleet", "top", "--once")
    finally:
        alone.end(signal.SIGKILL)


def test_behind_a_hub_the_same_is_seen(tmp_path: Path) -> None:
    hub = Hub(tmp_path / "hub")
    asyncio.run(hub.start())
    agents: list[Running] = []
    try:
        for id, way, record in (
            ("rec", f'mode = "external"\nurl = "{hub.url}"', "true"),
            ("edge", f'listen = "127.0.0.1:0"\nhub = "{hub.leaf_url}"\nhub_domain = "{hub.domain}"', "false"),
        ):
            (tmp_path / id).mkdir()
            text = f'[agent]\nid = "{id}"\n[mesh]\n{way}\n[fleet]\nrecord = {record}\nheartbeat = "1s"\n'
            agents.append(Running(tmp_path / id, text))
            agents[-1].start()
        edge = agents[-1]
        edge.deploy(WORK)
        edge("trigger", "work", "-d", '{"bad": true}', "--wait", code=1)
        until(lambda: bool(edge("events", "--fleet", "--on", "edge", "--status", "failed")))

        assert "2 agents: 2 up; 1 version; recorded by rec" in edge("fleet")
        [work] = json.loads(edge("stats", "-w", "work", "--json"))["windows"]
        assert work["failed"] == 1
    finally:
        for agent in agents:
            agent.end(signal.SIGKILL)
        hub.kill()
