"""All executions of this agent: slots, the queue, timers, recovery at boot, pause and cancel.

The queue is the store: an execution is `queued` from its intake commit on. Memory holds only the beginning of it.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

import msgspec

from engine.clock import format_time
from engine.events import Event, Kind
from engine.execution.catalogue import Catalogue, Unloadable
from engine.execution.plan import Plan
from engine.execution.run import NodeError
from engine.execution.runner import Halt, Runner
from engine.execution.services import Services
from engine.ids import new_execution_id
from engine.signal import Signal
from engine.states import FINISHED, ExecutionState, IllegalMove, NodeState, check_execution_move
from engine.store import Store, StoreCorrupt, Transaction, Unit, executions
from engine.store.executions import ExecutionRow, NodeRow
from engine.store.transaction import T
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
        """Ids in the order of their start; one that is not in `_queued` has left the queue."""
        self._queued: dict[str, ExecutionRow | None] = {}
        """What is in the queue; with its row, if that was just made."""
        self._more_in_store = True
        """The store may hold queued executions that memory does not, all behind `_last_num`."""
        self._fetching = False
        self._came_meanwhile = False
        """Some were committed while the store was asked, perhaps too late to be in the answer."""
        self._last_num = 0
        self._running: dict[str, Runner | None] = {}
        """What holds a slot; without a runner, while it is made ready."""
        self._slots_changed = asyncio.Event()
        self._steered: dict[str, int] = {}
        """Executions that people's orders are changing in the store, and how many orders: nobody starts them."""
        self._timers_changed = Signal()
        self._more_due = False
        self._slot_freed = asyncio.Event()
        self._draining = False
        self._group: asyncio.TaskGroup | None = None
        self.finished: dict[str, int] = {}
        """How many executions ended in each state since the start."""

    # --- its life

    async def run(self) -> None:
        """Recover, then run executions until `drain`. Raises an ExceptionGroup of StoreError when the store fails."""
        async with asyncio.TaskGroup() as group:
            await self._recover()
            self._group = group
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
        return max(0, self._config.max_executions - len(self._running) - len(self._queued))

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
            if self._more_in_store or len(self._queued) >= MAX_QUEUED:
                self._more_in_store = self._came_meanwhile = True
            else:
                self._enqueue(row.id, row)
                self._last_num = max(self._last_num, row.num)
        self._fill()

    def _enqueue(self, id: str, row: ExecutionRow | None = None) -> None:
        if id not in self._queued and id not in self._running and id not in self._steered:
            self._queue.append(id)
            self._queued[id] = row

    def _fill(self) -> None:
        """Start queued executions while there are slots."""
        if self._group is None or self._draining:
            return
        while self._queue and len(self._running) < self._config.max_executions:
            id = self._queue.popleft()
            if id in self._queued:
                row = self._queued.pop(id)
                self._running[id] = None
                self._group.create_task(self._execute(id, row))
        if self._queued:
            return
        if self._more_in_store and not self._fetching:
            self._fetching = True
            self._group.create_task(self._fetch_queued())
        if self._more_due:
            self._more_due = False
            self._timers_changed.set()

    async def _fetch_queued(self) -> None:
        after, self._came_meanwhile = self._last_num, False
        found = await self._store.read(lambda db: executions.queued(db, after=after, limit=MAX_QUEUED))
        for id, _ in found:
            self._enqueue(id)
        if found:
            self._last_num = found[-1][1]
        self._more_in_store = len(found) == MAX_QUEUED or self._came_meanwhile
        self._fetching = False
        self._slot_freed.set()
        self._fill()

    # --- one execution

    async def _execute(self, id: str, row: ExecutionRow | None) -> None:
        try:
            runner = await self._prepare(id, row)
            if runner is None:
                return
            self._running[id] = runner
            self._slots_changed.set()
            if self._draining:
                return
            halt = await runner.drive()
            if halt is Halt.FINISHED:
                self._ended(runner.state, runner.successor)
            elif halt is Halt.PARKED:
                self._timers_changed.set()
        except Exception:
            self._draining = True  # the store failed, or a bug: the process stops, and the checkpoints make that safe
            raise
        finally:
            del self._running[id]
            self._slots_changed.set()
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
            await self._block(id, str(problem))
            return None
        if row.started_at is not None and not await self._resume(row, plan):
            return None
        return Runner(
            store=self._store, services=self._services, plan=plan, row=row, nodes=nodes, successor=self._successor
        )

    async def _resume(self, row: ExecutionRow, plan: Plan) -> bool:
        """An execution that had begun goes on. False when it has killed the process too often."""
        if row.status is ExecutionState.CANCELLING:
            return True
        if row.status is not ExecutionState.RUNNING:
            await self._store.submit(lambda tx: executions.move(tx, row.id, ExecutionState.RUNNING))
            row.status = ExecutionState.RUNNING
            return True
        if self._store.was_clean:  # an orderly stop is no death
            return True
        row.deaths = await self._store.submit(lambda tx: executions.resume(tx, row.id))
        if row.deaths <= self._config.max_deaths:
            return True
        await self._fail_poisonous(row, plan)
        return False

    async def _fail_poisonous(self, row: ExecutionRow, plan: Plan) -> None:
        error = NodeError(
            "poison",
            f"the process died {row.deaths} times while it ran, with no checkpoint between; "
            f"`ganglion show {row.id}` tells how far it came",
        )
        now = self._services.clock.now()
        about = {"kind": error.kind, "message": error.message, "node": None}
        successor = self._successor(plan, row, error, "")

        def unit(tx: Transaction) -> None:
            executions.finish(tx, row.id, ExecutionState.FAILED, now=now, outputs=None, error=encode_json(about))
            executions.cancel_open_nodes(tx, row.id, now)
            if successor is not None:
                executions.create(tx, successor)
            tx.fact(self._fact(Kind.WORKFLOW_FAILED, row, {"status": "failed", "error": about}))

        await self._store.submit(unit)
        self._ended(ExecutionState.FAILED, successor)

    async def _block(self, id: str, problem: str) -> None:
        self._services.log("error", f"blocked: {problem}", {"execution": id})
        about = encode_json({"kind": "blocked", "message": problem[:4000], "node": None})

        def unit(tx: Transaction) -> None:
            row = executions.glimpse(tx.db, id)
            executions.block(tx, id, about)
            if row.status is not ExecutionState.BLOCKED:
                tx.fact(self._fact(Kind.WORKFLOW_BLOCKED, row, {"reason": problem[:2000]}))

        await self._store.submit(unit)

    def _ended(self, state: ExecutionState, successor: ExecutionRow | None) -> None:
        self.finished[state] = self.finished.get(state, 0) + 1
        if successor is not None:
            self.admit([successor])

    def _successor(self, plan: Plan, row: ExecutionRow, error: NodeError, node: str) -> ExecutionRow | None:
        """The execution of `on_failure`, to be committed with the failure itself."""
        name = plan.workflow.on_failure
        if name is None:
            return None
        target = self._catalogue.active.get(name)
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
        trigger = {
            "kind": "failure", "subject": "", "headers": {}, "id": row.id, "time": format_time(now), "data": data,
        }  # fmt: skip
        return ExecutionRow(
            id=id, workflow=name, version=target.row.version, status=ExecutionState.QUEUED, root=id, cause=row.id,
            hops=row.hops + 1, trigger=encode_json(trigger), created_at=now,
        )  # fmt: skip

    def _fact(self, kind: Kind, row: ExecutionRow, data: dict[str, object], node: str = "") -> Event:
        return Event(
            kind=kind, time=self._services.clock.now(), workflow=row.workflow, version=row.version, execution=row.id,
            node=node, data=data,
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
        if interrupted:
            self._services.log("info", f"{len(interrupted)} interrupted executions go on", {})

    async def _watch_timers(self) -> None:
        """Queue waiting executions when they are due."""
        while True:
            pause = await self._queue_due(self._services.clock.now())
            await self._timers_changed.wait(pause)

    async def _queue_due(self, now: int) -> float:
        """Queue what is due; returns the seconds until the next look."""
        found = await self._store.read(lambda db: executions.due(db, now, MAX_QUEUED))
        for id in found:
            self._enqueue(id)
        self._more_due = len(found) == MAX_QUEUED
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
        """Pause an execution. Raises IllegalMove when its state does not allow it, LookupError, StoreFull."""
        runner = await self._holder(id)
        if runner is None:
            return await self._move(id, ExecutionState.PAUSED, Kind.WORKFLOW_PAUSED)
        check_execution_move(runner.state, ExecutionState.PAUSED)
        runner.pause()
        return ExecutionState.PAUSED

    async def resume(self, id: str) -> ExecutionState:
        """Let a paused or blocked execution go on. Raises the same."""
        runner = await self._holder(id)
        if runner is None:
            return await self._move(id, ExecutionState.QUEUED, Kind.WORKFLOW_RESUMED)
        if not runner.pausing:
            check_execution_move(runner.state, ExecutionState.QUEUED)
        runner.go_on()
        return ExecutionState.RUNNING

    async def cancel(self, id: str, reason: str = "") -> ExecutionState:
        """Cancel an execution: running attempts get the grace time. Raises the same."""
        runner = await self._holder(id)
        if runner is not None:
            committed = runner.cancel(reason)
            if committed is not None:
                await asyncio.shield(committed)
            return ExecutionState.CANCELLING
        now = self._services.clock.now()

        def unit(tx: Transaction) -> ExecutionState:
            row = executions.expect(tx, id, ExecutionState.CANCELLING)
            executions.finish(tx, id, ExecutionState.CANCELLED, now=now, outputs=None, error=None)
            executions.cancel_open_nodes(tx, id, now)
            tx.fact(self._fact(Kind.WORKFLOW_CANCELLED, row, {"status": "cancelled", "reason": reason}))
            return ExecutionState.CANCELLED

        state = await self._steer(id, unit)
        self._ended(state, None)
        return state

    async def resolve(self, id: str, row: NodeRow) -> ExecutionState:
        """Replace the row of a node that is in doubt, and go on. Raises IllegalMove if it is not in doubt."""
        if await self._holder(id) is not None:
            raise IllegalMove("other nodes of this execution are running: resolve it when it waits")
        now = self._services.clock.now()
        kind = {NodeState.COMPLETED: Kind.NODE_COMPLETED, NodeState.FAILED: Kind.NODE_FAILED}.get(row.status)

        def unit(tx: Transaction) -> ExecutionState:
            execution = executions.glimpse(tx.db, id)
            if execution.status in FINISHED:
                raise IllegalMove(f"the execution is {execution.status}")
            executions.expect_node(tx, id, row.path, row.status)
            executions.checkpoint(tx, id, row)
            if execution.status is ExecutionState.WAITING:  # due at once: it goes on also if the process dies now
                executions.move(tx, id, ExecutionState.WAITING, due=now)
            if kind is not None:
                tx.fact(self._fact(kind, execution, {"attempt": row.attempt, "resolved": True}, row.path))
            return execution.status

        return await self._steer(id, unit)

    def under_way(self, id: str) -> dict[str, int]:
        """Nodes of an execution that are running now, and which attempt that is."""
        runner = self._running.get(id)
        return {} if runner is None else runner.under_way()

    async def _holder(self, id: str) -> Runner | None:
        """Who runs an execution; waits while it takes the execution up or lets go of it. None: nobody, and nobody will
        before the caller awaits something."""
        while id in self._running:
            runner = self._running[id]
            if runner is not None and not runner.closed:
                return runner
            self._slots_changed.clear()
            await self._slots_changed.wait()
        return None

    def _steer(self, id: str, unit: Unit[T]) -> asyncio.Future[T]:
        """Change an execution that nobody runs; nobody starts it before that is committed, or refused."""
        self._queued.pop(id, None)
        self._steered[id] = self._steered.get(id, 0) + 1
        committed = self._store.submit(unit, patient=False)

        def release(_: asyncio.Future[T]) -> None:
            self._steered[id] -= 1
            if not self._steered[id]:
                del self._steered[id]
                self._enqueue(id)  # its row tells whether it may run
                self._fill()

        committed.add_done_callback(release)
        return asyncio.shield(committed)

    async def _move(self, id: str, state: ExecutionState, kind: Kind) -> ExecutionState:
        def unit(tx: Transaction) -> ExecutionState:
            row = executions.expect(tx, id, state)
            executions.move(tx, id, state)
            tx.fact(self._fact(kind, row, {}))
            return state

        return await self._steer(id, unit)


_RUNNABLE = frozenset(
    {
        ExecutionState.QUEUED,
        ExecutionState.RUNNING,
        ExecutionState.WAITING,
        ExecutionState.BLOCKED,
        ExecutionState.CANCELLING,
    }
)
