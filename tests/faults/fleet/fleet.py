"""A fleet under fire: a hub, agents behind leaf links that can be cut, a recorder, and an oracle outside.

The oracle is what the test itself asked for: each message makes one execution on the edge it was sent to, so there is
exactly one `workflow.completed` of it at the recorder, under numbers without a gap.
"""

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from tests.faults.agent import Agent
from tests.faults.client import LOST
from tests.faults.fleet.cable import Cable, laid
from tests.faults.patience import until
from tests.hub import Hub, running_hub

SETTLE_SECONDS = 60.0
HEARTBEAT = "1s"
WORK = """\
name: work
triggers: [{nats: {subject: "work.*"}}]
nodes:
  step: {type: transform, data: "{{ trigger.data.message }}"}
outputs: {message: "{{ nodes.step }}"}
"""


class Fleet:
    """Opened by `Fleet.open`; agents named `edge1` … and `recorder`, which is behind the hub as well."""

    def __init__(self, hub: Hub, edges: list[Agent], recorder: Agent, cables: list[Cable]) -> None:
        self.hub = hub
        self.edges = edges
        self.recorder = recorder
        self.cables = cables
        """To the hub, one for each edge."""
        self._asked: set[int] = set()
        self._sending: list[asyncio.Task[None]] = []

    @classmethod
    @asynccontextmanager
    async def open(cls, directory: Path, *, edges: int = 2) -> AsyncIterator["Fleet"]:
        """Everything runs, and every edge has the workflow."""
        async with AsyncExitStack() as stack:
            hub = await stack.enter_async_context(running_hub(directory / "hub"))
            cables = [await stack.enter_async_context(laid(hub.leafs)) for _ in range(edges)]
            recorder = _agent(directory, "recorder", hub.leaf_url)
            recorder.settings["GANGLION_FLEET__RECORD"] = "true"
            agents = [
                _agent(directory, f"edge{number}", hub.leaf_url.replace(hub.leafs, f"127.0.0.1:{cable.port}"))
                for number, cable in enumerate(cables, 1)
            ]
            for agent in (recorder, *agents):
                stack.push_async_callback(agent.close)
            fleet = cls(hub, agents, recorder, cables)
            stack.push_async_callback(fleet._stop_sending)
            await asyncio.gather(*(agent.start() for agent in (recorder, *agents)))
            for agent in agents:
                file = agent.directory / "work.yaml"
                file.write_text(WORK)
                done = await agent.command("deploy", str(file))
                assert done.code == 0, done.err
            yield fleet

    def publish(self, count: int) -> None:
        """Begin to publish so many new messages, in turn at all edges, until each is acknowledged."""
        messages = range(len(self._asked), len(self._asked) + count)
        self._asked |= set(messages)
        for number, agent in enumerate(self.edges):
            mine = [message for message in messages if message % len(self.edges) == number]
            self._sending.append(asyncio.create_task(_send(agent, mine)))

    async def recorded(self) -> int:
        """Facts that the recorder has now."""
        return await asyncio.to_thread(self._count)

    async def has_recorded(self, more: int) -> None:
        """Wait until it has so many more than now."""
        wanted = await self.recorded() + more

        async def look() -> bool:
            return await self.recorded() >= wanted

        await until(look, seconds=SETTLE_SECONDS)

    async def check(self, *, restarted: bool = False) -> None:
        """All that was asked for arrives at the recorder, once, and nothing is missing in between."""
        await asyncio.wait_for(asyncio.gather(*self._sending), SETTLE_SECONDS)

        async def whole() -> bool:
            done, _ = await asyncio.to_thread(self._seen)
            return done.keys() >= self._asked

        try:
            await until(whole, seconds=SETTLE_SECONDS)
        except TimeoutError:
            done, missing = await asyncio.to_thread(self._seen)
            lost = sorted(self._asked - done.keys())
            raise AssertionError(
                f"{len(lost)} never came: {lost[:10]}, numbers missing: {missing}; {await self.report()}"
            ) from None
        done, missing = await asyncio.to_thread(self._seen)
        assert not missing, f"gaps in what was recorded: {missing}"
        assert done.keys() == self._asked
        assert set(done.values()) == {1}, "recorded twice"
        for agent in (*self.edges, self.recorder):
            assert agent.is_running, agent.said()
            assert agent.starts == 1 or restarted

    async def in_the_hubs_stream(self) -> list[str]:
        """`agent/seq` of every fact in the hub's stream, in its order."""
        ids = [json.loads(body)["id"].split("/") for _, body in await self.hub_messages()]
        return [f"{agent}/{seq}" for agent, _, seq in ids]

    async def hub_messages(self) -> list[tuple[str, bytes]]:
        """Subject and body of every fact in the hub's stream, in its order."""
        async with self.hub.client() as client:
            stream = client.jetstream()
            count = (await stream.stream_info("GANGLION_EVENTS")).state.messages
            reader = await stream.subscribe("ganglion.event.>", ordered_consumer=True)
            messages = [await reader.next_msg(5) for _ in range(count)]
        return [(message.subject, message.data) for message in messages]

    async def report(self) -> str:
        """What everybody says, for a message."""
        outbox = [(await agent.ask("status") or {}).get("outbox_depth") for agent in self.edges]
        logs = "\n".join(f"--- {agent.id}\n{agent.said()}" for agent in (self.recorder, *self.edges))
        return f"waiting in outboxes: {outbox}\n{logs}"

    def _count(self) -> int:
        with _reading(self.recorder) as db:
            (count,) = db.execute("SELECT COUNT(*) FROM events").fetchone()
        db.close()
        return int(count)

    def _seen(self) -> tuple[Counter[int], dict[str, list[int]]]:
        """Messages by completed facts of them, and what is missing between the first and last number of each edge."""
        done: Counter[int] = Counter()
        numbers: dict[str, set[int]] = {}
        for agent, epoch, seq, kind, workflow, data in recorded_events(self.recorder):
            if agent == self.recorder.id:
                continue
            numbers.setdefault(f"{agent}/{epoch}", set()).add(seq)
            if kind == "workflow.completed" and workflow == "work":
                done[json.loads(data)["outputs"]["message"]] += 1
        gaps = {who: sorted(set(range(1, max(seqs) + 1)) - seqs)[:10] for who, seqs in numbers.items()}
        return done, {who: missing for who, missing in gaps.items() if missing}

    async def _stop_sending(self) -> None:
        for sending in self._sending:
            sending.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)


def _agent(directory: Path, name: str, hub: str) -> Agent:
    own = directory / name
    own.mkdir()
    agent = Agent(own, id=name)
    agent.settings |= {"GANGLION_MESH__HUB": hub, "GANGLION_FLEET__HEARTBEAT": HEARTBEAT}
    return agent


async def _send(agent: Agent, messages: Iterable[int]) -> None:
    for message in messages:
        while True:
            try:
                client = await agent.client.connected()
                await client.jetstream(timeout=2).publish(
                    f"work.{agent.id}", b'{"message": %d}' % message, headers={"Nats-Msg-Id": str(message)}
                )
            except LOST:
                await asyncio.sleep(0.05)
            else:
                break


def _reading(agent: Agent) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{agent.data_dir / 'fleet.db'}?mode=ro", uri=True)


def recorded_events(agent: Agent) -> list[tuple[Any, ...]]:
    """(agent, epoch, seq, kind, workflow, data) of everything in its file."""
    with _reading(agent) as db:
        rows = db.execute(
            "SELECT agents.name, tracks.epoch, seq, kinds.kind, workflows.name, data FROM events "
            "JOIN tracks ON tracks.id = events.track JOIN agents ON agents.id = tracks.agent "
            "JOIN kinds ON kinds.id = events.kind JOIN workflows ON workflows.id = events.workflow"
        ).fetchall()
    db.close()
    return rows
