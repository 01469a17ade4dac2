"""What people ask of executions: pause, resume, cancel, resolve.

An execution that is running gets the order through its runner; one that nobody runs is changed in the store, and nobody
starts it meanwhile.
"""

import asyncio
from contextlib import suppress

from engine.dispatch.executor import Executor
from engine.dispatch.preparation import abandon, execution_fact
from engine.events import Kind
from engine.states import FINISHED, ExecutionState, IllegalMove, NodeState, check_execution_move
from engine.store import Store, Transaction, checkpoints, executions, waits
from engine.store.checkpoints import NodeRow
from engine.values import encode_json


class Steering:
    """Each verb raises IllegalMove when the execution's state does not allow it, LookupError, StoreFull."""

    def __init__(self, store: Store, executor: Executor) -> None:
        self._store = store
        self._executor = executor
        executor.cancel = lambda child: self.cancel(child, "nobody waits for it any more")

    async def pause(self, id: str) -> ExecutionState:
        """Let running attempts finish and start none, here and in the executions that it waits for."""
        state = await self._pause(id)
        for child in await self._children(id):
            with suppress(IllegalMove, LookupError):  # it has just ended, or is paused already
                await self.pause(child)
        return state

    async def resume(self, id: str) -> ExecutionState:
        """Let a paused or blocked execution go on, and those that it waits for."""
        state = await self._resume(id)
        for child in await self._children(id):
            with suppress(IllegalMove, LookupError):
                await self.resume(child)
        return state

    async def _children(self, id: str) -> list[str]:
        """The executions under way that it waits for."""
        found = await self._store.read(lambda db: waits.children(db, id))
        return [child for child, _, _, status in found if status not in FINISHED]

    async def _pause(self, id: str) -> ExecutionState:
        runner = await self._executor.holder(id)
        if runner is None:
            return await self._move(id, ExecutionState.PAUSED, Kind.WORKFLOW_PAUSED)
        check_execution_move(runner.state, ExecutionState.PAUSED)
        runner.pause()
        await self._wish(id, pausing=True)
        return ExecutionState.PAUSED

    async def _resume(self, id: str) -> ExecutionState:
        runner = await self._executor.holder(id)
        if runner is None:
            return await self._move(id, ExecutionState.QUEUED, Kind.WORKFLOW_RESUMED)
        if not runner.pausing:
            check_execution_move(runner.state, ExecutionState.QUEUED)
        runner.go_on()
        await self._wish(id, pausing=False)
        return ExecutionState.RUNNING

    async def cancel(self, id: str, reason: str = "") -> ExecutionState:
        """End an execution; running attempts get the grace time, `finally` bodies run. What it waits for is cancelled
        when its nodes wait no more."""
        runner = await self._executor.holder(id)
        if runner is not None:
            committed = runner.cancel(reason)
            if committed is not None:
                await asyncio.shield(committed)
            return ExecutionState.CANCELLING
        now = self._store.clock.now()

        def unit(tx: Transaction) -> ExecutionState:
            row = executions.expect(tx, id, ExecutionState.CANCELLING)
            if row.status is not ExecutionState.BLOCKED and checkpoints.has_running(tx, id):
                about = encode_json({"kind": "cancelled", "message": reason[:2000], "node": None})
                executions.move(tx, id, ExecutionState.CANCELLING, error=about)  # its `finally` bodies have to run
                return ExecutionState.CANCELLING
            abandon(tx, row, now, reason[:2000])
            return ExecutionState.CANCELLED

        state = await self._executor.change(id, unit)
        if state is ExecutionState.CANCELLED:
            self._executor.count(state)
        return state

    async def resolve(self, id: str, row: NodeRow) -> ExecutionState:
        """Replace the row of a node that is in doubt, and go on."""
        if await self._executor.holder(id) is not None:
            raise IllegalMove("other nodes of this execution are running: resolve it when it waits")
        now = self._store.clock.now()
        kind = {NodeState.COMPLETED: Kind.NODE_COMPLETED, NodeState.FAILED: Kind.NODE_FAILED}.get(row.status)

        def unit(tx: Transaction) -> ExecutionState:
            execution = executions.glimpse(tx.db, id)
            if execution.status in FINISHED:
                raise IllegalMove(f"the execution is {execution.status}")
            checkpoints.expect(tx, id, row.path, row.status)
            row.seq = checkpoints.last_change(tx, id) + 1
            checkpoints.write(tx, id, row)
            if execution.status is ExecutionState.WAITING:  # due at once: it goes on also if the process dies now
                executions.move(tx, id, ExecutionState.WAITING, due=now)
            if kind is not None:
                tx.fact(execution_fact(kind, execution, now, {"attempt": row.attempt, "resolved": True}, row.path))
            return execution.status

        return await self._executor.change(id, unit)

    async def _wish(self, id: str, *, pausing: bool) -> None:
        """Remember what was asked of a runner that may die before it comes to that."""
        await asyncio.shield(self._store.submit(lambda tx: executions.mark_pausing(tx, id, pausing), patient=False))

    async def _move(self, id: str, state: ExecutionState, kind: Kind) -> ExecutionState:
        now = self._store.clock.now()

        def unit(tx: Transaction) -> ExecutionState:
            row = executions.expect(tx, id, state)
            executions.move(tx, id, state)
            tx.fact(execution_fact(kind, row, now, {}))
            return state

        return await self._executor.change(id, unit)
