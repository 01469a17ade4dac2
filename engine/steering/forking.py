"""`fork`: a new execution begins where another one stood, with other inputs or another version of the workflow.

The old one stays as it is, whatever its state. The new one has a new id, and so new idempotency keys: what it runs, the
world sees as new. Nodes that had not settled start anew: waits, timers and retries among them.
"""

from collections.abc import Mapping

import msgspec

from engine.definition.parameters import bind_params
from engine.dispatch.catalogue import Catalogue, Unloadable
from engine.dispatch.executor import Executor
from engine.dispatch.preparation import execution_fact
from engine.events import Kind
from engine.flow.placing import placed
from engine.ids import new_execution_id
from engine.planning.plan import Plan
from engine.states import SETTLED, ExecutionState
from engine.steering.outline import Changes, changes, outline, volatile_nodes
from engine.steering.rerun import NothingToRun
from engine.steering.revival import Revival
from engine.store import Store, Transaction, checkpoints, executions, rewinding
from engine.store.checkpoints import NodeRow
from engine.store.executions import ExecutionRow
from engine.values import MAX_BYTES, InvalidValue, Json, check_value, encode_json


class Forked(msgspec.Struct, frozen=True):
    """A new execution."""

    execution: str
    workflow: str
    version: int
    kept: int
    """How many results it begins with."""
    changed: list[str]
    """Nodes that are not taken over because the version defines them otherwise."""


class Forking:
    """Makes forks."""

    def __init__(self, store: Store, executor: Executor, catalogue: Catalogue) -> None:
        self._store = store
        self._executor = executor
        self._catalogue = catalogue

    async def fork(
        self,
        id: str,
        *,
        at: int | None = None,
        place: str = "",
        data: Json | msgspec.UnsetType = msgspec.UNSET,
        params: Mapping[str, Json] | None = None,
        version: int | None = None,
    ) -> Forked:
        """Begin with the results of the execution `id` that were there after checkpoint number `at`, without those of
        a place (a node or a body) and of all that was built on it. What failed is never taken over.

        `data` replaces `trigger.data`, `params` single parameters. Raises LookupError, Unloadable, BadPath,
        UnknownPlace, NothingToRun, InvalidWorkflow (params), InvalidValue (data), StoreCorrupt, StoreFull.
        """
        old = await self._store.read(lambda db: executions.get(db, id))
        if old is None:
            raise LookupError(f"no execution {id}")
        plan = await self._catalogue.plan(old.workflow, old.version if version is None else version)
        rows = await self._store.read(lambda db: checkpoints.of(db, id))
        differences = await self._differences(old, plan)
        kept = [] if differences is None else _kept(plan, rows, differences, at, place)
        if kept and _is_done(plan, kept):
            raise NothingToRun(
                f"nothing of the fork would run: go back with --from NODE, or with --at to a checkpoint that "
                f"`ganglion checkpoints {id}` lists (0 is the beginning)"
            )
        now = self._store.clock.now()
        row = _new(old, plan, now, data, params or {})
        about = {"from": id, "at": at, "node": place or None, "kept": len(kept)}

        def unit(tx: Transaction) -> None:
            executions.glimpse(tx.db, id)  # with it, the large values that the rows refer to might be gone
            rewinding.fork(tx, row, kept, started_at=now if kept else None)
            tx.fact(execution_fact(Kind.WORKFLOW_FORKED, row, now, about))
            if kept:
                tx.fact(execution_fact(Kind.WORKFLOW_STARTED, row, now, {"trigger": "fork"}))

        await self._executor.change(row.id, unit)
        changed = sorted(outline(plan.workflow)) if differences is None else sorted(differences.touched)
        return Forked(row.id, row.workflow, row.version, len(kept), changed)

    async def _differences(self, old: ExecutionRow, plan: Plan) -> Changes | None:
        """How the version differs from what the execution ran; None where nobody can tell any more."""
        if plan.version == old.version:
            return Changes(frozenset(), frozenset())
        try:
            before = await self._catalogue.plan(old.workflow, old.version)
        except Unloadable:
            return None
        return changes(before.workflow, plan.workflow)


def _kept(plan: Plan, rows: list[NodeRow], differences: Changes, at: int | None, place: str) -> list[NodeRow]:
    """The rows that the new execution begins with."""
    until = [row for row in rows if at is None or row.seq <= at]
    revival = Revival(plan.workflow, until, volatile=volatile_nodes(plan))
    if place:
        revival.forget(place)
    revival.forget_changes(differences)
    revival.forget_what_failed()
    return revival.kept


def _is_done(plan: Plan, kept: list[NodeRow]) -> bool:
    settled = {row.path for row in kept if row.status in SETTLED}
    return all(name in settled for name in plan.workflow.nodes)


def _new(
    old: ExecutionRow, plan: Plan, now: int, data: Json | msgspec.UnsetType, params: Mapping[str, Json]
) -> ExecutionRow:
    workflow = plan.workflow
    overrides = {name: value for name, value in old.param_values.items() if name in workflow.params} | dict(params)
    bound = bind_params(workflow.params, {**workflow.bound, **overrides})
    trigger = old.trigger
    if data is not msgspec.UNSET:
        check_value(data)
        seen = old.trigger_value
        trigger = encode_json({**seen, "data": data} if isinstance(seen, dict) else {"data": data})
    encoded = encode_json({name: bound[name] for name in overrides})
    if len(encoded) > MAX_BYTES or len(trigger) > max(MAX_BYTES, len(old.trigger)):
        raise InvalidValue(f"the data or the params have more than {MAX_BYTES} bytes")
    id = new_execution_id(now)
    row = ExecutionRow(
        id=id, workflow=workflow.name, version=plan.version, status=ExecutionState.QUEUED, root=id, hops=old.hops,
        trigger=trigger, params=encoded, created_at=now, forked_from=old.id,
    )  # fmt: skip
    return placed(row, workflow)
