"""An engine on real parts, for tests: a real store file, the real registry, a clock that only tests move.

A `Rig` is one life of an engine; `open_rig` may be opened again on the same folder, which is a restart. What the nodes
of a workflow do is told by the test: `rig.acts["path"]` is called instead of giving back `data`.
"""

import asyncio
import os
import random
import shutil
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated

import msgspec
import pytest

from engine.contract import Context, Done, Effect, NodeType, Outcome, Secret
from engine.control.engine import engine_verbs
from engine.engine import Engine
from engine.events import Bus, Event, Identity, Kind, Subscription
from engine.execution.control import control_types
from engine.execution.services import ExecutionConfig, Services
from engine.ports import Http, Requester
from engine.resources.gauge import Gauge
from engine.secrets import UnknownSecret
from engine.states import FINISHED
from engine.store import Store, checkpoints, executions, outbox
from engine.store.checkpoints import NodeRow
from engine.store.executions import ExecutionRow
from engine.values import Json
from plugins.nodes import builtin_types
from plugins.registry import Registry

NOW = 1_795_000_000_000_000  # 2026-11-18T11:06:40Z
ENDS = frozenset({Kind.WORKFLOW_COMPLETED, Kind.WORKFLOW_FAILED, Kind.WORKFLOW_CANCELLED})
Act = Callable[[Context, Json], Awaitable[Outcome]]


class FakeClock:
    """Time that only tests move."""

    def __init__(self, now: int = NOW) -> None:
        self.micros = now
        self.seconds = 0.0

    def now(self) -> int:
        return self.micros

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        """Time goes by, as seen by both clocks."""
        self.micros += round(seconds * 1_000_000)
        self.seconds += seconds


class Secrets:
    """Secrets in memory."""

    def __init__(self, **values: str) -> None:
        self.values = values

    def reveal(self, name: str) -> str:
        if name not in self.values:
            raise UnknownSecret(name)
        return self.values[name]


class Params(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    data: Json = None
    token: Annotated[str, Secret] = ""


class Call(msgspec.Struct, frozen=True):
    """One attempt that began."""

    execution: str
    path: str
    attempt: int
    key: str


class Acting:
    """Node types whose code the test writes: `act` (at least once), `once` (at most once), `calc` (pure)."""

    def __init__(self) -> None:
        self.acts: dict[str, Act] = {}
        self.calls: list[Call] = []
        self.began = asyncio.Event()

    async def run(self, ctx: Context, params: Params) -> Outcome:
        self.calls.append(Call(ctx.execution, ctx.path, ctx.attempt, ctx.idempotency_key))
        self.began.set()
        act = self.acts.get(ctx.path)
        return Done(params.data) if act is None else await act(ctx, params.data)

    def types(self) -> tuple[NodeType, ...]:
        common = {"description": "", "example": "", "params": Params, "run": self.run}
        return (
            NodeType(name="act", effect=Effect.AT_LEAST_ONCE, pure_capable=True, **common),
            NodeType(name="once", effect=Effect.AT_MOST_ONCE, **common),
            NodeType(name="calc", effect=Effect.PURE, pure_capable=True, **common),
            NodeType(name="ways", effect=Effect.PURE, pure_capable=True, ports=lambda _: ("left", "right"), **common),
        )


class Rig:
    """One life of an engine."""

    def __init__(self, engine: Engine, acting: Acting, events: Subscription, logs: list[tuple[str, str, Json]]) -> None:
        self.engine = engine
        self.store = engine.store
        self.executor = engine.executor
        self.steering = engine.steering
        self.acts, self.calls, self.acting = acting.acts, acting.calls, acting
        self.logs = logs
        self.seen: list[Event] = []
        """Facts and live events of this life, as far as something waited for one."""
        self._events = events
        self.verbs = {verb.name: verb for verb in engine_verbs(engine)}

    # --- to do something

    async def deploy(self, text: str, **params: Json) -> int:
        """Deploy a YAML text; its version."""
        deployment, _ = await self.engine.deploy(text.encode(), params=params)
        return deployment.row.version

    async def start(self, workflow: str = "w", data: Json = None, **more: Json) -> str:
        return (await self.engine.intake.start_by_hand(workflow, data=data, **more)).execution

    async def ask(self, verb: str, **fields: Json) -> Json:
        """Ask as the mesh does: request and answer go through JSON."""
        known = self.verbs[verb]
        request = msgspec.json.decode(msgspec.json.encode(fields), type=known.request)
        answer = await known.handle(request)
        assert isinstance(answer, known.answer)
        return msgspec.json.decode(msgspec.json.encode(answer))

    async def run(self, text: str, data: Json = None, **params: Json) -> ExecutionRow:
        """Deploy, start, and wait for the end."""
        await self.deploy(text, **params)
        return await self.end(await self.start(_name(text), data))

    # --- to see what happened

    async def event(self, wanted: Callable[[Event], bool]) -> Event:
        """The first event of this life that is wanted; waits for it."""
        for event in self.seen:
            if wanted(event):
                return event
        while True:
            events = await asyncio.wait_for(self._events.wait(), 20)
            self.seen.extend(events)
            for event in events:
                if wanted(event):
                    return event

    async def kind(self, kind: Kind, execution: str = "", node: str = "") -> Event:
        return await self.event(lambda e: e.kind is kind and execution in ("", e.execution) and node in ("", e.node))

    async def end(self, execution: str) -> ExecutionRow:
        await self.event(lambda e: e.kind in ENDS and e.execution == execution)
        row = await self.row(execution)
        assert row.status in FINISHED
        return row

    async def row(self, execution: str) -> ExecutionRow:
        row = await self.store.read(lambda db: executions.get(db, execution))
        assert row is not None
        return row

    async def nodes(self, execution: str) -> dict[str, NodeRow]:
        rows = await self.store.read(lambda db: checkpoints.of(db, execution))
        return {row.path: row for row in rows}

    async def states(self, execution: str) -> dict[str, str]:
        return {path: row.status.value for path, row in (await self.nodes(execution)).items()}

    async def facts(self, execution: str = "") -> list[Event]:
        found = await self.store.read(lambda db: outbox.history(db, after=0, limit=100_000))
        return [fact for fact in found if execution in ("", fact.execution)]

    async def settled(self) -> None:
        """Everything submitted before is committed and told."""
        await self.store.submit(lambda tx: None)

    async def copy_to(self, folder: Path) -> Path:
        """What a power cut now would leave on the disk."""

        def copy(_: sqlite3.Connection) -> None:
            folder.mkdir(parents=True, exist_ok=True)
            for suffix in ("", "-wal"):
                source = self.store.path.with_name(self.store.path.name + suffix)
                if source.exists():
                    shutil.copy(source, folder / source.name)

        await self.store.maintain(copy)
        return folder

    def called(self, path: str) -> int:
        return sum(call.path == path for call in self.calls)

    def ran(self) -> list[str]:
        return [call.path for call in self.calls]


def _name(text: str) -> str:
    return text.split("name:", 1)[1].split("\n", 1)[0].strip()


def value(body: bytes | None) -> Json:
    return None if body is None else msgspec.json.decode(body)


@asynccontextmanager
async def opened(
    folder: Path,
    *,
    clock: FakeClock | None = None,
    running: bool = True,
    secrets: Secrets | None = None,
    acting: Acting | None = None,
    without: tuple[str, ...] = (),
    gauge: Gauge | None = None,
    more: tuple[NodeType, ...] = (),
    http: Http | None = None,
    requester: Requester | None = None,
    **config: Json,
) -> AsyncIterator[Rig]:
    bus = Bus()
    acting = acting or Acting()
    logs: list[tuple[str, str, Json]] = []
    async with Store.open(folder / "ganglion.db", bus=bus, clock=clock) as store:
        services = Services(
            bus=bus,
            clock=store.clock,
            secrets=secrets,
            log=lambda level, message, fields: logs.append((level, message, fields)),
            jitter=random.Random(7),
            config=ExecutionConfig(**config),
            gauge=gauge,
            http=http,
            requester=requester,
        )
        types = [t for t in (*builtin_types(), *control_types(), *acting.types(), *more) if t.name not in without]
        engine = Engine(
            store, types=Registry(types), services=services, identity=Identity("a1", "default", store.epoch)
        )
        await engine.prepare()
        with bus.subscribe(limit=200_000) as events:
            rig = Rig(engine, acting, events, logs)
            if not running:
                yield rig
                return
            running_engine = asyncio.create_task(engine.run())
            try:
                yield rig
            finally:
                engine.drain()
                running_engine.cancel()
                with suppress(asyncio.CancelledError):
                    await running_engine


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def open_rig(tmp_path: Path) -> Callable[..., object]:
    """`async with open_rig(clock=…, max_executions=…) as rig`: one life of an engine on the test's folder."""

    def open_one(folder: Path | None = None, **options: Json) -> object:
        return opened(folder or tmp_path, **options)

    return open_one


@pytest.fixture
async def rig(open_rig) -> AsyncIterator[Rig]:
    async with open_rig() as one:
        yield one


@pytest.fixture
def acting() -> Acting:
    """Node code and its calls that outlive a restart: hand it to `open_rig`."""
    return Acting()


@pytest.fixture
def secrets() -> Secrets:
    return Secrets(KEY="canary-5f3a9c", LONG="canary-5f3a9c-and-more")


@pytest.fixture
def decoded() -> Callable[[bytes | None], Json]:
    return value


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of two megabytes; skipped where mounting is not allowed."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk takes root")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"mounting a small disk is not allowed here: {mounted.stderr.decode()}")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)
