"""Simulated agents: each beats, and has something to say now and then. One process speaks for all of them."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from engine.clock import format_time
from engine.events import Event, Identity, Kind, cloudevent
from mesh.connection import Connection, Link
from mesh.credentials import Credentials
from mesh.presence.beat import BUCKET, Beat

BEAT_SECONDS = 5.0
EVENTS_PER_SECOND = 1.0
"""Of each agent."""
TICK_SECONDS = 0.1
WORKFLOWS = ("cold-chain", "backup", "meter", "door")


class Crowd:
    """So many agents on one link; `run` lets them live."""

    def __init__(self, link: Link, agents: int) -> None:
        self._link = link
        self._identities = [Identity(f"sim{number:04d}", "default", "e1") for number in range(agents)]
        self._seqs = [0] * agents
        self._chance = random.Random(agents)
        self.sent = 0
        """Facts."""

    async def run(self) -> None:
        """Beat and speak until cancelled, at an even pace."""
        agents = len(self._identities)
        beats_due = facts_due = 0.0
        beat_next = fact_next = 0
        last = time.perf_counter()
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = time.perf_counter()
            beats_due += (now - last) * agents / BEAT_SECONDS
            facts_due += (now - last) * agents * EVENTS_PER_SECOND
            last = now
            batch: list[tuple[str, str, dict[str, str], bytes]] = []
            while beats_due >= 1:
                batch.append(self._beat(beat_next % agents))
                beat_next, beats_due = beat_next + 1, beats_due - 1
            while facts_due >= 1:
                batch.append(self._fact(fact_next % agents))
                fact_next, facts_due = fact_next + 1, facts_due - 1
                self.sent += 1
            await self._link.nc.publish_batch(batch)

    def _beat(self, number: int) -> tuple[str, str, dict[str, str], bytes]:
        identity = self._identities[number]
        beat = Beat(
            agent=identity.agent, tenant="default", version="0.1.0", instance=identity.agent, epoch="e1",
            last_seq=self._seqs[number], every=BEAT_SECONDS, labels={"site": f"site{number % 12}", "role": "fridge"},
            arch="aarch64", host=identity.agent, cpus=4, load=self._chance.random(), memory_bytes=60_000_000, slots=100,
            free_slots=97, workflows=dict.fromkeys(WORKFLOWS, 3),
        )  # fmt: skip
        return (f"$KV.{BUCKET}.default.{identity.agent}", "", {}, msgspec.json.encode(beat))

    def _fact(self, number: int) -> tuple[str, str, dict[str, str], bytes]:
        self._seqs[number] += 1
        identity, seq = self._identities[number], self._seqs[number]
        failed = self._chance.random() < 0.02
        kind = Kind.WORKFLOW_FAILED if failed else Kind.WORKFLOW_COMPLETED
        data = {"status": kind.value.partition(".")[2], "duration_seconds": self._chance.expovariate(2)}
        event = Event(
            kind=kind, time=time.time_ns() // 1000, workflow=self._chance.choice(WORKFLOWS), version=3,
            execution=f"01m80{number:04d}{seq:017d}", data=data, seq=seq,
        )  # fmt: skip
        subject = f"ganglion.event.default.{identity.agent}.{event.workflow}.{kind.value}"
        return (subject, "", {"Nats-Msg-Id": identity.event_id(seq)}, cloudevent(event, identity))


@asynccontextmanager
async def crowd(url: str, agents: int) -> AsyncIterator[Crowd]:
    """They live within the block."""
    connection = Connection([url], credentials=Credentials())
    async with asyncio.TaskGroup() as tasks:
        connecting = tasks.create_task(connection.run())
        people = Crowd(await connection.link(), agents)
        living = tasks.create_task(people.run())
        try:
            yield people
        finally:
            living.cancel()
            connecting.cancel()


def moment(seconds_ago: float) -> str:
    """A time as requests take it."""
    return format_time(time.time_ns() // 1000 - round(seconds_ago * 1_000_000))
