"""A link that comes and goes two hundred times: everything arrives, and nothing of the flapping stays behind."""

import asyncio
import gc
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

from engine.events import Event, Identity, Kind
from engine.store import Store
from engine.store.outbox import Outbox
from mesh.connection import Connection
from mesh.leaf import LeafLink
from mesh.relay import Relay
from mesh.server import EmbeddedServer, Hub, Settings
from mesh.service import ControlService
from tests.faults.fleet.cable import Cable, laid
from tests.faults.patience import until
from tests.hub import running_hub

pytestmark = [pytest.mark.nats, pytest.mark.crash]
FLAPS, WARM_UP = int(os.environ.get("GANGLION_CHAOS_FLAPS", "60")), 20
FACTS = 5
"""Per flap."""
MAY_GROW_BYTES = 8 * 2**20


class Open(NamedTuple):
    """What a flapping link might leave behind."""

    descriptors: int
    tasks: int
    of_the_server: int
    memory: int


@asynccontextmanager
async def behind(
    cable: Cable, leaf_url: str, data_dir: Path
) -> AsyncIterator[tuple[Connection, Connection, EmbeddedServer]]:
    remote = Hub(url=leaf_url, reconnect="20ms")
    settings = Settings(name="edge", data_dir=data_dir, listen="127.0.0.1:0", sync_interval="1s", hub=remote)
    async with (
        EmbeddedServer.open(settings) as server,
        LeafLink.open(server, remote, seconds=0.02) as leaf,
        asyncio.TaskGroup() as tasks,
    ):
        own = Connection([server.url], credentials=server.credentials)
        far = Connection([server.url], credentials=server.uplink, beyond=leaf)
        running = [tasks.create_task(connection.run()) for connection in (own, far)]
        try:
            yield own, far, server
        finally:
            for task in running:
                task.cancel()


async def test_nothing_of_two_hundred_lost_links_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mesh.connection.WATCH_SECONDS", 0.02)
    monkeypatch.setattr("mesh.connection.LONGEST_PAUSE_SECONDS", 0.05)  # else it rests longer each time
    identity = Identity("edge", "default", "e1")
    async with running_hub(tmp_path / "hub") as hub, laid(hub.leafs) as cable:
        through = hub.leaf_url.replace(hub.leafs, f"127.0.0.1:{cable.port}")
        async with (
            behind(cable, through, tmp_path / "edge") as (own, far, server),
            Store.open(tmp_path / "ganglion.db", synchronous="off") as store,
            asyncio.TaskGroup() as tasks,
        ):
            outbox = Outbox(store)
            relay = Relay(own, outbox, identity, hub=far)
            service = ControlService(far, [], tenant="default", agent="edge", version="0.1.0", metadata={})
            running = [tasks.create_task(relay.run()), tasks.create_task(service.run())]
            this, other = psutil.Process(), psutil.Process(server.pid)
            before: Open | None = None
            for flap in range(1, FLAPS + WARM_UP + 1):
                await store.submit(_some_facts)
                link = await far.link()
                cable.drop()
                await link.lost.wait()
                if flap == WARM_UP:
                    before = await _settled(this, other, far, relay, flap * FACTS)
            after = await _settled(this, other, far, relay, (FLAPS + WARM_UP) * FACTS)
            assert before is not None
            assert far.number >= FLAPS
            assert cable.connections >= FLAPS, "the link was not hit"
            assert max(now - then for now, then in zip(after[:3], before[:3], strict=True)) <= 0, (before, after)
            assert after.memory - before.memory < MAY_GROW_BYTES
            async with hub.client() as client:
                reader = await client.jetstream().subscribe("ganglion.event.>", ordered_consumer=True)
                seen: list[int] = []
                while len(set(seen)) < (FLAPS + WARM_UP) * FACTS:
                    seen.append(int((await reader.next_msg(5)).headers["Nats-Msg-Id"].rpartition("/")[2]))
                first_of_each = list(dict.fromkeys(seen))
                assert first_of_each == sorted(first_of_each), "in their order at a reader that dedupes"
            for task in running:
                task.cancel()


def _some_facts(tx: Any) -> None:
    for _ in range(FACTS):
        tx.fact(Event(kind=Kind.WORKFLOW_STARTED, time=1, workflow="cold-chain", execution="x"))


async def _settled(this: psutil.Process, other: psutil.Process, far: Connection, relay: Relay, facts: int) -> Open:
    """What is open once all is sent; what was retired closes in its own time, so the least that is seen in a while."""

    async def sent() -> bool:
        return relay.sent_seq >= facts and far.is_connected

    await until(sent, seconds=30)
    seen: list[tuple[int, int, int]] = []
    for _ in range(40):
        await asyncio.sleep(0.05)  # closing is done by others, who tell nobody
        seen.append((this.num_fds(), len(asyncio.all_tasks()), other.num_fds()))
    gc.collect()
    return Open(*(min(one) for one in zip(*seen, strict=True)), memory=this.memory_info().rss)
