"""`retry`: an execution that ended runs again, under its own id and with its own idempotency keys."""

import msgspec

from engine.dispatch.catalogue import Catalogue
from engine.dispatch.executor import Executor
from engine.dispatch.preparation import execution_fact
from engine.events import Kind
from engine.flow.placing import placed
from engine.states import ExecutionState, IllegalMove, check_execution_move
from engine.steering.outline import volatile_nodes
from engine.steering.revival import Revival
from engine.store import Store, Transaction, checkpoints, executions, rewinding, turns
from engine.store.executions import ExecutionRow

MAX_NAMED = 100
"""Nodes that the fact names; it has to stay small."""


class Undeployed(LookupError):
    """The workflow is not deployed on this agent; the message says what to do."""


class NothingToRun(ValueError):
    """All that the execution would do has been done; the message says how to have some of it done again."""


class Retried(msgspec.Struct, frozen=True):
    """What a retry made of an execution."""

    forgotten: list[str]
    """Paths of the rows that are gone; their nodes run again, or are decided again."""


class Rerun:
    """Lets executions run again."""

    def __init__(self, store: Store, executor: Executor, catalogue: Catalogue) -> None:
        self._store = store
        self._executor = executor
        self._catalogue = catalogue

    async def retry(self, id: str, place: str = "") -> Retried:
        """Forget what failed, and with a place (a node or a body) also that and all that was built on it; then go on.

        Raises IllegalMove for an execution that has not ended or has completed, LookupError, Undeployed, Unloadable,
        BadPath, UnknownPlace, NothingToRun, StoreCorrupt, StoreFull.
        """
        row = await self._store.read(lambda db: executions.get(db, id))
        if row is None:
            raise LookupError(f"no execution {id}")
        _check_state(row)
        if row.workflow not in self._catalogue.active:
            raise Undeployed(
                f"{row.workflow} is not deployed: `ganglion deploy` its file, then retry; it goes on as version "
                f"{row.version}"
            )
        plan = await self._catalogue.plan(row.workflow, row.version)
        rows = await self._store.read(lambda db: checkpoints.of(db, id))
        revival = Revival(plan.workflow, rows, volatile=volatile_nodes(plan))
        revival.forget_what_failed()
        if place:
            revival.forget(place)
        gone, opened = revival.gone, revival.open_again
        if not gone and _failed_in_its_outputs(row):
            raise NothingToRun(
                f"no node of {id} failed, its outputs did: correct them, deploy the file, and `ganglion fork {id}` "
                "onto the new version with --version; or say --from NODE"
            )
        now = self._store.clock.now()
        placed(row, plan.workflow)
        named = [path for path in gone if path not in {again.path for again in opened}]

        def unit(tx: Transaction) -> None:
            current = executions.glimpse(tx.db, id)
            if (current.status, current.finished_at) != (row.status, row.finished_at):
                raise IllegalMove(f"it is {current.status} by now")
            check_execution_move(current.status, ExecutionState.RUNNING)
            rewinding.reopen(tx, current, now)
            rewinding.forget(tx, id, gone)
            for again in opened:
                checkpoints.write(tx, id, again)
            if row.place is not None:  # it left its queue at its end
                turns.enter(tx, row.place, num=row.num, execution=id, workflow=row.workflow, parent=row.parent)
            data = {"from": place or None, "nodes": named[:MAX_NAMED], "count": len(named)}
            tx.fact(execution_fact(Kind.WORKFLOW_RETRIED, current, now, data))

        await self._executor.change(id, unit)
        return Retried(named)


def _check_state(row: ExecutionRow) -> None:
    if row.status is ExecutionState.COMPLETED:
        raise IllegalMove(
            f"it has completed: nothing of it failed; `ganglion fork {row.id} --from NODE` runs a part of it again"
        )
    if row.status not in (ExecutionState.FAILED, ExecutionState.PARTIAL, ExecutionState.CANCELLED):
        raise IllegalMove(f"it is {row.status}: only what failed, was cancelled or ended partial is run again")


def _failed_in_its_outputs(row: ExecutionRow) -> bool:
    error = None if row.error is None else msgspec.json.decode(row.error)
    return isinstance(error, dict) and error.get("kind") == "outputs"
