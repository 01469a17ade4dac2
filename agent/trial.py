"""One execution in this process, for `ganglion run FILE`: the real engine on a store that is thrown away afterwards."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import msgspec

from agent.config import Config
from agent.intelligence import opened_models
from agent.lock import locked
from agent.mocks import MockedTypes
from agent.node_types import node_types
from agent.scratch import scratch
from agent.update.directory import refuse_newer
from agent.update.program import this_program
from agent.written import Written
from engine.control import Refused, Verb
from engine.control.engine import engine_verbs
from engine.control.messages import Cancel
from engine.control.views import Show, Shown
from engine.engine import Engine
from engine.events import Bus, Identity, Subscription
from engine.execution.services import ExecutionConfig, Log, Services
from engine.ports import Requester
from engine.secrets import SecretSource
from engine.states import FINISHED
from engine.store import Store
from engine.values import Json
from plugins.http_client import HttpClient

NEEDED_BYTES = 2_000_000
"""Of the disk, for a store that is thrown away."""
LOOK_SECONDS = 0.1
"""How often a watcher looks at most; the bus says when it is worth it."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What a person asked for."""

    source: bytes
    filename: str
    params: Mapping[str, Json] = {}
    """Bound to the workflow's parameters."""
    data: Json = None
    mocks: Mapping[str, Json] = {}
    """By node: what it gives instead of running."""
    folder: Path | None = None
    """Where the file lies: files that its nodes start are looked for there."""


class Trial:
    """A started execution. Made by `Trial.open`; `watch` it to its end."""

    def __init__(self, engine: Engine, execution: str, events: Subscription, tasks: asyncio.TaskGroup) -> None:
        self._engine = engine
        self._verbs = {verb.name: verb for verb in engine_verbs(engine)}
        self._events = events
        self._tasks = tasks
        self.outbox = engine.outbox
        """Holds what nodes publish: nothing here sends it."""
        self.execution = execution
        self._written = Written(execution)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        task: Task,
        config: Config,
        *,
        log: Log,
        secrets: SecretSource,
        requester: Requester | None = None,
        keep: Path | None = None,
    ) -> "AsyncIterator[Trial]":
        """Start the workflow. `keep` is a data directory that stays; without it everything goes afterwards.

        Raises StoreInUse, NoScratch, and inside exception groups InvalidWorkflow, InvalidValue (data that can't be
        taken in) and StoreError.
        """
        async with AsyncExitStack() as stack:
            if keep is None:
                folder = stack.enter_context(scratch("run", NEEDED_BYTES))
            else:
                refuse_newer(keep)
                stack.enter_context(locked(keep))
                folder = keep
            http = HttpClient()
            stack.push_async_callback(http.aclose)
            bus = Bus()
            program = this_program().told
            store = await stack.enter_async_context(
                Store.open(folder / "ganglion.db", bus=bus, synchronous="full" if keep else "off", program=program)
            )
            services = Services(
                bus=bus,
                http=http,
                requester=requester,
                secrets=secrets,
                log=log,
                agent={"id": "local", "labels": config.agent.labels},
                workflows_dir=task.folder,
                config=ExecutionConfig(
                    max_concurrent_nodes=config.engine.max_concurrent_nodes, grace_seconds=config.engine.grace
                ),
            )
            models = await stack.enter_async_context(opened_models(config, secrets))
            types = MockedTypes(node_types(allow_shell=config.engine.allow_shell, models=models), task.mocks)
            engine = Engine(
                store, types=types, services=services, identity=Identity("local", config.agent.tenant, store.epoch)
            )
            await engine.prepare()
            deployment, _ = await engine.deploy(task.source, filename=task.filename, params=task.params)
            events = stack.enter_context(bus.subscribe())
            started = await engine.intake.start_by_hand(deployment.row.workflow, data=task.data)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(engine.run(), name="engine")
                keeping = tasks.create_task(models.run(), name="models")
                yield cls(engine, started.execution, events, tasks)
                engine.drain()
                keeping.cancel()

    async def shown(self) -> Shown:
        """The execution as it is now."""
        answer = await self._verbs["show"].handle(Show(execution=self.execution))
        return msgspec.convert(answer, Shown, from_attributes=True)

    async def watch(self) -> AsyncIterator[Shown]:
        """The execution each time it may have changed, at most ten times a second; the last one is its end."""
        while True:
            shown = await self.shown()
            yield shown
            if shown.info.status in FINISHED:
                return
            self._written.hear(await self._events.wait())
            await asyncio.sleep(LOOK_SECONDS)
            self._written.hear(self._events.take())

    @property
    def texts(self) -> Mapping[str, str]:
        """What its nodes are writing now, by path."""
        return self._written.texts

    def cancel(self) -> None:
        """Stop it; running nodes get the grace time."""
        request = Cancel(execution=self.execution, reason="interrupted")
        self._tasks.create_task(_carry_out(self._verbs["cancel"], request), name="cancel")


async def _carry_out(verb: Verb, request: msgspec.Struct) -> None:
    with suppress(Refused):  # it has just ended
        await verb.handle(request)
