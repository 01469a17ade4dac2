"""All executions of this agent: slots, the queue, timers, recovery at boot, pause and cancel.

The queue is the store: an execution is `queued` from its intake commit on. Memory holds only the beginning of it.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

import msgspec

from engine.events import Event, Kind
from engine.execution.catalogue import Catalogue, Unloadable
from engine.execution.plan import Plan
from engine.execution.run import NodeError
from engine.execution.runner import Halt, Runner
from engine.execution.services import Services
from engine.ids import new_execution_id
from engine.signal import Signal
from engine.states import ExecutionState, IllegalMove
from engine.store import Store, StoreCorrupt, Transaction, executions
from engine.store.executions import ExecutionRow, NodeRow
from engine.values import encode_json

MAX_QUEUED = 2000
"""Queued executions known in memory; beyond that the store is asked."""
TIMER_CHECK_SECONDS = 60.0
"""How long the timer service sleeps at most: the wall clock may be set."""


class Executor:
    """Runs what is queued, as far as there are slots. `run` is its service."""

    def __init__(self, store: Store, catalogue: Catalogue, services: Services) -> None:
        self._store = store
        self._catalogue = catalogue
        self._services = services
        self._config = services.config
        self._queue: deque[str] = deque()
        self._queued: dict[str, ExecutionRow | None] = {}
        """What is in the queue; with its row, if that was just made."""
        self._more_in_store = False
        self._last_num = 0
        self._running: dict[str, Runner | None] = {}
        self._timers_changed = Signal()
        self._slot_freed = asyncio.Event()
        self._draining = False
        self._group: asyncio.TaskGroup | None = None
        self.finished: dict[str, int] = {}
        """How many executions ended in each state since the start."""

    # --- its life

    async def run(self) -> None:
        """Recover, then run executions until `drain`. Raises an ExceptionGroup of StoreError when the store fails."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            await self._recover()
            timers = group.create_task(self._watch_timers(), name="timers")
            self._fill()
            await self._drained()
            timers.cancel()

    def drain(self) -> None:
        """Start nothing more, let running attempts finish; the rest goes on at the next start."""
        self._draining = True
        self._slot_freed.set()
        for runner in list(self._running.values()):
            if runner is not None:
                runner.halt()

    @property
    def draining(self) -> bool:
        return self._draining

    async def _drained(self) -> None:
        while not self._draining or self._running:
            self._slot_freed.clear()
            await self._slot_freed.wait()

    # --- admission

    def free_slots(self) -> int:
        """How many more executions may be taken in now."""
        if self._draining or self._more_in_store or self._store.writer.full:
            return 0
        return max(0, self._config.max_executions - len(self._running) - len(self._queue))

    async def wait_for_slots(self) -> None:
        """Until `free_slots` may have become positive."""
        while self.free_slots() == 0:
            self._slot_freed.clear()
            try:
                async with asyncio.timeout(1.0):  # a full disk that has room again sets no signal
                    await self._slot_freed.wait()
            except TimeoutError:
                continue

    def admit(self, rows: Sequence[ExecutionRow]) -> None:
        """Take up executions that were just committed as queued, in this order."""
        for row in rows:
            if self._more_in_store or len(self._queue) >= MAX_QUEUED:
                self._more_in_store = True
            else:
                self._enqueue(row.id, row)
                self._last_num = max(self._last_num, row.num)
        self._fill()

    def _enqueue(self, id: str, row: ExecutionRow | None = None) -> None:
        if id not in self._queued and id not in self._running:
            self._queue.append(id)
            self._queued[id] = row

    def _fill(self) -> None:
        """Start queued executions while there are slots."""
        if self._group is None or self._draining:
            return
        while self._queue and len(self._running) < self._config.max_executions:
            id = self._queue.popleft()
            row = self._queued.pop(id)
            if id not in self._running:
                self._running[id] = None
                self._group.create_task(self._execute(id, row))
        if self._more_in_store and not self._queue:
            self._more_in_store = False
            self._group.create_task(self._fetch_queued())

    async def _fetch_queued(self) -> None:
        after = self._last_num
        found = await self._store.read(lambda db: executions.queued(db, after=after, limit=MAX_QUEUED))
        for id, _ in found:
            self._enqueue(id)
        if found:
            self._last_num = found[-1][1]
            self._more_in_store = len(found) == MAX_QUEUED
        self._fill()

    # --- one execution

    async def _execute(self, id: str, row: ExecutionRow | None) -> None:
        try:
            runner = await self._prepare(id, row)
            if runner is None:
                return
            self._running[id] = runner
            if self._draining:
                return
            halt = await runner.drive()
            if halt is Halt.FINISHED:
                self.finished[runner.state] = self.finished.get(runner.state, 0) + 1
                if runner.successor is not None:
                    self.admit([runner.successor])
            elif halt is Halt.PARKED:
                self._timers_changed.set()
        except Exception:
            self._draining = True  # the store failed, or a bug: the process stops, and the checkpoints make that safe
            raise
        finally:
            del self._running[id]
            self._slot_freed.set()
            self._fill()

    async def _prepare(self, id: str, row: ExecutionRow | None) -> Runner | None:
        """Everything that a runner needs; None when the execution can't run (any more)."""
        nodes: list[NodeRow] = []
        try:
            if row is None:
                row = await self._store.read(lambda db: executions.get(db, id))
                if row is None or row.status not in _RUNNABLE:
                    return None
                nodes = await self._store.read(lambda db: executions.nodes(db, id))
            plan = await self._catalogue.plan(row.workflow, row.version)
        except (Unloadable, StoreCorrupt) as problem:
            await self._block(id, row, str(problem))
            return None
        if row.started_at is not None and not await self._resume(row, plan):
            return None
        return Runner(
            store=self._store, services=self._services, plan=plan, row=row, nodes=nodes, successor=self._successor
        )

    async def _resume(self, row: ExecutionRow, plan: Plan) -> bool:
        """Count the resumption; False when this execution has killed the process too often."""
        interrupted = row.status is ExecutionState.RUNNING
        if not interrupted:
            await self._store.submit(lambda tx: executions.move(tx, row.id, ExecutionState.RUNNING))
            row.status = ExecutionState.RUNNING
            return True
        row.deaths = await self._store.submit(lambda tx: executions.resume(tx, row.id))
        if row.deaths <= self._config.max_deaths:
            return True
        error = NodeError(
            "poison",
            f"the process died {row.deaths - 1} times while it ran, with no checkpoint between; "
            f"look at the node that was running, then `ganglion retry {row.id}`",
        )
        now = self._services.clock.now()
        about = {"kind": error.kind, "message": error.message, "node": None}

        def unit(tx: Transaction) -> None:
            executions.finish(tx, row.id, ExecutionState.FAILED, now=now, outputs=None, error=encode_json(about))
            tx.fact(self._fact(Kind.WORKFLOW_FAILED, row, {"status": "failed", "error": about}))

        await self._store.submit(unit)
        return False

    async def _block(self, id: str, row: ExecutionRow | None, problem: str) -> None:
        self._services.log("error", f"blocked: {problem}", {"execution": id})

        def unit(tx: Transaction) -> None:
            executions.move(tx, id, ExecutionState.BLOCKED)
            if row is not None:
                tx.fact(self._fact(Kind.WORKFLOW_BLOCKED, row, {"reason": problem[:2000]}))

        await self._store.submit(unit)

    def _successor(self, row: ExecutionRow, error: NodeError, node: str) -> ExecutionRow | None:
        """The execution of `on_failure`, to be committed with the failure itself."""
        deployed = self._catalogue.active.get(row.workflow)
        name = deployed.workflow.on_failure if deployed is not None and deployed.workflow is not None else None
        target = self._catalogue.active.get(name) if name else None
        if name is None:
            return None
        if target is None or row.hops >= self._config.max_hops:
            why = "is not deployed" if target is None else "would be one failure handler too many in a row"
            self._services.log("error", f"on_failure: {name} {why}", {"execution": row.id})
            return None
        now = self._services.clock.now()
        id = new_execution_id(now)
        data = {
            "execution": row.id, "workflow": row.workflow, "version": row.version, "node": node or None,
            "error": {"kind": error.kind, "message": error.message}, "trigger": msgspec.Raw(row.trigger),
        }  # fmt: skip
        return ExecutionRow(
            id=id, workflow=name, version=target.row.version, status=ExecutionState.QUEUED, root=id, cause=row.id,
            hops=row.hops + 1, trigger=encode_json({"kind": "failure", "data": data}), created_at=now,
        )  # fmt: skip

    def _fact(self, kind: Kind, row: ExecutionRow, data: dict[str, object]) -> Event:
        return Event(
            kind=kind, time=self._services.clock.now(), workflow=row.workflow, version=row.version, execution=row.id,
            data=data,
        )  # fmt: skip

    # --- recovery and timers

    async def _recover(self) -> None:
        """Interrupted executions go first, then what is queued; blocked ones are tried again."""
        interrupted = await self._store.read(
            lambda db: executions.open_ids(db, ExecutionState.CANCELLING, ExecutionState.RUNNING)
        )
        blocked = await self._store.read(lambda db: executions.open_ids(db, ExecutionState.BLOCKED))
        for id in (*interrupted, *blocked):
            self._enqueue(id)
        self._more_in_store = True
        if interrupted:
            self._services.log("info", f"{len(interrupted)} interrupted executions go on", {})

    async def _watch_timers(self) -> None:
        """Queue waiting executions when they are due."""
        while True:
            pause = await self._queue_due(self._services.clock.now())
            await self._timers_changed.wait(pause)

    async def _queue_due(self, now: int) -> float:
        """Queue what is due; returns the seconds until the next look."""
        for id in await self._store.read(lambda db: executions.due(db, now, MAX_QUEUED)):
            self._enqueue(id)
        self._fill()
        following = await self._store.read(lambda db: executions.next_due(db, now))
        if following is None:
            return TIMER_CHECK_SECONDS
        return min(TIMER_CHECK_SECONDS, max(0.01, (following - self._services.clock.now()) / 1_000_000))

    def wake(self) -> None:
        """Look at the timers now (the clock was set, a test moved it)."""
        self._timers_changed.set()

    # --- people

    async def pause(self, id: str) -> ExecutionState:
        """Pause an execution. Raises IllegalMove when its state does not allow it."""
        runner = self._running.get(id)
        if runner is not None:
            runner.pause()
            return ExecutionState.PAUSED
        return await self._move(id, ExecutionState.PAUSED, Kind.WORKFLOW_PAUSED)

    async def resume(self, id: str) -> ExecutionState:
        """Let a paused or blocked execution go on."""
        state = await self._move(id, ExecutionState.QUEUED, Kind.WORKFLOW_RESUMED)
        self._enqueue(id)
        self._fill()
        return state

    async def cancel(self, id: str) -> ExecutionState:
        """Cancel an execution: running attempts get the grace time."""
        runner = self._running.get(id)
        if runner is not None:
            runner.cancel()
            return ExecutionState.CANCELLING
        now = self._services.clock.now()

        def unit(tx: Transaction) -> ExecutionState:
            row = executions.expect(tx, id, ExecutionState.CANCELLING)
            executions.finish(tx, id, ExecutionState.CANCELLED, now=now, outputs=None, error=None)
            executions.cancel_open_nodes(tx, id, now)
            tx.fact(self._fact(Kind.WORKFLOW_CANCELLED, row, {"status": "cancelled"}))
            return ExecutionState.CANCELLED

        return await self._store.submit(unit, patient=False)

    async def resolve(self, id: str, row: NodeRow) -> ExecutionState:
        """Replace the row of a node that is in doubt, and go on. Raises IllegalMove if it is not in doubt."""
        if id in self._running:
            raise IllegalMove("other nodes of this execution are running: resolve it when it waits")

        def unit(tx: Transaction) -> None:
            executions.expect_node(tx, id, row.path, row.status)
            executions.checkpoint(tx, id, row)

        await self._store.submit(unit, patient=False)
        self._enqueue(id)
        self._fill()
        return ExecutionState.RUNNING

    def under_way(self, id: str) -> dict[str, int]:
        """Nodes of an execution that are running now, and which attempt that is."""
        runner = self._running.get(id)
        return {} if runner is None else runner.under_way()

    async def _move(self, id: str, state: ExecutionState, kind: Kind) -> ExecutionState:
        def unit(tx: Transaction) -> ExecutionState:
            row = executions.expect(tx, id, state)
            executions.move(tx, id, state)
            tx.fact(self._fact(kind, row, {}))
            return state

        return await self._store.submit(unit, patient=False)


_RUNNABLE = frozenset(
    {
        ExecutionState.QUEUED,
        ExecutionState.RUNNING,
        ExecutionState.WAITING,
        ExecutionState.BLOCKED,
        ExecutionState.CANCELLING,
    }
)
