"""All executions of this agent: slots, recovery at boot. The queue is the store (see `queue`)."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from engine.crash import crash_point
from engine.definition.flow import Flow
from engine.dispatch.catalogue import Catalogue, Unloadable
from engine.dispatch.preparation import Failed, Preparation
from engine.dispatch.queue import Queue
from engine.dispatch.timers import Timers
from engine.execution.runner import Halt, Runner
from engine.execution.services import Services
from engine.flow.line import NO_FLOW, Candidate, Line
from engine.flow.lines import Lines
from engine.states import ExecutionState, IllegalMove
from engine.store import Store, StoreFull, Transaction, Unit, executions, turns, waits
from engine.store.executions import ExecutionRow
from engine.store.transaction import Answer, T


class Executor:
    """Runs what is queued, as far as there are slots. `run` is its service."""

    def __init__(self, store: Store, catalogue: Catalogue, services: Services) -> None:
        self._store = store
        self._services = services
        self._config = services.config
        self._limit = services.config.max_executions
        self._catalogue = catalogue
        self._preparation = Preparation(store, catalogue, services)
        store.writer.answered = self.answered
        store.writer.born = self.admit
        store.writer.orphaned = self._let_go_of
        self.cancel: Callable[[str], Awaitable[object]] | None = None
        """Ends an execution that nobody waits for any more; set by who steers them."""
        self._queue = Queue(store, services.config.max_queued)
        self.lines = Lines(
            store, active=self._active_flow, stored=self._stored_flow, is_held=self._is_held,
            high=services.config.queue_high, low=services.config.queue_low,
        )  # fmt: skip
        """What waits under a flow."""
        self._fetching = False
        self._running: dict[str, Runner | None] = {}
        """What holds a slot; without a runner, while it is made ready."""
        self._early: dict[str, dict[str, bytes]] = {}
        """Answers that came while an execution was made ready: it may have been read before them."""
        self._slots_changed = asyncio.Event()
        self._changing: dict[str, int] = {}
        """Executions that are being changed in the store, and by how many orders: nobody starts them."""
        self._timers = Timers(
            store, self.lines, services.clock, most=services.config.max_queued, enqueue=self._enqueue, fill=self._fill
        )
        self._slot_freed = asyncio.Event()
        self._draining = False
        self._group: asyncio.TaskGroup | None = None
        self.finished: dict[str, int] = {}
        """How many executions ended in each state since the start."""

    # --- its life

    async def run(self) -> None:
        """Recover, then run executions until `drain`. Raises an ExceptionGroup of StoreError when the store fails."""
        try:
            async with asyncio.TaskGroup() as group:
                await self.lines.load()
                await self._recover()
                orphans = await self._store.read(waits.orphans)
                self._group = group
                self._let_go_of(orphans)
                timers = group.create_task(self._timers.run(), name="timers")
                self._fill()
                await self._drained()
                timers.cancel()
        finally:
            self._draining = True  # whatever ended it: nobody may start anything in a group that is over

    def drain(self, *, halt: bool = True) -> None:
        """Start nothing more, let running attempts finish; the rest goes on at the next start. Without `halt` whole
        executions go on until they end or wait; a later call may still halt them."""
        self._draining = True
        self._slot_freed.set()
        for runner in list(self._running.values()) if halt else ():
            if runner is not None:
                runner.halt()

    @property
    def draining(self) -> bool:
        return self._draining

    def running(self) -> list[str]:
        """Executions that hold a slot now, in the order of their start."""
        return list(self._running)

    def queued(self) -> int:
        """Executions that wait for a slot, as far as memory knows them: a large queue's end is in the store."""
        return len(self._queue) + self.lines.waiting

    async def _drained(self) -> None:
        while not self._draining or self._running:
            self._slot_freed.clear()
            await self._slot_freed.wait()

    # --- admission

    def free_slots(self) -> int:
        """How many more executions may be taken in now."""
        if self._draining or self._queue.more_in_store or self._store.writer.full or self.lines.full:
            return 0
        return max(0, self._limit - len(self._running) - len(self._queue))

    def obey(self) -> None:
        """Definitions were deployed or undeployed: their flows hold from now on."""
        self.lines.obey()
        self._slot_freed.set()
        self._fill()

    def set_limit(self, limit: int) -> None:
        """How many executions may run at the same time from now on; those that run go on."""
        self._limit = max(1, limit)
        self._slot_freed.set()
        self._fill()

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
            if row.place is not None:
                self._admit_to_line(row)
            elif not self._is_held(row.id):  # the store may have told of it before its intake did
                self._queue.admit(row)
        self._fill()

    def _admit_to_line(self, row: ExecutionRow) -> None:
        known = self.lines.quiet_until
        self.lines.admit(row)
        if self.lines.quiet_until < known:
            self._timers.changed()

    def room(self, workflow: str, flow: Flow) -> int:
        """How many more messages of this workflow may come in now."""
        return self.lines.room(workflow, flow)

    def seconds_to_wait(self, workflow: str, flow: Flow) -> float:
        """When to try again a message that found no room."""
        return self.lines.seconds_to_wait(workflow, flow)

    async def wait_for_room(self, seconds: float) -> None:
        """Until some queue may have got shorter, no longer than that."""
        self._slot_freed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._slot_freed.wait()

    def forget(self, workflow: str, count: int) -> None:
        """So many executions of a workflow ended before they had started: superseded or dropped."""
        self.lines.left(workflow, count)
        self._slot_freed.set()
        self._fill()

    def _enqueue(self, id: str) -> None:
        if not self._is_held(id):
            self._queue.add(id)

    def _is_held(self, id: str) -> bool:
        """It runs, or an order is changing it: it must not be started."""
        return id in self._running or id in self._changing

    def _fill(self) -> None:
        """Start queued executions while there are slots."""
        if self._group is None or self._draining:
            return
        while len(self._running) < self._limit:
            chosen = self.lines.choose(self._queue.first) if self.lines.in_use else None
            if chosen is not None:
                self._start_in_turn(self._group, *chosen)
            elif (entry := self._queue.take()) is not None:
                id, row = entry
                self._running[id] = None
                self._group.create_task(self._execute(id, row))
            else:
                break
        if self.lines.in_use:
            for line in self.lines.wanting():
                self._group.create_task(self._fetch_line(line))
        if self._queue:
            return
        if self._queue.more_in_store and not self._fetching:
            self._fetching = True
            self._group.create_task(self._fetch_queued())
        self._timers.refill()

    async def _fetch_queued(self) -> None:
        for id, num in await self._queue.fetch():
            if not self._is_held(id):
                self._queue.add(id, num=num)
        self._fetching = False
        self._slot_freed.set()
        self._fill()

    # --- executions with a turn

    def _start_in_turn(self, group: asyncio.TaskGroup, line: Line, candidate: Candidate) -> None:
        self.lines.begin(line, candidate)
        self._running[candidate.id] = None
        group.create_task(self._execute(candidate.id, candidate.row, turn=(line, candidate)))
        if line.pause(self._services.clock.monotonic()) > 0:
            self._timers.changed()  # the next one starts when the rate lets it

    async def _fetch_line(self, line: Line) -> None:
        await self.lines.fetch(line)
        self._fill()
        if line.pause(self._services.clock.monotonic()) > 0:
            self._timers.changed()  # only the rate holds it up

    async def _goes_in_turn(self, id: str) -> bool:
        """Whether an execution, which is to go on, does that when its turn comes: then its line has it now."""
        standing = await self._store.read(lambda db: turns.standing(db, id))
        if standing is None:
            return False
        await self._store.submit(lambda tx: turns.put_again(tx, id))
        self.lines.look_again(standing.workflow)
        return True

    def _active_flow(self, workflow: str) -> Flow | None:
        deployment = self._catalogue.active.get(workflow)
        if deployment is None or deployment.workflow is None:
            return None
        return deployment.workflow.flow or NO_FLOW

    async def _stored_flow(self, workflow: str) -> Flow:
        """Of a workflow that is not deployed any more: its executions in the queue still keep to it."""
        version = await self._store.read(lambda db: turns.newest_version(db, workflow))
        try:
            return (await self._catalogue.plan(workflow, version)).workflow.flow or NO_FLOW
        except Unloadable:
            return NO_FLOW

    # --- one execution

    async def _execute(self, id: str, row: ExecutionRow | None, *, turn: tuple[Line, Candidate] | None = None) -> None:
        try:
            if turn is None:
                if row is None and self.lines.in_use and await self._goes_in_turn(id):
                    return
            elif not await self.lines.take(*turn):
                return
            else:
                crash_point("turn-after-take")
                self._slot_freed.set()  # its queue has room for one more
            runner = await self._preparation.prepare(id, row)
            if isinstance(runner, Failed):
                self._ended(ExecutionState.FAILED, runner.successor)
                return
            if runner is None:
                return
            self._running[id] = runner
            for path, body in self._early.pop(id, {}).items():
                runner.answer(path, body)
            self._slots_changed.set()
            if self._draining:
                return
            halt = await runner.drive()
            if halt is Halt.FINISHED:
                self._ended(runner.state, runner.successor)
            elif halt is Halt.PARKED:
                self._timers.changed()
        except BaseException:
            # The store failed, or a bug, or the grace time is over: nothing more may start in a group that is ending.
            # The process stops, and the checkpoints make that safe.
            self._draining = True
            raise
        finally:
            del self._running[id]
            if turn is not None:
                self.lines.ended(turn[0])
            self._early.pop(id, None)
            self._slots_changed.set()
            self._slot_freed.set()
            self._fill()

    def _ended(self, state: ExecutionState, successor: ExecutionRow | None) -> None:
        self.count(state)
        if successor is not None:
            self.admit([successor])

    def count(self, state: ExecutionState) -> None:
        """An execution ended."""
        self.finished[state] = self.finished.get(state, 0) + 1

    # --- recovery

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

    # --- what becomes of those that wait

    def wake(self) -> None:
        """Look at the timers now (the clock was set, a test moved it)."""
        self._timers.changed()

    def answered(self, answers: Sequence[Answer]) -> None:
        """Waiting nodes have their answers, durably: whoever runs them goes on, what is parked is due."""
        for id, path, body in answers:
            runner = self._running.get(id)
            if runner is not None:
                runner.answer(path, body)
            elif id in self._running:
                self._early.setdefault(id, {})[path] = body
        self._timers.changed()

    def _let_go_of(self, children: Sequence[str]) -> None:
        """Cancel executions whose parents wait for them no more. What is missed is found at the next start."""
        if self._group is not None:
            for id in children:
                self._group.create_task(self._cancel_child(id))

    async def _cancel_child(self, id: str) -> None:
        if self.cancel is not None:
            with suppress(IllegalMove, LookupError, StoreFull):  # it has just ended; a full disk leaves it to later
                await self.cancel(id)

    # --- who holds an execution

    def under_way(self, id: str) -> dict[str, int]:
        """Nodes of an execution that are running now, and which attempt that is."""
        runner = self._running.get(id)
        return {} if runner is None else runner.under_way()

    async def holder(self, id: str) -> Runner | None:
        """Who runs an execution; waits while it takes the execution up or lets go of it. None: nobody, and nobody will
        before the caller awaits something."""
        while id in self._running:
            runner = self._running[id]
            if runner is not None and not runner.closed:
                return runner
            self._slots_changed.clear()
            await self._slots_changed.wait()
        return None

    def change(self, id: str, unit: Unit[T]) -> asyncio.Future[T]:
        """Change an execution that nobody runs; nobody starts it before that is committed, or refused."""
        self._queue.remove(id)
        self._changing[id] = self._changing.get(id, 0) + 1
        moved: dict[str, int] = {}

        def watched(tx: Transaction) -> T:
            before = turns.standing(tx.db, id)
            result = unit(tx)
            moved.clear()
            for standing, count in ((before, 1), (turns.standing(tx.db, id), -1)):
                if standing is not None:
                    left = count if standing.turn in turns.WAITING else 0
                    moved[standing.workflow] = moved.get(standing.workflow, 0) + left
            return result

        committed = self._store.submit(watched if self.lines.in_use else unit, patient=False)

        def release(_: asyncio.Future[T]) -> None:
            for workflow, left in moved.items():
                self.lines.left(workflow, left)
            self._changing[id] -= 1
            if not self._changing[id]:
                del self._changing[id]
                self._enqueue(id)  # its row tells whether it may run
                self._fill()

        committed.add_done_callback(release)
        return asyncio.shield(committed)
