"""An agent that records the fleet, as it is from outside: alone here, which is a fleet of one."""

import asyncio
import json
import signal
from collections.abc import Callable
from typing import Any

import pytest

from agent.fleet.recording import Recording
from agent.mesh_wiring import Mesh
from engine.engine import Engine
from engine.events import Identity, Kind
from engine.execution.services import Services
from engine.fleet.event import Gap
from engine.fleet.store import FleetRetention, FleetStore
from engine.store import Store
from mesh.client import ServiceClient
from mesh.connection import Connection
from mesh.credentials import Credentials, read_access
from plugins.registry import Registry
from tests.agent.conftest import Agent

pytestmark = pytest.mark.nats


def asked(agent: Agent, subject: str, request: dict[str, Any]) -> Any:
    """The answer of a verb, or of $SRV, as any NATS client gets it."""

    async def conversation() -> Any:
        access = read_access(agent.data_dir)
        assert access is not None
        async with ServiceClient.open(url=access.url, credentials=access.credentials) as client:
            name = f"ganglion.service.default.{client.agent}.{subject}" if subject.isalpha() else subject
            reply = await client.nc.request(name, json.dumps(request).encode(), timeout=20)
            return json.loads(reply.data)

    return asyncio.run(conversation())


def recorded(agent: Agent, kind: str, count: int) -> list[Any]:
    """So many facts of a kind, once they are recorded."""
    after, found = 0, []
    while len(found) < count:
        page = asked(agent, "fleetevents", {"after": after, "wait": 10, "kinds": [kind]})
        found += [one["event"] for one in page["events"]]
        after = page["next"]
    return found


async def test_facts_that_are_lost_are_told_by_a_fact(tmp_path):
    mesh = Mesh(Connection(["nats://127.0.0.1:1"], credentials=Credentials()), None, None)
    async with Store.open(tmp_path / "ganglion.db") as store, FleetStore.open(tmp_path / "fleet.db") as fleet:
        identity = Identity("watcher", "default", store.epoch)
        engine = Engine(store, types=Registry(()), services=Services(bus=store.bus), identity=identity)
        recording = Recording(fleet, engine, mesh, FleetRetention())
        await recording.report(Gap(agent="pi-1", epoch="e1", first=6, last=8, lost="kept no more"))

        [fact] = await engine.outbox.facts_after(0)
    assert fact.kind is Kind.FLEET_GAP
    assert json.loads(bytes(fact.data)) == {
        "agent": "pi-1", "epoch": "e1", "from": 6, "to": 8, "reason": "kept no more"
    }  # fmt: skip


def test_an_agent_alone_records_itself_through_a_crash(start: Callable[..., Agent], shell, hello, until):
    shell.environ["GANGLION_FLEET__RECORD"] = "true"
    shell.environ["GANGLION_FLEET__HEARTBEAT"] = "1s"
    agent = start()
    assert agent("deploy", hello).code == 0
    for _ in range(3):
        assert agent("trigger", "hello", "-d", '{"name": "a", "celsius": 1}', "--wait").code == 0
    assert len(recorded(agent, "workflow.completed", 3)) == 3

    agent.end(signal.SIGKILL)
    agent = start()
    for _ in range(2):
        assert agent("trigger", "hello", "-d", '{"name": "a", "celsius": 1}', "--wait").code == 0
    ends = recorded(agent, "workflow.completed", 5)
    assert len({end["id"] for end in ends}) == 5

    def up_to_date() -> Any:
        [info] = asked(agent, "fleetagents", {})["agents"]
        return info if info["state"] == "up" and info["records"] and info["lag"] == 0 else None

    info = until(up_to_date)
    assert info["workflows"] == {"hello": 1}
    assert (info["missing"], info["lost"], info["conflicts"]) == (0, 0, 0)
    numbers = [int(one["event"]["sequence"]) for one in asked(agent, "fleetevents", {"limit": 1000})["events"]]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    [window] = asked(agent, "fleetstats", {"workflows": ["hello"], "by_window": False})["windows"]
    assert (window["started"], window["completed"], window["failed"]) == (5, 5, 0)

    status = agent("status", "--json").json
    assert status["fleet"]["agents"] == 1
    assert status["fleet"]["recorded"] >= len(numbers)
    assert "facts of 1 agent recorded" in agent("status").out
    assert asked(agent, "$SRV.INFO.ganglion", {})["metadata"]["recorder"] == "true"
    assert agent.end() == 0
    made = shell("backup", "copy.db", "--data-dir", agent.data_dir)
    assert "not in it" in made.err + made.out

    # A damaged file does not keep the agent from its work: what the stream still holds is recorded again.
    (agent.data_dir / "fleet.db").write_bytes(b"this is no database" * 1000)
    agent = start()
    assert len(recorded(agent, "workflow.completed", 5)) == 5
    assert "recording begins anew" in agent.said()


def test_an_agent_that_does_not_record_says_so(start: Callable[..., Agent]):
    agent = start()

    for verb in ("fleetevents", "fleetstats", "fleetagents", "fleetgaps"):
        refused = asked(agent, verb, {})
        assert refused["code"] == 409
        assert "nobody is known who does; [fleet] record = true" in refused["message"]
    assert asked(agent, "$SRV.INFO.ganglion", {})["metadata"]["recorder"] == "false"
