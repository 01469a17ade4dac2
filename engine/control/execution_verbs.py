"""Start executions, steer them, and let them run again."""

from collections.abc import Awaitable
from typing import TypeVar

import msgspec

from engine.control.messages import (
    ById,
    Cancel,
    Done,
    Fork,
    Forked,
    Resolve,
    Retry,
    Start,
    Started,
)  # fmt: skip
from engine.control.naming import full_id
from engine.control.verb import Refused, Verb
from engine.definition import InvalidWorkflow
from engine.dispatch.catalogue import Unloadable
from engine.engine import Engine
from engine.execution.path import BadPath
from engine.execution.run import NodeError
from engine.states import IllegalMove, NodeState
from engine.steering.rerun import NothingToRun
from engine.store import StoreCorrupt, StoreFull, checkpoints
from engine.store.checkpoints import NodeRow
from engine.triggers.intake import QueueFull
from engine.triggers.routes import Undeliverable
from engine.values import InvalidValue, check_value, encode_json

T = TypeVar("T")


def execution_verbs(engine: Engine) -> tuple[Verb, ...]:
    store, executor = engine.store, engine.executor

    async def start(request: Start) -> Started:
        if executor.draining:
            raise Refused(503, "this agent is draining: it takes nothing new and stops; start it at another one")
        if executor.lines.full:
            waiting = executor.lines.waiting
            raise Refused(503, f"{waiting} executions wait on this agent already; try again when there are fewer")
        try:
            started = await engine.intake.start_by_hand(
                request.workflow, data=request.data, params=request.params, id=request.id
            )
        except Undeliverable as error:
            raise Refused(404, str(error)) from None
        except (InvalidWorkflow, InvalidValue) as error:
            raise Refused(422, str(error)) from None
        except (StoreFull, QueueFull) as error:
            raise Refused(503, str(error)) from None
        return Started(
            execution=started.execution, workflow=request.workflow, version=started.version, duplicate=started.duplicate
        )

    async def pause(request: ById) -> Done:
        id = await full_id(store, request.execution)
        await steer(engine.steering.pause(id), f"{id} can't be paused")
        return Done(message=f"{id} pauses when its running attempts have ended; `ganglion resume {id}` goes on")

    async def resume(request: ById) -> Done:
        id = await full_id(store, request.execution)
        await steer(engine.steering.resume(id), f"{id} can't be resumed")
        return Done(message=f"{id} goes on")

    async def cancel(request: Cancel) -> Done:
        id = await full_id(store, request.execution)
        state = await steer(engine.steering.cancel(id, request.reason), f"{id} can't be cancelled")
        return Done(message=f"{id} is {state}")

    async def resolve(request: Resolve) -> Done:
        id = await full_id(store, request.execution)
        given = (request.completed is not msgspec.UNSET, request.failed is not None, request.retry)
        if sum(given) != 1:
            raise Refused(400, "say exactly one of: completed (with its output), failed (with a reason), retry")
        now = store.clock.now()
        try:
            found = await store.read(lambda db: {node.path: node for node in checkpoints.of(db, id)})
        except StoreCorrupt as error:
            raise Refused(422, str(error)) from None
        node = found.get(request.node)
        if node is None or node.status not in (NodeState.IN_DOUBT, NodeState.RUNNING):
            doubtful = [path for path, row in found.items() if row.status is NodeState.IN_DOUBT]
            raise Refused(409, f"{request.node} is not in doubt; in doubt are: {', '.join(doubtful) or 'none'}")
        await steer(engine.steering.resolve(id, _resolved(request, node, now)), f"{request.node} can't be resolved")
        return Done(message=f"{request.node} is resolved; {id} goes on")

    async def retry(request: Retry) -> Done:
        id = await full_id(store, request.execution)
        retried = await rerun(engine.rerun.retry(id, request.node), f"{id} can't be retried")
        count = len(retried.forgotten)
        first = f": {', '.join(retried.forgotten[:5])}{' …' if count > 5 else ''}" if count else ""
        return Done(message=f"{id} goes on; {count} node{'' if count == 1 else 's'} run again{first}")

    async def fork(request: Fork) -> Forked:
        id = await full_id(store, request.execution)
        forked = await rerun(
            engine.forking.fork(
                id, at=request.at, place=request.node, data=request.data, params=request.params,
                version=request.version,
            ),
            f"{id} can't be forked",
        )  # fmt: skip
        return Forked(
            execution=forked.execution, workflow=forked.workflow, version=forked.version, kept=forked.kept,
            changed=forked.changed,
        )  # fmt: skip

    async def rerun(work: Awaitable[T], refusal: str) -> T:
        try:
            return await steer(work, refusal)
        except (BadPath, InvalidValue) as error:
            raise Refused(400, str(error)) from None
        except (InvalidWorkflow, StoreCorrupt) as error:
            raise Refused(422, str(error)) from None
        except NothingToRun as error:
            raise Refused(409, str(error)) from None
        except Unloadable as error:
            remedy = "deploy a version that this agent can load, and fork onto it: --version N"
            raise Refused(409, f"{refusal}: {error}; {remedy}") from None

    async def steer(move: Awaitable[T], refusal: str) -> T:
        try:
            return await move
        except IllegalMove as error:
            raise Refused(409, f"{refusal}: {error}") from None
        except LookupError as error:
            raise Refused(404, str(error)) from None
        except StoreFull as error:
            raise Refused(503, str(error)) from None

    return (
        Verb(name="start", description="Start an execution by hand; with an id at most once, however often asked.",
             request=Start, answer=Started, handle=start, is_repeatable=False),
        Verb(name="pause", description="Let attempts finish and start none.", request=ById, answer=Done, handle=pause),
        Verb(name="resume", description="Let a paused or blocked execution go on.", request=ById, answer=Done,
             handle=resume),
        Verb(name="cancel", description="End an execution; attempts get the grace time.", request=Cancel, answer=Done,
             handle=cancel),
        Verb(name="retry", description="Let an execution that ended run again from what failed.", request=Retry,
             answer=Done, handle=retry, is_repeatable=False),
        Verb(name="fork", description="Begin a new execution where another one stood.", request=Fork, answer=Forked,
             handle=fork, is_repeatable=False),
        Verb(name="resolve", description="Say what became of a node in doubt.", request=Resolve, answer=Done,
             handle=resolve, is_repeatable=False),
    )  # fmt: skip


def _resolved(request: Resolve, node: NodeRow, now: int) -> NodeRow:
    """The row that says what a person decided; a repeated node gets its whole deadline again."""
    row = NodeRow(path=node.path, status=NodeState.READY, attempt=node.attempt)
    if request.retry:
        return row
    row.started_at = node.started_at
    if request.failed is not None:  # the run makes of it what it makes of any failure: it may have a default
        row.error = encode_json(NodeError("resolved", request.failed, node.attempt))
        return row
    row.finished_at = now
    try:
        check_value(request.completed)
    except InvalidValue as error:
        raise Refused(422, f"completed: {error}") from None
    row.status, row.output = NodeState.COMPLETED, encode_json(request.completed)
    return row
