"""Start, list, show, and steer executions."""

from collections.abc import Awaitable, Sequence

import msgspec

from engine.clock import format_time
from engine.control.messages import (
    ById,
    Cancel,
    Done,
    ExecutionInfo,
    Executions,
    List,
    NodeInfo,
    Resolve,
    Shown,
    Start,
    Started,
)  # fmt: skip
from engine.control.verb import Refused, Verb
from engine.definition import InvalidWorkflow
from engine.engine import Engine
from engine.execution.catalogue import Unloadable
from engine.execution.plan import Plan
from engine.execution.run import NodeError
from engine.states import ExecutionState, IllegalMove, NodeState
from engine.store import StoreCorrupt, StoreFull, executions
from engine.store.executions import ExecutionRow, NodeRow
from engine.triggers.routes import Undeliverable
from engine.values import InvalidValue, Json, check_value, encode_json


def execution_verbs(engine: Engine) -> tuple[Verb, ...]:
    store, executor = engine.store, engine.executor

    async def start(request: Start) -> Started:
        try:
            started = await engine.intake.start_by_hand(
                request.workflow, data=request.data, params=request.params, id=request.id
            )
        except Undeliverable as error:
            raise Refused(404, str(error)) from None
        except (InvalidWorkflow, InvalidValue) as error:
            raise Refused(422, str(error)) from None
        except StoreFull as error:
            raise Refused(503, str(error)) from None
        return Started(
            execution=started.execution, workflow=request.workflow, version=started.version, duplicate=started.duplicate
        )

    async def list_(request: List) -> Executions:
        try:
            states = [ExecutionState(status) for status in request.status]
        except ValueError as error:
            raise Refused(400, f"{error}; the states are {', '.join(ExecutionState)}") from None
        rows = await store.read(
            lambda db: executions.listing(
                db,
                workflow=request.workflow,
                states=states,
                before=request.before,
                limit=max(1, min(request.limit, 1000)),
            )
        )
        now = store.clock.now()
        return Executions(executions=[_info(row, now) for row in rows])

    async def show(request: ById) -> Shown:
        id = await full_id(request.execution)
        try:
            row = await store.read(lambda db: executions.get(db, id))
            rows = await store.read(lambda db: executions.nodes(db, id))
        except StoreCorrupt as error:
            raise Refused(422, str(error)) from None
        if row is None:
            raise Refused(404, f"no execution {id}")
        try:
            plan: Plan | None = await engine.catalogue.plan(row.workflow, row.version)
        except Unloadable:
            plan = None
        now = store.clock.now()
        bound = plan.workflow.bound if plan is not None else {}
        return Shown(
            info=_info(row, now),
            trigger=row.trigger_value,
            params={**bound, **row.param_values},
            outputs=_decoded(row.outputs),
            error=_decoded(row.error),
            cause=row.cause,
            nodes=_nodes(plan, {node.path: node for node in rows}, now, executor.under_way(id)),
        )

    async def pause(request: ById) -> Done:
        id = await full_id(request.execution)
        await steer(engine.steering.pause(id), f"{id} can't be paused")
        return Done(message=f"{id} pauses when its running attempts have ended; `ganglion resume {id}` goes on")

    async def resume(request: ById) -> Done:
        id = await full_id(request.execution)
        await steer(engine.steering.resume(id), f"{id} can't be resumed")
        return Done(message=f"{id} goes on")

    async def cancel(request: Cancel) -> Done:
        id = await full_id(request.execution)
        state = await steer(engine.steering.cancel(id, request.reason), f"{id} can't be cancelled")
        return Done(message=f"{id} is {state}")

    async def resolve(request: Resolve) -> Done:
        id = await full_id(request.execution)
        given = (request.completed is not msgspec.UNSET, request.failed is not None, request.retry)
        if sum(given) != 1:
            raise Refused(400, "say exactly one of: completed (with its output), failed (with a reason), retry")
        now = store.clock.now()
        try:
            found = await store.read(lambda db: {node.path: node for node in executions.nodes(db, id)})
        except StoreCorrupt as error:
            raise Refused(422, str(error)) from None
        node = found.get(request.node)
        if node is None or node.status not in (NodeState.IN_DOUBT, NodeState.RUNNING):
            doubtful = [path for path, row in found.items() if row.status is NodeState.IN_DOUBT]
            raise Refused(409, f"{request.node} is not in doubt; in doubt are: {', '.join(doubtful) or 'none'}")
        await steer(engine.steering.resolve(id, _resolved(request, node, now)), f"{request.node} can't be resolved")
        return Done(message=f"{request.node} is resolved; {id} goes on")

    async def full_id(prefix: str) -> str:
        """The id that a person meant: whole, or a beginning that only one execution has."""
        prefix = prefix.strip().lower()
        found = await store.read(lambda db: executions.find(db, prefix)) if prefix else []
        if prefix in found or len(found) == 1:
            return prefix if prefix in found else found[0]
        if not found:
            raise Refused(404, f"no execution {prefix}; `ganglion ps --all` lists them")
        raise Refused(409, f"{prefix} is the beginning of several: {', '.join(found[:5])}")

    async def steer(move: Awaitable[ExecutionState], refusal: str) -> ExecutionState:
        try:
            return await move
        except IllegalMove as error:
            raise Refused(409, f"{refusal}: {error}") from None
        except LookupError as error:
            raise Refused(404, str(error)) from None
        except StoreFull as error:
            raise Refused(503, str(error)) from None

    return (
        Verb(name="start", description="Start an execution by hand.", request=Start, answer=Started, handle=start),
        Verb(name="list", description="Executions, newest first.", request=List, answer=Executions, handle=list_),
        Verb(name="show", description="All about one execution.", request=ById, answer=Shown, handle=show),
        Verb(name="pause", description="Let attempts finish and start none.", request=ById, answer=Done, handle=pause),
        Verb(name="resume", description="Let a paused or blocked execution go on.", request=ById, answer=Done,
             handle=resume),
        Verb(name="cancel", description="End an execution; attempts get the grace time.", request=Cancel, answer=Done,
             handle=cancel),
        Verb(name="resolve", description="Say what became of a node in doubt.", request=Resolve, answer=Done,
             handle=resolve),
    )  # fmt: skip


def _resolved(request: Resolve, node: NodeRow, now: int) -> NodeRow:
    """The row that says what a person decided; a repeated node gets its whole deadline again."""
    row = NodeRow(path=node.path, status=NodeState.READY, attempt=node.attempt)
    if request.retry:
        return row
    row.started_at, row.finished_at = node.started_at, now
    if request.failed is not None:
        row.status, row.error = NodeState.FAILED, encode_json(NodeError("resolved", request.failed, node.attempt))
        return row
    try:
        check_value(request.completed)
    except InvalidValue as error:
        raise Refused(422, f"completed: {error}") from None
    row.status, row.output = NodeState.COMPLETED, encode_json(request.completed)
    return row


def _info(row: ExecutionRow, now: int) -> ExecutionInfo:
    error = _decoded(row.error)
    return ExecutionInfo(
        num=row.num,
        execution=row.id,
        workflow=row.workflow,
        version=row.version,
        status=row.status.value,
        created_at=format_time(row.created_at),
        started_at=_time(row.started_at),
        finished_at=_time(row.finished_at),
        duration=None if row.started_at is None else ((row.finished_at or now) - row.started_at) / 1_000_000,
        error=str(error.get("message", "")) if isinstance(error, dict) else "",
    )


def _nodes(plan: Plan | None, rows: dict[str, NodeRow], now: int, under_way: dict[str, int]) -> list[NodeInfo]:
    """The nodes in the order of the plan; those that are running have no row yet, or an old one."""
    if plan is None:
        return [_node(path, "?", row, (), now) for path, row in rows.items()]
    infos = []
    for node in plan.nodes:
        id = node.node.id
        row = rows.get(id)
        if id in under_way and (row is None or row.status is not NodeState.IN_DOUBT):
            row = NodeRow(
                path=id, status=NodeState.RUNNING, attempt=under_way[id], started_at=row.started_at if row else None
            )
        needs = [str(need) for need in node.node.needs] or list(node.node.references)
        infos.append(_node(id, node.type.name, row, needs, now))
    return infos


def _node(path: str, type: str, row: NodeRow | None, needs: Sequence[str], now: int) -> NodeInfo:
    if row is None:
        row = NodeRow(path=path, status=NodeState.PENDING, attempt=0)
    settled = row.status in (NodeState.COMPLETED, NodeState.FAILED)
    return NodeInfo(
        path=path,
        type=type,
        status=row.status.value,
        attempt=row.attempt,
        started_at=_time(row.started_at),
        finished_at=_time(row.finished_at),
        duration=None if row.started_at is None else ((row.finished_at or now) - row.started_at) / 1_000_000,
        needs=list(needs),
        port=row.port,
        output=_decoded(row.output) if settled else None,
        error=_decoded(row.error),
        due=_time(row.due),
    )


def _time(microseconds: int | None) -> str | None:
    return None if microseconds is None else format_time(microseconds)


def _decoded(body: bytes | None) -> Json:
    return None if body is None else msgspec.json.decode(body)
