"""One agent with work, a sink that sees what it does, a publisher that gives it more, and the check of all promises.

Each message starts `siege`, which calls the sink and publishes; what it publishes starts `echo`, which calls the sink.
So every message crosses the intake twice, the relay's second lane once, and leaves three effects.
"""

import asyncio
import shutil
import sqlite3
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.faults.agent import Agent
from tests.faults.publisher import Publisher
from tests.faults.rounds import LEAF, ROUNDS, Rounds
from tests.faults.sink import Effect, Sink

SETTLE_SECONDS = 50.0
"""How long it may take until everything accepted has ended: messages of a killed agent come again after 30 s."""
CALL = "method: POST, url: '{{ params.sink }}', retry: {max: 20, delay: 100ms, max_delay: 1s}"
SIEGE = f"""\
name: siege
params: {{sink: {{type: string}}}}
triggers: [{{nats: {{subject: "siege.*"}}}}]
nodes:
  reading: {{type: transform, data: {{message: "{{{{ trigger.data.message }}}}", key: "{{{{ uuid() }}}}"}}}}
  act: {{type: http, {CALL}, json: {{workflow: siege, node: act, message: "{{{{ nodes.reading.message }}}}",
         execution: "{{{{ execution.id }}}}", key: "{{{{ nodes.reading.key }}}}"}}}}
  also: {{type: http, {CALL}, json: {{workflow: siege, node: also, message: "{{{{ nodes.reading.message }}}}",
         execution: "{{{{ execution.id }}}}"}}}}
  tell: {{type: publish, needs: [act, also], subject: "echo.{{{{ nodes.reading.message }}}}",
         data: {{message: "{{{{ nodes.reading.message }}}}"}}}}
outputs: {{message: "{{{{ nodes.reading.message }}}}"}}
"""
ECHO = f"""\
name: echo
params: {{sink: {{type: string}}}}
triggers: [{{nats: {{subject: "echo.*"}}}}]
nodes:
  act: {{type: http, {CALL}, json: {{workflow: echo, node: act, message: "{{{{ trigger.data.message }}}}",
         execution: "{{{{ execution.id }}}}"}}}}
outputs: {{message: "{{{{ trigger.data.message }}}}"}}
"""
NODES = {"siege": {"reading", "act", "also", "tell"}, "echo": {"act"}}
EFFECTS = (("siege", "act"), ("siege", "also"), ("echo", "act"))
ENDS = {"workflow.completed", "workflow.failed", "workflow.cancelled"}


class Siege:
    """Opened by `Siege.open`."""

    def __init__(self, agent: Agent, sink: Sink, publisher: Publisher) -> None:
        self.agent = agent
        self.sink = sink
        self.publisher = publisher
        self.rounds = Rounds(agent, publisher)
        """Messages that go through every construct; none unless a test publishes some."""
        self.facts: list[dict[str, Any]] = []
        """What the store says has happened, as far as we have read."""
        self.completed: defaultdict[str, Counter[int]] = defaultdict(Counter)
        """Messages whose execution has completed, for each workflow."""
        self._asked: set[int] = set()
        self._sending: list[asyncio.Task[None]] = []

    @classmethod
    @asynccontextmanager
    async def open(
        cls, directory: Path, *, sink_port: int = 0, deployed: Path | None = None, data_dir: Path | None = None
    ) -> AsyncIterator["Siege"]:
        """In this directory; nothing runs yet. `deployed`: another one, where a siege with this sink was prepared."""
        agent = Agent(directory, data_dir)
        agent.settings["GANGLION_OUTBOX__KEEP"] = (
            "1d"  # the store's log is read whole, however long ago it was prepared
        )
        if deployed is not None:
            shutil.copytree(deployed, agent.data_dir, dirs_exist_ok=True)
        sink = Sink()
        server = await sink.serve(sink_port)
        siege = cls(agent, sink, Publisher(agent.url))
        try:
            yield siege
        finally:
            await siege.rounds.close()
            for sending in siege._sending:
                sending.cancel()
            await asyncio.gather(*siege._sending, return_exceptions=True)
            await siege.publisher.client.close()
            await agent.close()
            await sink.end(server)

    async def prepare(self) -> None:
        """Start the agent, deploy all workflows, stop it."""
        assert await self.agent.start()
        for name, text in (("siege", SIEGE), ("echo", ECHO), ("leaf", LEAF), ("rounds", ROUNDS)):
            file = self.agent.directory / f"{name}.yaml"
            file.write_text(text)
            done = await self.agent.command("deploy", str(file), "-p", f"sink={self.sink.url}")
            assert done.code == 0, done.err
        assert await self.agent.stop() == 0

    def publish(self, count: int) -> set[int]:
        """Begin to publish so many new messages, until they are acknowledged, however often the agent dies."""
        messages = set(range(len(self._asked), len(self._asked) + count))
        self._asked |= messages
        self._sending.append(asyncio.create_task(self.publisher.send("siege", messages)))
        return messages

    async def publish_anonymously(self, count: int) -> set[int]:
        """The same without an id, acknowledged when this returns: nobody could tell a repetition from a new message."""
        messages = set(range(len(self._asked), len(self._asked) + count))
        self._asked |= messages
        for message in messages:
            assert await self.publisher.once("siege.anonymous", b'{"message": %d}' % message)
        self.publisher.acked |= messages
        return messages

    async def done(self, messages: Iterable[int] | None = None) -> bool:
        """Wait until these messages, or all, have gone their whole way; False if the agent died before."""
        wanted = set(self._asked if messages is None else messages)
        try:
            async with asyncio.timeout(SETTLE_SECONDS):
                while not (
                    wanted <= self.publisher.acked
                    and wanted <= self.completed["echo"].keys()
                    and (messages is not None or self.rounds.asked <= self.completed["rounds"].keys())
                ):
                    if not self.agent.is_running:
                        return False
                    await self._read_on()
                    await asyncio.sleep(0.02)
        except TimeoutError:
            missing = {name: sorted(wanted - self.completed[name].keys())[:20] for name in ("siege", "echo")}
            missing["rounds"] = sorted(self.rounds.asked - self.completed["rounds"].keys())[:20]
            raise AssertionError(
                f"not done, and not dead: {missing}, unacknowledged {sorted(wanted - self.publisher.acked)[:20]}, "
                f"{await self.agent.waiting()} in streams, {await self.agent.consumers()}, "
                f"{await self.agent.ask('status')}; the agent says:\n{self.agent.said()}"
            ) from None
        return True

    async def check(self) -> None:
        """Let everything end, and hold the agent to all it has promised; it is stopped afterwards."""
        assert await self.done()
        await self.quiet()
        await self._read_on()
        self._check_executions()
        self._check_effects()
        await self._check_published()
        assert await self.agent.stop() == 0, self.agent.said()
        self._check_store()

    # --- what is promised

    def _check_executions(self) -> None:
        ours, theirs = (self.publisher.acked, self._asked), (self.rounds.acked, self.rounds.asked)
        for name, (acked, asked) in {"siege": ours, "echo": ours, "rounds": theirs, "leaf": theirs}.items():
            lost = acked - self.completed[name].keys()
            assert not lost, f"{name}: acknowledged, and lost: {sorted(lost)[:20]}"
            assert self.completed[name].keys() <= asked
        for name, done in self.completed.items():
            twice = {message: count for message, count in done.items() if count > 1}
            assert not twice, f"{name}: messages that were executed more than once: {twice}"
        kinds = Counter(
            (fact["type"], fact["subject"], fact.get("node", "")) for fact in self.facts if fact.get("subject")
        )
        repeated = {key: count for key, count in kinds.items() if count > 1}
        assert not repeated, f"things that happened twice: {dict(list(repeated.items())[:10])}"
        nodes: dict[str, set[str]] = {}
        for fact in self.facts:
            if fact["type"] == "ganglion.node.completed":
                nodes.setdefault(fact["subject"], set()).add(fact["node"])
        for fact in self.facts:
            if fact["type"] == "ganglion.workflow.completed":
                assert nodes[fact["subject"]] == NODES.get(fact["workflow"], nodes[fact["subject"]])
        begun = {fact["subject"] for fact in self.facts if fact["type"] == "ganglion.workflow.started"}
        ended = {fact["subject"] for fact in self.facts if fact["type"].removeprefix("ganglion.") in ENDS}
        assert begun == ended

    def _check_effects(self) -> None:
        for message in self.publisher.acked:
            for workflow, node in EFFECTS:
                effect = Effect(workflow, message, node)
                assert self.sink.calls[effect] >= 1, f"{effect} never happened"
        missing = self.rounds.expected() - self.sink.calls.keys()
        assert not missing, f"never happened: {sorted(missing)[:10]}"
        for effect in self.sink.calls:
            assert len(self.sink.keys[effect]) == 1, f"{effect} came with several keys: {self.sink.keys[effect]}"
            assert len(self.sink.bodies[effect]) == 1, f"{effect} changed: {self.sink.bodies[effect]}"
        keys = [key for keys in self.sink.keys.values() for key in keys]
        assert "" not in keys
        assert len(keys) == len(set(keys)), "two effects share a key"

    async def _check_published(self) -> None:
        """At a reader that dedupes by id, the stream is the store's log: in order, without gaps."""
        published = await self.agent.published_facts()
        once = list({fact["id"]: fact for fact in published}.values())
        assert [int(fact["sequence"]) for fact in once] == list(range(1, len(once) + 1))
        assert [fact["id"] for fact in once[: len(self.facts)]] == [fact["id"] for fact in self.facts]

    def _check_store(self) -> None:
        with sqlite3.connect(self.agent.data_dir / "ganglion.db") as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            open_ = "SELECT COUNT(*) FROM executions WHERE finished_at IS NULL"
            assert db.execute(open_).fetchone() == (0,)
            assert db.execute("SELECT COUNT(*) FROM publications").fetchone() == (0,)
        db.close()

    # --- looking

    async def _read_on(self) -> None:
        """Read what the store's log has got since the last look."""
        while True:
            after = int(self.facts[-1]["sequence"]) if self.facts else 0
            answer = await self.agent.ask("events", after=after, limit=1000)
            if answer is None or not answer["events"]:
                return
            for fact in answer["events"]:
                assert int(fact["sequence"]) == after + 1, f"fact {fact['sequence']} follows {after}"
                after += 1
                self.facts.append(fact)
                if fact["type"] == "ganglion.workflow.completed":
                    self.completed[fact["workflow"]][fact["data"]["outputs"]["message"]] += 1

    async def quiet(self) -> None:
        """Nothing waits anywhere: not in the streams, not in the engine, not in the outbox."""
        status: dict[str, Any] | None = None
        waiting: int | None = None
        try:
            async with asyncio.timeout(SETTLE_SECONDS):
                while True:
                    status, waiting = await self.agent.ask("status"), await self.agent.waiting()
                    if status and waiting == 0 and not status["outbox_depth"] and not any(
                        status["engine"]["executions"].values()
                    ):  # fmt: skip
                        return
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"it does not come to rest: {waiting} in streams, {status}") from None
