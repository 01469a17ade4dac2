"""From an id in the queue to a runner: read what is stored, and see whether it may run."""

import sqlite3
from collections.abc import Mapping
from functools import partial

import msgspec

from engine.dispatch.catalogue import Catalogue, Unloadable
from engine.dispatch.closing import close
from engine.dispatch.successor import Successors
from engine.events import Event, Kind
from engine.execution.large import NONE_HELD, Held, LargeValues, needed
from engine.execution.run import NodeError
from engine.execution.runner import Runner
from engine.execution.services import Services
from engine.planning.plan import Plan
from engine.states import ExecutionState, NodeState
from engine.store import Store, StoreCorrupt, Transaction, checkpoints, executions, values, waits
from engine.store.checkpoints import NodeRow
from engine.store.executions import ExecutionRow
from engine.values import Json, encode_json

_RUNNABLE = frozenset(
    {
        ExecutionState.QUEUED,
        ExecutionState.RUNNING,
        ExecutionState.WAITING,
        ExecutionState.BLOCKED,
        ExecutionState.CANCELLING,
    }
)


class Failed(msgspec.Struct, frozen=True):
    """The execution was failed instead of run; `successor` handles that."""

    successor: ExecutionRow | None


class _Stored(msgspec.Struct, frozen=True):
    """What the store knows of an execution."""

    row: ExecutionRow | None
    nodes: list[NodeRow] = []
    answers: dict[str, bytes | None] = {}


class Preparation:
    """Makes runners."""

    def __init__(self, store: Store, catalogue: Catalogue, services: Services) -> None:
        self._store = store
        self._catalogue = catalogue
        self._services = services
        self._successors = Successors(catalogue, services)
        self._large = LargeValues(store)

    async def prepare(self, id: str, row: ExecutionRow | None) -> Runner | Failed | None:
        """Everything that is needed to go on; None when the execution can't run (any more).

        `row` is given for an execution that was just made, so that nothing has to be read.
        """
        stored = _Stored(row)
        try:
            if row is None:
                stored = await self._store.read(lambda db: _read(db, id))
                row = stored.row
                if row is None or row.status not in _RUNNABLE:
                    return None
            plan = await self._catalogue.plan(row.workflow, row.version)
            held = await self._load(plan, stored.nodes)
        except (Unloadable, StoreCorrupt) as problem:
            await self._block(id, str(problem))
            return None
        if row.pausing:
            held.release()
            await self._pause(row)
            return None
        if row.started_at is not None and await self._is_poisonous(row):
            held.release()
            return await self._fail(row, plan)
        return Runner(
            store=self._store,
            services=self._services,
            plan=plan,
            row=row,
            nodes=stored.nodes,
            successor=self._successors.of,
            answers=stored.answers,
            held=held,
        )

    async def _load(self, plan: Plan, nodes: list[NodeRow]) -> Held:
        """Large values that the execution still needs. Raises StoreCorrupt."""
        results, paths = needed(plan, nodes)
        for node in nodes:
            if node.path in paths and (hash := node.large) is not None:
                node.output = await self._store.read(partial(values.load, hash=hash))
                node.large = None
        return await self._large.take(results) if results else NONE_HELD

    async def _is_poisonous(self, row: ExecutionRow) -> bool:
        """An execution that had begun goes on, unless it has killed the process too often."""
        if row.status is ExecutionState.CANCELLING:
            return False
        if row.status is not ExecutionState.RUNNING:
            await self._store.submit(lambda tx: executions.move(tx, row.id, ExecutionState.RUNNING))
            row.status = ExecutionState.RUNNING
            return False
        if self._store.was_clean:  # an orderly stop is no death
            return False
        row.deaths = await self._store.submit(lambda tx: executions.resume(tx, row.id))
        return row.deaths > self._services.config.max_deaths

    async def _fail(self, row: ExecutionRow, plan: Plan) -> Failed:
        error = NodeError(
            "poison",
            f"the process died {row.deaths} times while it ran, with no checkpoint between; "
            f"`ganglion show {row.id}` tells how far it came",
        )
        now = self._services.clock.now()
        about = {"kind": error.kind, "message": error.message, "node": None}
        successor = self._successors.of(plan, row, error, "")

        def unit(tx: Transaction) -> None:
            told = encode_json(about)
            data = close(tx, row, ExecutionState.FAILED, now, told)
            waits.execution_ended(tx, row.id, ExecutionState.FAILED, outputs=None, error=told, now=now)
            if successor is not None:
                executions.create(tx, successor)
            tx.fact(execution_fact(Kind.WORKFLOW_FAILED, row, now, {**data, "error": about}))

        await self._store.submit(unit)
        return Failed(successor)

    async def _pause(self, row: ExecutionRow) -> None:
        """It was to be paused, and the process died before its running attempts had ended."""
        now = self._services.clock.now()

        def unit(tx: Transaction) -> None:
            if executions.glimpse(tx.db, row.id).pausing:
                executions.move(tx, row.id, ExecutionState.PAUSED)
                tx.fact(execution_fact(Kind.WORKFLOW_PAUSED, row, now, {}))

        await self._store.submit(unit)

    async def _block(self, id: str, problem: str) -> None:
        """It waits until this agent can load it; nothing of it is run, and it is never failed."""
        self._services.log("error", f"blocked: {problem}", {"execution": id})
        about = encode_json({"kind": "blocked", "message": problem[:4000], "node": None})
        now = self._services.clock.now()

        def unit(tx: Transaction) -> None:
            row = executions.glimpse(tx.db, id)
            if row.status is ExecutionState.CANCELLING:
                abandon(tx, row, now, row.reason)
                return
            executions.block(tx, id, about)
            if row.status is not ExecutionState.BLOCKED:
                tx.fact(execution_fact(Kind.WORKFLOW_BLOCKED, row, now, {"reason": problem[:2000]}))

        await self._store.submit(unit)


def abandon(tx: Transaction, row: ExecutionRow, now: int, reason: str) -> None:
    """Cancel an execution without running it."""
    error = encode_json({"kind": "cancelled", "message": reason, "node": None}) if reason else None
    data = close(tx, row, ExecutionState.CANCELLED, now, error)
    waits.execution_ended(tx, row.id, ExecutionState.CANCELLED, outputs=None, error=error, now=now)
    tx.fact(execution_fact(Kind.WORKFLOW_CANCELLED, row, now, {**data, "reason": reason}))


def _read(db: sqlite3.Connection, id: str) -> _Stored:
    """All in one question: a start asks it for thousands of executions."""
    row = executions.get(db, id)
    if row is None or row.status not in _RUNNABLE or row.started_at is None:
        return _Stored(row)
    nodes = checkpoints.of(db, id)
    waiting = any(node.status is NodeState.WAITING for node in nodes)
    return _Stored(row, nodes, waits.open_of(db, id) if waiting else {})


def execution_fact(kind: Kind, row: ExecutionRow, now: int, data: Mapping[str, Json], node: str = "") -> Event:
    """A fact about an execution that nobody runs."""
    return Event(
        kind=kind, time=now, workflow=row.workflow, version=row.version, execution=row.id, node=node, data=dict(data)
    )
