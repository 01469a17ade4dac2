"""The engine of one agent, put together: definitions, intake, executions. Wiring only.

Engine(store, …)     on an open store
await prepare()      the active definitions are known; `intake` may be offered messages
await run()          recovers, runs executions, until `drain`
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from engine.contract import NodeTypes
from engine.definition.awaited import channels
from engine.definition.model import Workflow
from engine.dispatch.catalogue import Catalogue, Deployment, Draft
from engine.dispatch.children import Children
from engine.dispatch.executor import Executor
from engine.events import Identity
from engine.execution.recall import Cache
from engine.execution.services import Services
from engine.execution.state import States
from engine.resources.governor import Governor
from engine.resources.machine import MachineGauge
from engine.steering.forking import Forking
from engine.steering.rerun import Rerun
from engine.steering.steering import Steering
from engine.store import Store, executions
from engine.store.outbox import Outbox
from engine.triggers.files import Files
from engine.triggers.intake import Intake
from engine.triggers.routes import Routes
from engine.uninterrupted import uninterrupted
from engine.values import Json

Capture = Callable[[Routes], Awaitable[None]]
"""Takes in what these routes want, and no more. Asked before a definition becomes active; what it raises prevents that,
and reaches the caller of `deploy`."""
Changed = Callable[[], Awaitable[None]]
"""Told after a deploy or undeploy, before its caller is answered: schedules follow the routes."""


class Engine:
    """What the agent holds of the engine."""

    def __init__(self, store: Store, *, types: NodeTypes, services: Services, identity: Identity) -> None:
        self.store = store
        self.types = types
        self.services = services
        self.identity = identity
        self.outbox = Outbox(store)
        self.catalogue = Catalogue(store, types)
        self._lingering: dict[tuple[str, int], Workflow] = {}
        """Versions that are active no more, and whose executions may still wait for messages."""
        services.starter = Children(self.catalogue, services)
        services.states = self.states = States(store)
        services.cache = Cache(store)
        self.executor = Executor(store, self.catalogue, services)
        self.governor = Governor(
            store, services.gauge or MachineGauge(store.clock), services.config.scheduling,
            most=services.config.max_executions, apply=self.executor.set_limit,
        )  # fmt: skip
        """Bounds what runs by the load of the machine; its `run` is a service of its own."""
        self.steering = Steering(store, self.executor)
        self.rerun = Rerun(store, self.executor, self.catalogue)
        self.forking = Forking(store, self.executor, self.catalogue)
        self.intake = Intake(store, self.executor, self._routes(), gate=self.executor)
        self.files = Files(store, self.executor)
        """What was taken of watched directories; who watches them hands files in."""
        self.captures: list[Capture] = []
        self.followers: list[Changed] = []
        self._changing = asyncio.Lock()

    async def prepare(self) -> None:
        """Load the active definitions."""
        await self.catalogue.load()
        await self._see_who_lingers()
        self.intake.routes = self._routes()

    async def run(self) -> None:
        """Recover interrupted executions and run until `drain`."""
        await self.executor.run()

    def drain(self, *, halt: bool = True) -> None:
        """Stop taking work; `run` returns when attempts under way have ended, or without `halt` executions."""
        self.executor.drain(halt=halt)

    async def deploy(
        self, source: bytes, *, filename: str = "workflow.yaml", params: Mapping[str, Json] | None = None
    ) -> tuple[Deployment, bool]:
        """Make a file the active version; True if that changed anything. Its messages are taken in from then on.

        Raises InvalidWorkflow, StoreFull, and what a capture raises; then nothing has changed.
        """
        async with self._changing:
            draft = await self.catalogue.read(source, filename, params or {})
            workflow = draft.workflow
            await self._see_who_lingers(workflow.name)
            try:
                await self._capture(self._routes(workflow))
                return await uninterrupted(self._activate(draft))
            except BaseException:
                await self._capture(self._routes())
                raise

    async def _activate(self, draft: Draft) -> tuple[Deployment, bool]:
        deployment, changed = await self.catalogue.deploy(draft)
        if changed:
            await self._changed()
        return deployment, changed

    async def undeploy(self, workflow: str) -> bool:
        """Switch a workflow's triggers off; False if it was not deployed. What runs goes on."""
        async with self._changing:
            await self._see_who_lingers(workflow)
            undeployed = await uninterrupted(self._deactivate(workflow))
            if undeployed:
                await self._capture(self._routes())
            return undeployed

    async def _deactivate(self, workflow: str) -> bool:
        undeployed = await self.catalogue.undeploy(workflow)
        if undeployed:
            await self._changed()
        return undeployed

    async def _see_who_lingers(self, leaving: str = "") -> None:
        """Versions with executions under way that wait for messages; the active one of `leaving` counts as such."""
        versions = set(await self.store.read(executions.open_versions))
        deployed = self.catalogue.active.get(leaving)
        if deployed is not None:
            versions.add((leaving, deployed.row.version))
        self._lingering = {
            key: workflow
            for key in sorted(versions)
            if (workflow := await self.catalogue.workflow(*key)) is not None and any(channels(workflow))
        }

    async def _capture(self, routes: Routes) -> None:
        for capture in self.captures:
            await capture(routes)

    async def _changed(self) -> None:
        self.intake.routes = self._routes()
        self.executor.obey()
        for follower in self.followers:
            await follower()

    def _routes(self, coming: Workflow | None = None) -> Routes:
        """What is active; with `coming`, as it will be once that is."""
        active = {
            name: (name, deployment.row.version, deployment.workflow)
            for name, deployment in self.catalogue.active.items()
            if deployment.workflow is not None
        }
        if coming is not None:
            active[coming.name] = (coming.name, 0, coming)
        return Routes(
            active.values(),
            agent=self.identity.agent,
            tenant=self.identity.tenant,
            lingering=self._lingering.values(),
        )
