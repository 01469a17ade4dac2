"""A fleet's record, and the service that watches it, on an agent named `recorder`."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from engine.definition.fleet import FleetTrigger
from engine.definition.model import Workflow
from engine.events import Identity
from engine.fleet.event import FleetEvent
from engine.fleet.store import FleetStore
from engine.store import Store, definitions
from engine.triggers.fleet import Watcher
from engine.triggers.routes import Routes
from engine.values import Json


@pytest.fixture
async def fleet(tmp_path: Path, clock) -> AsyncIterator[FleetStore]:
    async with FleetStore.open(tmp_path / "fleet.db", clock=clock) as opened:
        await opened.remember({"a1": {"site": "berlin"}, "a2": {"site": "berlin"}, "b1": {"site": "bonn"}})
        yield opened


class Fleet:
    """Agents whose facts arrive at the recorder."""

    def __init__(self, store: FleetStore, clock) -> None:
        self.store = store
        self.clock = clock
        self.seqs: dict[str, int] = {}

    def event(
        self, kind: str = "workflow.failed", *, agent: str = "a1", ago: float = 0, workflow: str = "cold-chain",
        execution: str = "e1", node: str = "", **data: Json,
    ) -> FleetEvent:  # fmt: skip
        """A fact that happened so many seconds ago."""
        seq = self.seqs[agent] = self.seqs.get(agent, 0) + 1
        return FleetEvent(
            agent=agent, epoch="0", seq=seq, time=self.clock.now() - int(ago * 1e6), kind=kind, workflow=workflow,
            version=1, execution=execution, node=node, data=msgspec.json.encode(data),
        )  # fmt: skip

    async def tell(self, kind: str = "workflow.failed", **more) -> None:
        await self.store.record([self.event(kind, **more)])


@pytest.fixture
def agents(fleet: FleetStore, clock) -> Fleet:
    return Fleet(fleet, clock)


@pytest.fixture
def make(store: Store, fleet: FleetStore, admitted) -> Callable[[], Watcher]:
    return lambda: Watcher(store, fleet, admitted, Identity("recorder", "default", store.epoch))


@pytest.fixture
def deploy(store: Store) -> Callable[..., Awaitable[Routes]]:
    """Make a workflow with these triggers the active one, and follow it."""

    async def deploy(
        service: Watcher, *triggers: FleetTrigger, name: str = "w", version: int = 1, **more: Json
    ) -> Routes:
        await store.submit(
            lambda tx: definitions.deploy(tx, workflow=name, hash=f"{version}", source=b"", params=b"", now=0)
        )
        routes = Routes([(name, version, Workflow(name=name, triggers=triggers, **more))], agent="recorder")
        await service.follow(routes)
        return routes

    return deploy


@pytest.fixture
def look(admitted) -> Callable[[Watcher], Awaitable[list[Json]]]:
    """Everything that was recorded is looked at, and every figure; gives `trigger.data` of what that started."""

    async def look(service: Watcher) -> list[Json]:
        before = len(admitted.rows)
        while await service._look():
            pass
        service._judged = None
        await service._judge()
        return [row.trigger_value["data"] for row in admitted.rows[before:]]

    return look
