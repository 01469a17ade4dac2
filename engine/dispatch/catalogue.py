"""Deployed definitions: which version of a workflow is active, and the compiled plan of any version."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping

import msgspec

from engine.contract import NodeTypes
from engine.definition import InvalidWorkflow, Problem, canonical, parse_tree, workflow_from_source, workflow_from_tree
from engine.definition.model import Workflow
from engine.expressions import ExpressionError
from engine.planning.parameters import InvalidParameters
from engine.planning.plan import CyclicWorkflow, Plan, UnknownNodeType, compile_plan
from engine.store import Store, definitions
from engine.store.definitions import DefinitionRow
from engine.values import Json, encode_json

MAX_PLANS = 256
"""Compiled plans kept in memory."""
LARGE_SOURCE = 64 * 1024
"""Bytes of a definition that is read on a thread of the loop's own: 10,000 nodes take seconds."""


class Unloadable(Exception):
    """A stored definition that this agent can't load: a type that is missing, a field of another version. Its
    executions are blocked, never failed."""


class Deployment(msgspec.Struct, frozen=True):
    """An active definition. `workflow` is None, and `problem` says why, when it can't be loaded."""

    row: DefinitionRow
    workflow: Workflow | None
    problem: str = ""


class Draft(msgspec.Struct, frozen=True):
    """A file that was read and compiled, and has no version yet."""

    plan: Plan
    source: bytes
    """Canonical, as it is stored."""
    params: bytes

    @property
    def workflow(self) -> Workflow:
        return self.plan.workflow


class Catalogue:
    """The definitions of this agent. `load` before use."""

    def __init__(self, store: Store, types: NodeTypes) -> None:
        self._store = store
        self._types = types
        self._plans: OrderedDict[tuple[str, int], Plan] = OrderedDict()
        self.active: dict[str, Deployment] = {}
        """By workflow name. Read only."""

    async def load(self) -> None:
        """Read the active definitions from the store."""
        for row in await self._store.read(definitions.active):
            self.active[row.workflow] = self._deployment(row)

    async def read(self, source: bytes, filename: str, params: Mapping[str, Json]) -> Draft:
        """A file, checked whole: it also compiles. Raises InvalidWorkflow."""
        if len(source) > LARGE_SOURCE:
            return await asyncio.to_thread(self._read, source, filename, params)
        return self._read(source, filename, params)

    async def deploy(self, draft: Draft) -> tuple[Deployment, bool]:
        """Make a file the active version; True if that changed anything. Raises StoreFull. Not to be interrupted: what
        is committed must also be known here."""
        workflow = draft.plan.workflow
        before = self.active.get(workflow.name)
        now = self._store.clock.now()
        row = await self._store.submit(
            lambda tx: definitions.deploy(
                tx, workflow=workflow.name, hash=workflow.hash, source=draft.source, params=draft.params, now=now
            ),
            patient=False,
        )
        self.remember(msgspec.structs.replace(draft.plan, version=row.version))
        deployment = Deployment(row, workflow)
        self.active[workflow.name] = deployment
        return deployment, before is None or before.row.version != row.version

    async def keep(self, source: bytes, *, filename: str) -> Plan:
        """The plan of a file that is run without being deployed; its version stays for the execution that runs it.

        Raises InvalidWorkflow, StoreFull.
        """
        draft = await self.read(source, filename, {})
        workflow = draft.plan.workflow
        now = self._store.clock.now()
        row = await self._store.submit(
            lambda tx: definitions.keep(
                tx, workflow=workflow.name, hash=workflow.hash, source=draft.source, params=draft.params, now=now
            ),
            patient=False,
        )
        return self.remember(msgspec.structs.replace(draft.plan, version=row.version))

    async def undeploy(self, name: str) -> bool:
        """Switch a workflow's triggers off; False if it was not deployed. Not to be interrupted."""
        now = self._store.clock.now()
        done = await self._store.submit(lambda tx: definitions.undeploy(tx, name, now), patient=False)
        self.active.pop(name, None)
        return done

    async def plan(self, workflow: str, version: int) -> Plan:
        """The compiled plan of a version. Raises Unloadable."""
        key = (workflow, version)
        plan = self._plans.get(key)
        if plan is not None:
            self._plans.move_to_end(key)
            return plan
        deployed = self.active.get(workflow)
        row = deployed.row if deployed is not None and deployed.row.version == version else None
        if row is None:
            row = await self._store.read(lambda db: definitions.get(db, workflow, version))
        if row is None:
            raise Unloadable(f"{workflow} version {version} is not in the store")
        if len(row.source) > LARGE_SOURCE:
            return self.remember(await asyncio.to_thread(self._compile, row))
        return self.remember(self._compile(row))

    async def workflow(self, name: str, version: int) -> Workflow | None:
        """A version; None if this agent can't load it."""
        try:
            return (await self.plan(name, version)).workflow
        except Unloadable:
            return None

    def remember(self, plan: Plan) -> Plan:
        """Keep a plan, dropping the one that was not used for longest."""
        self._plans[plan.workflow.name, plan.version] = plan
        if len(self._plans) > MAX_PLANS:
            self._plans.popitem(last=False)
        return plan

    def _read(self, source: bytes, filename: str, params: Mapping[str, Json]) -> Draft:
        read = parse_tree(source, filename)
        workflow = workflow_from_source(read, types=self._types, filename=filename, params=params)
        try:
            plan = compile_plan(workflow, 0, self._types)
        except InvalidParameters as error:  # what always gives the same, and never fits
            raise InvalidWorkflow([Problem(filename, None, "nodes", str(error))]) from None
        return Draft(plan, canonical(read.tree), encode_json(dict(params)))

    def _deployment(self, row: DefinitionRow) -> Deployment:
        try:
            return Deployment(row, self.remember(self._compile(row)).workflow)
        except Unloadable as error:
            return Deployment(row, None, str(error))

    def _compile(self, row: DefinitionRow) -> Plan:
        name = f"{row.workflow}@{row.version}"
        try:
            params = msgspec.json.decode(row.params, type=dict[str, Json])
            tree = msgspec.json.decode(row.source)
            workflow = workflow_from_tree(tree, types=self._types, filename=name, params=params)
            if workflow.hash != row.hash:
                raise Unloadable(f"the stored definition {name} is damaged: deploy its file again")
            return compile_plan(workflow, row.version, self._types)
        except msgspec.DecodeError as error:
            raise Unloadable(f"the stored definition {name} is damaged ({error}): deploy its file again") from error
        except (InvalidWorkflow, ExpressionError, InvalidParameters, CyclicWorkflow, UnknownNodeType) as error:
            raise Unloadable(f"{name} can't be loaded by this agent: {error}") from error
