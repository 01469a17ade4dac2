"""Where agents and servers stand: alone, as leaves of a hub, together on one server. Real processes, real servers."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from nats.errors import NoRespondersError
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from mesh.credentials import read_access
from mesh.nats_client import AnySubjectClient
from tests.hub import Hub, running_hub

pytestmark = pytest.mark.nats

SECONDS = 60.0
COUNT = """\
name: count
triggers: [{nats: {subject: "sensors.>"}}]
nodes: {seen: {type: transform, data: "{{ trigger.data }}"}}
"""
ORDER = """\
name: order
triggers: [{nats: {subject: "orders.>", stream: ORDERS, at: hub}}]
nodes: {seen: {type: transform, data: "{{ trigger.data }}"}}
"""
EXAMPLES = Path(__file__).parents[2] / "examples"
SHARED, HEARD = [(EXAMPLES / f"{name}.yaml").read_text() for name in ("share-the-work", "everybody-hears")]
IN_LINE = """\
name: in-line
triggers: [{nats: {subject: "line.>"}}]
flow: {key: "1", queue: {max: 1}}
nodes:
  go: {type: wait, message: {subject: "go.on"}}
"""


Up = Callable[..., Awaitable[Any]]


@pytest.fixture
def up(tmp_path: Path, start: Callable[..., Any]) -> Up:
    """`await up(name, config, *workflows)`: the agent of this name, once it is ready; another time on the same data,
    perhaps with another configuration."""

    async def started(name: str, config: str, *workflows: str) -> Any:
        home = tmp_path / name
        (home / "flows").mkdir(parents=True, exist_ok=True)
        for text in workflows:
            [workflow] = re.findall(r"(?m)^name: (\S+)$", text)
            (home / "flows" / f"{workflow}.yaml").write_text(text)
        (home / "config.toml").write_text(f'[engine]\nworkflows_dir = "flows"\n[agent]\nid = "{name}"\n{config}')
        return await asyncio.to_thread(start, "--config", home / "config.toml", home=home)

    return started


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with running_hub(tmp_path / "hub") as hub:
        yield hub


@asynccontextmanager
async def client_of(agent: Any) -> AsyncIterator[Client]:
    """A client at an agent's own server that may look at its streams."""
    access = read_access(agent.data_dir)
    assert access is not None
    client = AnySubjectClient()
    await client.connect(access.url, user=access.credentials.user, password=access.credentials.password)
    try:
        yield client
    finally:
        await client.close()


async def executions(client: Client, *agents: str) -> "Counter[tuple[str, str, str]]":
    """How many there are, by (agent, workflow, status); asked over NATS."""
    counted: Counter[tuple[str, str, str]] = Counter()
    for agent in agents:
        answer = await client.request(f"ganglion.service.default.{agent}.list", b'{"limit": 500}', timeout=20)
        assert "Nats-Service-Error" not in (answer.headers or {}), answer.headers
        for info in json.loads(answer.data)["executions"]:
            counted[agent, info["workflow"], info["status"]] += 1
    return counted


async def until_ended(client: Client, *agents: str, count: int) -> "Counter[tuple[str, str, str]]":
    """The executions, once so many have completed."""
    async with asyncio.timeout(SECONDS):
        while True:
            try:
                counted = await executions(client, *agents)
            except NoRespondersError:  # an agent is ready before its hub has heard of it
                await asyncio.sleep(0.05)
                continue
            if sum(number for (_, _, status), number in counted.items() if status == "completed") >= count:
                return counted


async def stored(js: JetStreamContext) -> "Counter[str]":
    """How many messages each stream of users' messages has ever stored."""
    counted: Counter[str] = Counter()
    for info in await js.streams_info():
        if info.config.name not in ("GANGLION_EVENTS", "KV_ganglion_agents"):
            counted[info.config.name or ""] += info.state.last_seq
    return counted


async def consumers(client: Client, stream: str) -> int:
    """Of a stream that may not be there yet: an agent is ready before its hub has answered."""
    try:
        return len(await client.jetstream().consumers_info(stream))
    except NotFoundError:
        return 0


async def until_quiet(js: JetStreamContext) -> None:
    """Until nothing waits for a consumer, or for its acknowledgement."""
    async with asyncio.timeout(SECONDS):
        for stream in [info.config.name for info in await js.streams_info()]:
            while stream and any(one.num_pending or one.num_ack_pending for one in await js.consumers_info(stream)):
                pass


async def publish(client: Client, *messages: str) -> None:
    """Each a subject; acknowledged by the stream that stored it."""
    for number, subject in enumerate(messages):
        await client.jetstream().publish(subject, json.dumps({"number": number}).encode())


def leaf(hub: Hub, *, share: str = "[]") -> str:
    return f'[mesh]\nhub = "{hub.leaf_url}"\nshare = {share}\n'


async def test_at_a_hub_and_its_leaves_each_message_is_stored_once_and_runs_once(up: Up, hub: Hub) -> None:
    async with hub.client() as far:
        await far.jetstream().add_stream(name="ORDERS", subjects=["orders.>"])
        config = leaf(hub, share='["orders.>"]')
        north, south = [await up(name, config, COUNT, ORDER) for name in ("north", "south")]
        async with client_of(north) as at_north, client_of(south) as at_south:
            servers = [far.jetstream(), at_north.jetstream(), at_south.jetstream()]
            async with asyncio.timeout(SECONDS):
                while await consumers(far, "GANGLION_TRIGGERS") < 4:
                    pass
                while not await consumers(far, "ORDERS"):
                    pass
            await publish(
                far, "ganglion.trigger.default.any.count", "ganglion.trigger.default.north.count", "orders.far"
            )
            await publish(at_north, "ganglion.trigger.default.any.count", "sensors.a")
            await at_south.publish("orders.near", b'{"number": 9}')  # kept at the hub: nobody here acknowledges it
            ended = await until_ended(far, "north", "south", count=6)
            for server in servers:
                await until_quiet(server)
            assert await executions(far, "north", "south") == ended, "and no more than these"
            counted = [await stored(server) for server in servers]
    by_workflow: Counter[str] = Counter()
    for (_, workflow, status), number in ended.items():
        assert status == "completed"
        by_workflow[workflow] += number
    assert by_workflow == {"count": 4, "order": 2}
    assert ended["north", "count", "completed"] in (3, 4), "its own, those of its server, and perhaps anyone's"
    assert [+one for one in counted] == [
        {"GANGLION_TRIGGERS": 2, "ORDERS": 2}, {"GANGLION_TRIGGERS": 1, "GANGLION_INTAKE": 1}, {},
    ]  # fmt: skip


async def test_what_is_for_an_agent_that_is_cut_off_waits_at_the_hub(up: Up, hub: Hub) -> None:
    north = await up("north", leaf(hub), COUNT)
    async with hub.client() as far:
        async with asyncio.timeout(SECONDS):
            while await consumers(far, "GANGLION_TRIGGERS") < 2:
                pass
        assert north.end() == 0
        await publish(far, "ganglion.trigger.default.north.count", "ganglion.trigger.default.any.count")
        await up("north", leaf(hub))
        await until_ended(far, "north", count=2)


async def test_going_from_alone_to_a_hub_loses_nothing(up: Up, hub: Hub) -> None:
    alone = await up("north", "", COUNT, IN_LINE)
    async with client_of(alone) as device:
        await publish(device, *["line.a"] * 6, "sensors.a")
        await until_ended(device, "north", count=1)
        await publish(device, *["go.on"] * 2)
        await until_ended(device, "north", count=3)
        async with asyncio.timeout(SECONDS):
            here = {("north", "in-line", "waiting"), ("north", "in-line", "queued")}
            while not here <= {*await executions(device, "north")}:
                pass
        left = (await device.jetstream().stream_info("GANGLION_INTAKE")).state.messages
        facts = (await device.jetstream().stream_info("GANGLION_EVENTS")).state.last_seq
    assert left >= 1, "messages wait in the stream"
    assert alone.end() == 0

    led = await up("north", leaf(hub))
    async with client_of(led) as device, hub.client() as far:
        await publish(device, *["go.on"] * 4)
        ended = await until_ended(device, "north", count=7)
        assert ended == {("north", "in-line", "completed"): 6, ("north", "count", "completed"): 1}
        assert (await device.jetstream().stream_info("GANGLION_INTAKE")).state.messages == 0
        numbers = await facts_at(far, kinds_until=("workflow.completed", 7))
        assert sorted(numbers) == list(range(1, len(numbers) + 1)), "all since the first, each once"
        assert len(numbers) > facts


async def facts_at(client: Client, *, kinds_until: tuple[str, int]) -> list[int]:
    """Numbers of the facts in a server's stream, up to the last of so many of a kind."""
    kind, count = kinds_until
    numbers: list[int] = []
    async with asyncio.timeout(SECONDS):
        while not (await client.jetstream().streams_info()):
            pass
        events = await client.jetstream().subscribe("ganglion.event.>", ordered_consumer=True)
        while count:
            fact = json.loads((await events.next_msg(SECONDS)).data)
            numbers.append(int(fact["sequence"]))
            count -= fact["type"] == f"ganglion.{kind}"
    return numbers


async def test_agents_on_one_server_share_messages_or_get_them_all(up: Up, hub: Hub) -> None:
    config = f'[mesh]\nmode = "external"\nurl = "{hub.url}"\n'
    names = ("a", "b", "c")
    async with hub.client() as client:
        js = client.jetstream()
        for stream in ("ORDERS", "PRICES"):
            await js.add_stream(name=stream, subjects=[f"{stream.lower()}.>"])
        for name in names:
            await up(name, config, SHARED, HEARD)
        async with asyncio.timeout(SECONDS):
            while len(await js.consumers_info("ORDERS")) < 1 or len(await js.consumers_info("PRICES")) < 3:
                pass
        for number in range(30):
            await js.publish("orders.a", json.dumps({"order": number}).encode())
            await js.publish("prices.a", json.dumps({"item": f"i{number}", "price": 1}).encode())
        ended = await until_ended(client, *names, count=120)
        await until_quiet(js)
        assert await executions(client, *names) == ended
        assert [ended[name, "everybody-hears", "completed"] for name in names] == [30, 30, 30]
        assert sum(ended[name, "share-the-work", "completed"] for name in names) == 30
        for workflow in ("everybody-hears", "share-the-work"):
            undeploy = json.dumps({"workflow": workflow}).encode()
            await client.request("ganglion.service.default.a.undeploy", undeploy, timeout=20)
        async with asyncio.timeout(SECONDS):
            while len(found := [one.name for one in await js.consumers_info("PRICES")]) > 2:
                pass
        assert sorted(found) == [f"ganglion_default_everybody-hears_all_{name}" for name in ("b", "c")]
        assert len(await js.consumers_info("ORDERS")) == 1, "it is the others' too"
        await js.publish("prices.a", b'{"item": "after", "price": 2}')
        await js.publish("orders.a", b'{"order": 99}')
        ended = await until_ended(client, *names, count=123)
        assert ended["a", "everybody-hears", "completed"] == 30


async def test_a_stream_of_a_hub_is_refused_where_there_is_none(up: Up) -> None:
    """At a deploy; at the start it is said, and everything else works."""
    alone = await up("north", "", COUNT, ORDER)
    assert "the workflow order takes from the stream ORDERS of the hub (at: hub)" in alone.said()
    async with client_of(alone) as device:
        await publish(device, "sensors.a")
        await until_ended(device, "north", count=1)
        for source, code in ((HEARD, "409"), (COUNT.replace("count", "more"), None)):
            deploy = json.dumps({"source": source, "filename": "w.yaml", "params": {}}).encode()
            answer = await device.request("ganglion.service.default.north.deploy", deploy, timeout=20)
            assert (answer.headers or {}).get("Nats-Service-Error-Code") == code, answer.data
            if code:
                assert "this agent leads to none: set [mesh] hub, or take from a stream here" in answer.data.decode()
