"""A broad run: an agent is made to say nearly everything that agents say, and all of it is taken down."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy

from tests.running import CONFIG, ROOT, Running

BROAD = """\
name: broad
events: {outputs: true}
limits: {nodes: 12}
triggers:
  - nats: {subject: broad.start}
nodes:
  hot: {type: if, condition: trigger.data.celsius > 8}
  cold: {type: log, needs: hot.else, message: cold}
  each: {type: foreach, items: "[1, 2, 3]", as: one, nodes: {double: {type: transform, data: "{{ one * 2 }}"}}}
  odd: {type: foreach, items: "[1]", nodes: {bad: {type: fail, message: no}}, on_error: continue}
  known: {type: transform, data: "{{ trigger.data.celsius }}", cache: {ttl: 1h}}
  nobody: {type: request, subject: nobody.there, retry: {max: 1, delay: 10ms}, default: none}
  rest: {type: sleep, duration: 50ms}
  tell: {type: publish, needs: hot.then, subject: out.alarm, data: "{{ trigger.data }}"}
outputs: {hot: "{{ nodes.hot }}"}
"""
SAYING = """\
name: saying
nodes:
  say: {type: llm, model: tiny, prompt: "fridge-07 temperature 14.2 C, limit 8 C", max_tokens: 60}
"""
PARTIAL = "name: partial\nnodes:\n  a: {type: fail, message: bad, kind: sad, critical: false}\n"
FAILING = """\
name: failing
nodes:
  first: {type: transform, data: 1}
  bad: {type: fail, message: "{{ nodes.first }} is bad"}
"""
ASKING = "name: asking\nnodes:\n  ask: {type: form, title: Really?, assignees: [ann], within: 1h}\n"
WAITING = "name: waiting\nnodes:\n  wait: {type: wait, message: {subject: never}}\n"
DOUBTING = """\
name: doubting
nodes:
  once: {type: request, subject: silent, timeout: 300ms, effect: at_most_once}
"""
NEWEST = "name: newest\nflow: {debounce: {for: 300ms}}\nnodes: {a: {type: transform, data: 1}}\n"
FEW = """\
name: few
triggers:
  - nats: {subject: few}
flow: {concurrency: 1, queue: {max: 1, when_full: %s}}
nodes: {busy: {type: request, subject: silent, timeout: 3s}}
"""
PARSED = "name: parsed\ntriggers:\n  - nats: {subject: parsed%s}\nnodes: {a: {type: transform, data: 1}}\n"
SCRIPT_CONFIG = f'{CONFIG}[models.tiny]\nfile = "{ROOT}/examples/models/triage-tiny-q8_0.gguf"\n'
"""Of the agent that plays it."""
PATIENCE = 20.0


class Exchange:
    """A request to the service, and its answer."""

    def __init__(self, verb: str, request: Any, answer: Any, refused: bool) -> None:
        self.verb, self.request, self.answer, self.refused = verb, request, answer, refused


class Script:
    """Plays everything, and keeps what was on the wire."""

    def __init__(self, agent: Running) -> None:
        self.agent = agent
        self.live: list[Msg] = []
        self.facts: list[Msg] = []
        self.publications: list[Msg] = []
        self.heartbeats: list[Msg] = []
        self.exchanges: list[Exchange] = []
        self._nc: Client
        self._heard = asyncio.Event()
        self._told: list[dict[str, Any]] = []

    async def play(self) -> None:
        """One life of the agent with everything, then the record of all that it said."""
        async with self.agent.client() as nc:
            self._nc = nc
            await nc.subscribe("ganglion.event.>", cb=self._hear)
            await nc.subscribe("ganglion.live.>", cb=self._note(self.live))
            await nc.subscribe("out.>", cb=self._note(self.publications))
            await nc.subscribe("$KV.ganglion_agents.>", cb=self._note(self.heartbeats))
            await nc.subscribe("silent", cb=self._note([]))
            await nc.flush()
            for part in (
                self._executions,
                self._models,
                self._steering,
                self._queues,
                self._dead_letters,
                self._questions,
            ):
                await part()
        self.agent.end()
        self.agent.start()
        async with self.agent.client() as nc:
            await self._read_all(nc)

    # --- what is played

    async def _executions(self) -> None:
        await self._deploy(BROAD)
        for celsius in (11, 3):
            message = json.dumps({"celsius": celsius}).encode()
            await self._nc.jetstream().publish("broad.start", message, headers={"Nats-Msg-Id": f"b{celsius}"})
            await self._ended("broad")
        for text in (PARTIAL, FAILING):
            await self._deploy(text)
        await self._run("partial")
        failed = await self._run("failing")
        await self.ask("retry", execution=failed)
        await self._ended("failing")
        await self.ask("fork", execution=failed, node="bad")
        await self._ended("failing")

    async def _models(self) -> None:
        await self._deploy(SAYING)
        await self._run("saying")

    async def _steering(self) -> None:
        for text in (ASKING, WAITING, DOUBTING):
            await self._deploy(text)
        asking = await self._start("asking")
        opened = await self._wait_for("form.opened", "asking")
        await self.ask("forms")
        await self.ask("submit", form=opened["data"]["form"], values={}, by="ann")
        await self._ended("asking")
        asking = await self._start("asking")
        await self._wait_for("form.opened", "asking", execution=asking)
        await self.ask("cancel", execution=asking, reason="enough")
        await self._ended("asking")
        waiting = await self._start("waiting")
        await self._wait_for("node.waiting", "waiting")
        await self.ask("pause", execution=waiting)
        await self.ask("resume", execution=waiting)
        await self.ask("cancel", execution=waiting, reason="enough")
        await self._ended("waiting")
        doubting = await self._start("doubting")
        await self._wait_for("node.in_doubt", "doubting")
        await self.ask("resolve", execution=doubting, node="once", completed={"body": 1})
        await self._ended("doubting")

    async def _queues(self) -> None:
        await self._deploy(NEWEST)
        await self._start("newest")
        await self._run("newest")
        for way in ("drop_oldest", "drop_newest"):
            await self._deploy(FEW % way)
            for n in range(3):
                await self._nc.jetstream().publish("few", b"%d" % n)
            await self._wait_for("workflow.dropped" if way == "drop_oldest" else "message.dropped", "few")

    async def _dead_letters(self) -> None:
        await self._deploy(PARSED % "")
        await self._nc.jetstream().publish("parsed", b"{ this is not JSON")
        dead = await self._wait_for("message.dead", "parsed")
        number = dead["data"]["deadletter"]
        await self.ask("deadletters")
        await self.ask("deadletter", id=number)
        await self._deploy(PARSED % ", format: text")
        await self.ask("replay", id=number)
        await self._wait_for("message.replayed", "_")
        await self.ask("undeploy", workflow="parsed")
        await self._wait_for("definition.undeployed", "parsed")

    async def _questions(self) -> None:
        for verb in (
            "status", "engine", "workflows", "usage", "log", "models", "fleetagents", "fleetgaps", "fleetstats",
        ):  # fmt: skip
            await self.ask(verb)
        listed = await self.ask("list", limit=100)
        newest = next(one["execution"] for one in listed["executions"] if one["workflow"] == "broad")
        await self.ask("show", execution=newest)
        await self.ask("checkpoints", execution=newest)
        await self.ask("events", limit=10)
        await self.ask("fleetevents", limit=10, kinds=["workflow.*"], count=True)
        await self.ask("setstate", workflow="broad", key="seen", value=[1])
        await self.ask("statekey", workflow="broad", key="seen")
        await self.ask("state", workflow="broad")
        await self.ask("dropstate", workflow="broad", key="seen")
        await self.ask("backup", path=str(self.agent.folder / "copy.db"))
        assert await self.ask("show", execution="nothing", refused=True)
        assert await self.ask("list", colour="red", refused=True)

    # --- how

    async def ask(self, verb: str, *, refused: bool = False, **fields: Any) -> Any:
        """A verb as any NATS client asks it; the answer."""
        reply = await self._nc.request(
            f"ganglion.service.default.edge.{verb}", json.dumps(fields).encode(), timeout=PATIENCE
        )
        answer = json.loads(reply.data)
        assert ("Nats-Service-Error-Code" in (reply.headers or {})) is refused, answer
        self.exchanges.append(Exchange(verb, fields, answer, refused))
        return answer

    async def _deploy(self, text: str) -> None:
        await self.ask("deploy", source=text)

    async def _start(self, workflow: str) -> str:
        return str((await self.ask("start", workflow=workflow, data={"n": 1}))["execution"])

    async def _run(self, workflow: str) -> str:
        id = await self._start(workflow)
        await self._ended(workflow)
        return id

    async def _ended(self, workflow: str) -> None:
        ends = ("workflow.completed", "workflow.failed", "workflow.cancelled")
        await self._until(lambda event: event["type"].removeprefix("ganglion.") in ends, workflow)

    async def _wait_for(self, kind: str, workflow: str, *, execution: str = "") -> dict[str, Any]:
        return await self._until(
            lambda event: event["type"] == f"ganglion.{kind}" and execution in ("", event.get("subject")), workflow
        )

    async def _until(self, wanted: Callable[[dict[str, Any]], bool], workflow: str) -> dict[str, Any]:
        """The first such event that nobody has waited for yet."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for event in self._told:
                    if event["workflow"] == workflow and wanted(event):
                        self._told.remove(event)
                        return event
                self._heard.clear()
                await self._heard.wait()

    async def _hear(self, message: Msg) -> None:
        self._told.append(json.loads(message.data))
        self._heard.set()

    def _note(self, where: list[Msg]) -> Callable[[Msg], Any]:
        async def note(message: Msg) -> None:
            where.append(message)

        return note

    async def _read_all(self, nc: Client) -> None:
        js = nc.jetstream()
        last = (await js.stream_info("GANGLION_EVENTS")).state.messages
        subscription = await js.subscribe(
            "ganglion.event.>", ordered_consumer=True, config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL)
        )
        while len(self.facts) < last:
            self.facts.append(await subscription.next_msg(timeout=PATIENCE))
        await subscription.unsubscribe()
