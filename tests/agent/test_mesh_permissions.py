"""A mesh of real agents at one server, under exactly the rights that `ganglion mesh permissions` prints."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from agent.mesh_rights import member_of, needs_of
from mesh.credentials import Credentials
from mesh.jetstream import ApiError, Success, ask
from mesh.nats_client import AnySubjectClient, NotAllowed, connect, retire
from mesh.permissions import Rights, Stream, agent_rights, inbox_of, operator_rights
from mesh.presence.bucket import ensure_bucket
from mesh.server.binary import find_server
from mesh.streams import Limits, ensure_events, ensure_triggers
from tests.guarded_hub import GuardedHub, guarded_hub

pytestmark = pytest.mark.nats
ORDERS = """\
name: orders
triggers:
  - nats: {subject: "orders.*", stream: ORDERS}
  - nats: {subject: "pings.*", capture: core}
nodes:
  tell: {type: publish, subject: "told.{{ trigger.data.name }}", data: "{{ trigger.data }}"}
  ask: {type: request, needs: tell, subject: answers.now, data: {}, timeout: 5s}
outputs: {answer: "{{ nodes.ask }}"}
"""
USERS = {"a1": "red", "a2": "red", "b1": "blue"}
"""Agent -> tenant. a2 records."""


class Site:
    """A server with a user for each agent, for a person and for the test, and their configurations."""

    def __init__(self, hub: GuardedHub, shell: Any) -> None:
        self.hub = hub
        self.shell = shell
        self.clients: list[AnySubjectClient] = []
        self.refusals: list[str] = []
        """What the server said to clients of the test."""

    def config(self, user: str, tenant: str, more: str = "") -> Path:
        text = (
            f'[agent]\ntenant = "{tenant}"\n'
            f'id = "{user}"\n'
            f'[mesh]\nmode = "external"\nurl = "{self.hub.url}"\n'
            f'[mesh.credentials]\nuser = "{user}"\npassword = "{user}"\n{more}'
        )
        path: Path = self.shell.write(f"{user}.toml", text)
        return path

    def ann(self, *arguments: object) -> Any:
        """A command of a person."""
        return self.shell(*arguments, "--config", self.shell.directory / "ann.toml")

    async def client(self, user: str, inbox: str = "") -> AnySubjectClient:
        client = AnySubjectClient()
        self.clients.append(client)

        async def note(error: Exception) -> None:
            self.refusals.append(str(error))

        who = Credentials(user=user, password=user)
        await connect(client, [self.hub.url], who, None, name=user, on_error=note, inbox=inbox)
        return client

    async def refusal(self, client: AnySubjectClient, text: str) -> None:
        """Until the server has refused this; it may say so a moment after the next answer."""
        async with asyncio.timeout(5):
            while not any(text in said for said in self.refusals):
                await client.flush()

    def violations(self) -> list[str]:
        return [line for line in self.hub.log.splitlines() if "Violation" in line]


def allowed(rights: Rights) -> dict[str, Any]:
    """The same as the server's configuration has it."""
    return {
        "publish": {"allow": [right.subject for right in rights.publish]},
        "subscribe": {"allow": [right.subject for right in rights.subscribe]},
        **({"allow_responses": True} if rights.responses else {}),
    }


@pytest.fixture
async def site(shell: Any, tmp_path: Path) -> AsyncIterator[Site]:
    orders = shell.write("orders.yaml", ORDERS)
    users: list[dict[str, Any]] = [{"user": "test", "password": "test"}]
    for user, tenant in USERS.items():
        needs = needs_of([orders], tenant=tenant, agent=user, hub=False, params={})
        streams = (*needs.streams, Stream("TOLD"))
        member = member_of(needs, tenant=tenant, agent=user, streams=streams, fleet=user == "a2")
        users.append({"user": user, "password": user, "permissions": allowed(agent_rights(member))})
    users.append({"user": "ann", "password": "ann", "permissions": allowed(operator_rights("red"))})
    auth = f"accounts {{ FLEET {{ jetstream: enabled, users: {json.dumps(users)} }}, SYS {{}} }}\nsystem_account: SYS"
    async with guarded_hub(tmp_path / "hub", auth) as hub:
        site = Site(hub, shell)
        site.config("ann", "red")
        ann = await site.client("ann")
        for tenant in ("red", "blue"):
            await ensure_triggers(ann, tenant, Limits())
        await ensure_events(ann, Limits())
        await ensure_bucket(ann)
        client = await site.client("test")
        js = client.jetstream()
        await js.add_stream(name="ORDERS", subjects=["orders.*"])
        await js.add_stream(name="TOLD", subjects=["told.*"])

        async def answer(message: Any) -> None:
            await message.respond(b'{"ok": true}')

        await client.subscribe("answers.now", cb=answer)
        await client.flush()
        yield site
        for one in site.clients:
            await retire(one)


async def test_a_mesh_works_under_exactly_these_rights(site: Site, start: Callable[..., Any], until: Any) -> None:
    def work() -> None:
        looked = site.ann("mesh", "streams", "--tenant", "red", "--tenant", "blue")
        assert looked.code == 0, (looked.out, looked.err)
        agents = {}
        for user, tenant in USERS.items():
            config = site.config(user, tenant, "[fleet]\nrecord = true\n" if user == "a2" else "")
            agents[user] = start("--config", config, data_dir=user)
        for user in ("a1", "a2"):
            deployed = site.ann("deploy", site.shell.directory / "orders.yaml", "--agent", user)
            assert deployed.code == 0, deployed.err
        assert site.ann("trigger", "orders", "--agent", "a1", "-d", '{"name": "x"}').code == 0
        for user in ("a1", "a2"):
            assert site.ann("status", "--agent", user).code == 0
        seen = site.ann("status", "--fleet", "*", "--json")
        assert seen.code == 0, (seen.err, site.violations())

    async def publish() -> None:
        client = await site.client("test")
        for number in range(4):
            body = json.dumps({"name": f"n{number}"}).encode()
            await client.request(f"orders.{number}", body, timeout=5)
            await client.request("ganglion.trigger.red.any.orders", body, timeout=5)
            await client.request("ganglion.trigger.red.a2.orders", body, timeout=5)
            await client.publish(f"pings.{number}", body)
        await client.flush()

    await asyncio.to_thread(work)
    await publish()

    def done() -> list[Any] | None:
        found = [
            one for user in ("a1", "a2") for one in site.ann("ps", "-a", "--agent", user, "--json").json["executions"]
        ]
        return found if len(found) >= 17 and all(one["status"] == "completed" for one in found) else None

    executions = await asyncio.to_thread(until, done)
    assert len(executions) == 17
    client = await site.client("test")
    info = await client.jetstream().stream_info("GANGLION_EVENTS", subjects_filter="ganglion.event.red.>")
    assert {subject.split(".")[3] for subject in info.state.subjects} == {"a1", "a2"}
    beats = await client.jetstream().stream_info("KV_ganglion_agents", subjects_filter=">")
    assert {subject.split(".", 2)[2] for subject in beats.state.subjects} == {"red.a1", "red.a2", "blue.b1"}
    consumers = {one.name for one in await client.jetstream().consumers_info("GANGLION_EVENTS")}
    assert "recorder_red_a2" in consumers
    assert site.violations() == []


FORBIDDEN = [
    "ganglion.event.red.a2.orders.workflow.completed",
    "ganglion.event.blue.b1.orders.workflow.completed",
    "ganglion.live.red.a2.orders.node.started",
    "ganglion.service.red.a2.deploy",
    "ganglion.service.blue.b1.status",
    "ganglion.trigger.blue.any.orders",
    "$KV.ganglion_agents.red.a2",
    "$KV.ganglion_agents.blue.b1",
    "$JS.API.STREAM.DELETE.GANGLION_EVENTS",
    "$JS.API.STREAM.PURGE.GANGLION_TRIGGERS",
    "$JS.API.STREAM.UPDATE.GANGLION_TRIGGERS",
    "$JS.API.STREAM.CREATE.MINE",
    "$JS.API.STREAM.SNAPSHOT.GANGLION_EVENTS",
    "$JS.API.STREAM.MSG.GET.GANGLION_EVENTS",
    "$JS.API.STREAM.MSG.DELETE.GANGLION_EVENTS",
    "$JS.API.DIRECT.GET.GANGLION_EVENTS",
    "$JS.API.DIRECT.GET.GANGLION_EVENTS.ganglion.event.blue.b1.>",
    "$JS.API.DIRECT.GET.KV_ganglion_agents",
    "$JS.API.DIRECT.GET.KV_ganglion_agents.$KV.ganglion_agents.red.a2",
    "$JS.API.CONSUMER.CREATE.GANGLION_EVENTS",
    "$JS.API.CONSUMER.CREATE.GANGLION_EVENTS.mine.ganglion.event.>",
    "$JS.API.CONSUMER.CREATE.GANGLION_TRIGGERS.red_a1",
    "$JS.API.CONSUMER.CREATE.GANGLION_TRIGGERS.red_a1.ganglion.trigger.blue.>",
    "$JS.API.CONSUMER.CREATE.GANGLION_TRIGGERS.blue_b1.ganglion.trigger.blue.b1.>",
    "$JS.API.CONSUMER.CREATE.GANGLION_TRIGGERS.blue_any_orders.ganglion.trigger.red.any.orders",
    "$JS.API.CONSUMER.DURABLE.CREATE.GANGLION_TRIGGERS.red_a1",
    "$JS.API.CONSUMER.DELETE.GANGLION_TRIGGERS.red_any_orders",
    "$JS.API.CONSUMER.DELETE.GANGLION_TRIGGERS.red_a2",
    "$JS.API.CONSUMER.DELETE.GANGLION_EVENTS.recorder_red_a2",
    "$JS.API.CONSUMER.MSG.NEXT.GANGLION_TRIGGERS.red_a2",
    "$JS.API.CONSUMER.MSG.NEXT.GANGLION_TRIGGERS.blue_any_orders",
    "$JS.API.CONSUMER.PAUSE.GANGLION_TRIGGERS.red_a1",
    "$JS.ACK.GANGLION_TRIGGERS.blue_any_orders.1.1.1.1.1",
    "$JS.ACK.GANGLION_TRIGGERS.red_a2.1.1.1.1.1",
    "$SYS.REQ.SERVER.PING",
    "_INBOX.somebody.else",
    "_INBOX.red.a2.x.y",
]


async def test_what_is_not_an_agents_own_is_refused(site: Site) -> None:
    client = await site.client("a1", inbox=inbox_of("red", "a1"))
    for subject in FORBIDDEN:
        with pytest.raises(NotAllowed):
            await client.question(subject, b"{}", seconds=5)
    for subject in (
        "_INBOX.>", "_INBOX.*", "_INBOX.red.a2.>", "_INBOX.blue.b1.>", ">", "ganglion.>",
        "ganglion.service.red.a2.status", "ganglion.trigger.red.>", "ganglion.event.>", "$JS.EVENT.>", "$KV.>",
    ):  # fmt: skip
        await client.subscribe(subject)
        await site.refusal(client, f'subscription to "{subject.lower()}"')


async def test_a_filter_in_the_body_can_not_reach_further_than_the_one_in_the_subject(site: Site) -> None:
    client = await site.client("a1", inbox=inbox_of("red", "a1"))
    crossing = {"durable_name": "red_a1", "name": "red_a1", "ack_policy": "explicit"}
    for body in ({"filter_subject": "ganglion.trigger.blue.>"}, {"filter_subjects": ["ganglion.trigger.blue.>"]}, {}):
        with pytest.raises(ApiError):
            await ask(
                client, "CONSUMER.CREATE.GANGLION_TRIGGERS.red_a1.ganglion.trigger.red.a1.>", Success,
                {"stream_name": "GANGLION_TRIGGERS", "config": {**crossing, **body}},
            )  # fmt: skip


async def test_an_agent_can_not_read_what_another_one_is_answered(site: Site) -> None:
    """It may be asked, and answer that alone, once."""
    asked, asking = await site.client("a1", inbox=inbox_of("red", "a1")), await site.client("ann")

    async def answer(message: Any) -> None:
        await message.respond(b"yes")
        await asked.publish("_INBOX.somebody.else", b"forged")

    await asked.subscribe("ganglion.service.red.a1.status", cb=answer)
    await asked.flush()
    assert (await asking.request("ganglion.service.red.a1.status", b"", timeout=5)).data == b"yes"
    await site.refusal(asked, 'publish to "_inbox.somebody.else"')


def test_the_lists_can_be_pasted_as_they_are(shell: Any) -> None:
    said = shell("mesh", "permissions", "--agent", "a1", "--recorder", "--publish", "alarms.>").out
    assert '"ganglion.event.default.a1.>"' in said
    assert "# its facts" in said
    assert '"alarms.>"' in said
    shell.write(
        "server.conf", f"listen: 127.0.0.1:-1\njetstream: enabled\naccounts {{ A {{ users: [\n{said}\n] }} }}\n"
    )
    command = [str(find_server()), "-t", "-c", str(shell.directory / "server.conf")]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_what_an_agent_shares_with_its_hub_crosses_the_leaf_link(shell: Any) -> None:
    config = shell.write("edge.toml", '[mesh]\nhub = "nats-leaf://x:7422"\nhub_domain = "far"\nshare = ["orders.>"]\n')
    said = shell("mesh", "permissions", "--agent", "a1", "--config", config).out
    assert '"orders.>"' in said
    assert '"$JS.far.API.STREAM.INFO.GANGLION_EVENTS"' in said
    assert '"$JS.API' not in said
    assert "allow_responses" not in said
