"""Drives one run: starts what may start, writes down what attempts return, ends or parks the execution.

`_advance` is one synchronous step: a node settled, pure successors run at once, and everything that became true is one
commit. Successors with effects become tasks as soon as that commit is durable.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from enum import Enum

import msgspec

from engine.contract import Effect, Fail, Wake
from engine.crash import crash_point
from engine.execution.attempt import attempt, attempt_inline
from engine.execution.context import AttemptContext, Stop
from engine.execution.inputs import Inputs
from engine.execution.journal import Journal
from engine.execution.node_timers import NodeTimers
from engine.execution.plan import Plan, PlannedNode
from engine.execution.restoration import restore
from engine.execution.run import NodeError, Progress, Run
from engine.execution.services import Services
from engine.execution.settlement import Settlement
from engine.expressions import ExpressionError
from engine.states import ExecutionState, NodeState
from engine.store import Store
from engine.store.executions import ExecutionRow, NodeRow
from engine.values import encode_json

Successor = Callable[[Plan, ExecutionRow, NodeError, str], ExecutionRow | None]
"""Makes the execution of `on_failure`: (plan of the failed execution, its row, its error, the node) -> row."""


class Halt(Enum):
    """Why a runner let go of its execution."""

    FINISHED = "finished"
    PARKED = "parked"
    """Waiting, paused or in doubt: its row says when to look again."""
    INTERRUPTED = "interrupted"
    """The agent is stopping; the next start goes on from the checkpoints."""


class Runner:
    """One execution under way. `drive` is called once; the other verbs come from people and from the agent's end."""

    def __init__(
        self, *, store: Store, services: Services, plan: Plan, row: ExecutionRow, nodes: list[NodeRow],
        successor: Successor,
    ) -> None:  # fmt: skip
        self.row = row
        self.plan = plan
        self.state = ExecutionState.RUNNING
        self.successor: ExecutionRow | None = None
        """The execution that its failure started, once it is committed."""
        self._make_successor = successor
        self._services = services
        self._clock = services.clock
        self._config = services.config
        self._loop = asyncio.get_running_loop()
        self._fresh = row.started_at is None
        self._started_at = row.started_at or self._clock.now()
        self._run = Run(plan)
        self._inputs = Inputs(plan, row, self._run, services, self._started_at)
        self._journal = Journal(store, services, plan, row, self._run, durable=self._launch, failed=self._give_up)
        self._timers = NodeTimers(services.clock, self._woken)
        self._stop = Stop()
        self._settlement = Settlement(self._run, self._inputs, self._journal, self._timers, services, self._stop)
        self._rows = nodes
        self._limit = plan.workflow.max_concurrent_nodes or self._config.max_concurrent_nodes
        self._ready: deque[tuple[int, PlannedNode]] = deque()
        """What may start, and the commit that it is built from, which must be durable before."""
        self._wakes: dict[int, Wake] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._alarms: list[asyncio.TimerHandle] = []
        self._reason = ""
        self._pausing = self._halting = self._closed = False
        self._halted: asyncio.Future[Halt] = self._loop.create_future()
        self._group = asyncio.TaskGroup()

    # --- its life

    async def drive(self) -> Halt:
        """Run until the execution ends or nothing can be done now; what is returned is committed.

        Raises an ExceptionGroup of StoreError when the store can't be written: the process must stop.
        """
        try:
            async with self._group:
                self._begin()
                return await self._halted
        finally:
            self._timers.drop()
            for alarm in self._alarms:
                alarm.cancel()

    @property
    def closed(self) -> bool:
        """Its last commit is under way: it takes no more orders."""
        return self._closed

    @property
    def pausing(self) -> bool:
        return self._pausing

    def pause(self) -> None:
        """Let running attempts finish and start none; then the execution is paused."""
        self._pausing = True
        self._advance(Progress())

    def go_on(self) -> None:
        """Take a `pause` back that has not come into effect."""
        self._pausing = False
        self._advance(Progress())

    def halt(self) -> None:
        """The agent is stopping: the same, but the state stays, so that the next start goes on by itself."""
        self._halting = True
        self._advance(Progress())

    def cancel(self, reason: str = "") -> asyncio.Future[None] | None:
        """Start nothing more; attempts under way are asked to end, and cut off after the grace time. The future says
        when that is durable."""
        if not (self._closed or self._run.cancelling):
            self._run.cancelling, self._reason = True, reason[:2000]
            self.state = ExecutionState.CANCELLING
            self._journal.moved(ExecutionState.CANCELLING, self._clock.now())
            self._abandon()
            self._alarms.append(self._loop.call_later(self._config.grace_seconds, self._cut_off))
            self._advance(Progress())
        return self._journal.last

    def under_way(self) -> dict[str, int]:
        """Nodes that are running now, and which attempt that is."""
        nodes = (self.plan.nodes[index] for index in self._tasks)
        return {node.node.id: max(1, self._run.attempts[node.index]) for node in nodes}

    def _begin(self) -> None:
        now = self._clock.now()
        if self._fresh:
            self._journal.begun(self._started_at, self._inputs.trigger_kind)
        else:
            if self.row.deaths:
                self._journal.went_on()
            again = restore(self._run, self._journal, self._timers, self._rows, now)
            self._ready.extend((0, node) for node in again)
        if self.row.status is ExecutionState.CANCELLING:
            self.cancel()
            return
        ends = self._ends_at()
        if ends is not None:
            if ends <= now:
                self._time_is_over()
                return
            self._alarms.append(self._loop.call_later((ends - now) / 1_000_000, self._time_is_over))
        self._advance(self._run.begin(self._inputs.when, now))

    def _ends_at(self) -> int | None:
        """When the workflow's time is over (microseconds)."""
        limit = self.plan.workflow.timeout
        return None if limit is None else self._started_at + round(limit * 1_000_000)

    # --- one step

    def _advance(self, progress: Progress) -> None:
        """Take up what happened until nothing is left to do at once; make it durable; end if this is the end."""
        if self._closed:
            return
        queue = deque([progress])
        while queue:
            step = queue.popleft()
            for node, reason in step.skipped:
                self._journal.skipped(node, reason, self._clock.now())
            for node, error in step.failed:
                self._journal.failed(node, error, started=None, now=self._clock.now())
            for node in step.start:
                if node.inline and not self._resting:
                    if self._may_start(node):
                        queue.append(self._run_inline(node))
                else:
                    self._ready.append((self._journal.step if node.waits else 0, node))
        while self._ready and not self._may_start(self._ready[0][1]):
            self._ready.popleft()
        halt = self._closing()
        self._journal.commit()
        if halt is not None:
            self._close(halt)
        else:
            self._launch()

    def _launch(self) -> None:
        """Begin attempts, in the order in which nodes became ready: as many as may run at the same time, and none that
        is built from what is not durable. Called again after each commit."""
        while self._ready and len(self._tasks) < self._limit and not (self._resting or self._closed):
            step, node = self._ready[0]
            if not self._journal.holds(step):
                break
            self._ready.popleft()
            if self._may_start(node):
                self._tasks[node.index] = self._group.create_task(self._attempt(node))

    @property
    def _resting(self) -> bool:
        return self._pausing or self._halting

    def _may_start(self, node: PlannedNode) -> bool:
        """Still: a failure or a cancellation may have settled it while it waited for its turn."""
        return self._run.states[node.index] in (NodeState.READY, NodeState.RETRYING)

    def _run_inline(self, node: PlannedNode) -> Progress:
        ctx = self._context(node)
        started = self._clock.now()
        self._run.move(node, NodeState.RUNNING)
        self._journal.started(node, ctx.attempt, started)
        params = self._inputs.parameters(node)
        if isinstance(params, Fail):
            return self._settlement.settle(node, ctx, params, started)
        outcome = attempt_inline(node, ctx, params, services=self._services)
        return self._settlement.settle(node, ctx, outcome, started)

    async def _attempt(self, node: PlannedNode) -> None:
        """One attempt as a task."""
        try:
            progress = await self._try(node)
        except asyncio.CancelledError:
            if self._stop.requested:
                self._done(node, self._settlement.cut(node))
            raise
        self._done(node, progress)

    async def _try(self, node: PlannedNode) -> Progress:
        if not self._may_start(node):
            return Progress()
        if self._resting:
            self._ready.appendleft((0, node))
            return Progress()
        ctx = self._context(node)
        started = self._clock.now()
        self._run.first_start[node.index] = self._run.first_start[node.index] or started
        self._run.move(node, NodeState.RUNNING)
        if node.node.effect is Effect.AT_MOST_ONCE:
            await self._journal.declare(node, ctx.attempt, started)
            crash_point("intent-after-commit")
            if self._stop.requested:
                return self._settlement.cut(node)
        self._journal.started(node, ctx.attempt, started)
        params = self._inputs.parameters(node)
        if isinstance(params, Fail):
            return self._settlement.settle(node, ctx, params, started)
        limit = self._time_left(node, started)
        ctx.deadline = None if limit is None else self._clock.monotonic() + limit
        outcome = await attempt(node, ctx, params, limit=limit, services=self._services)
        crash_point("effect-before-result")
        return self._settlement.settle(node, ctx, outcome, self._run.first_start[node.index])

    def _done(self, node: PlannedNode, progress: Progress) -> None:
        del self._tasks[node.index]
        self._advance(progress)

    # --- the end

    def _closing(self) -> Halt | None:
        """What the end is, if this is the end; completes the step with it."""
        if self._tasks or (self._ready and not self._resting):
            return None
        now = self._clock.now()
        if self._run.settled:
            self._finish(now)
            return Halt.FINISHED
        if self._halting:
            return Halt.INTERRUPTED
        if self._pausing:
            return self._park(ExecutionState.PAUSED, now)
        due = self._timers.next_due
        if due is None and not self._run.in_doubt:
            return None
        if due is not None and due - now <= self._config.park_seconds * 1_000_000:
            return None
        ends = self._ends_at()
        moments = [moment for moment in (due, ends) if moment is not None]
        return self._park(ExecutionState.WAITING, now, min(moments, default=None))

    def _park(self, state: ExecutionState, now: int, due: int | None = None) -> Halt:
        self.state = state
        self._journal.moved(state, now, due=due)
        return Halt.PARKED

    def _finish(self, now: int) -> None:
        outputs = None
        if self._run.failure is None and not self._run.cancelling:
            try:
                outputs = encode_json(self._inputs.outputs())
            except (ExpressionError, ValueError) as error:
                self._run.fail(NodeError("outputs", f"outputs: {error}"))
        self.state = self._run.ending
        if self.state is ExecutionState.FAILED and self._run.failure is not None:
            node, failure = self._run.failure
            self.successor = self._make_successor(self.plan, self.row, failure, node)
        self._journal.finished(
            self.state, outputs=outputs, started=self._started_at, now=now, successor=self.successor,
            reason=self._reason,
        )  # fmt: skip

    def _close(self, halt: Halt) -> None:
        """Nothing more may happen; let go once the last commit is durable."""
        self._closed = True

        def durable(commit: asyncio.Future[None]) -> None:
            if not self._halted.done():  # a refused commit has told so already
                self._halted.set_result(halt)

        if self._journal.last is None:
            self._halted.set_result(halt)
        else:
            self._journal.last.add_done_callback(durable)

    def _give_up(self, error: BaseException) -> None:
        """A commit was refused. What follows would build on what is not there, so nothing may follow."""
        self._closed = True
        if not self._halted.done():
            self._halted.set_exception(error)

    # --- stopping early

    def _time_is_over(self) -> None:
        if not self._closed:
            self._run.fail(NodeError("timeout", f"the workflow's timeout of {self.plan.workflow.timeout:g} s is over"))
            self._abandon()
            self._cut_off()
            self._advance(Progress())

    def _abandon(self) -> None:
        """Cancel all nodes that are not under way, and ask the others to stop."""
        self._stop.requested = True
        self._ready.clear()
        self._timers.drop()
        now = self._clock.now()
        for node in self._run.abandon(now):
            self._journal.cancelled(node, now)

    def _cut_off(self) -> None:
        # Others wait for a commit and leave by themselves. A task that never began must not be cancelled: its code,
        # which takes it off the list, would never run.
        for index, task in list(self._tasks.items()):
            if self._run.states[index] is NodeState.RUNNING:
                task.cancel()

    # --- attempts and timers

    def _context(self, node: PlannedNode) -> AttemptContext:
        index = node.index
        wake = self._wakes.pop(index, None)
        if wake is None:
            self._run.attempts[index] += 1
        row = self.row
        return AttemptContext(
            self._services, execution=row.id, root=row.root, workflow=row.workflow, version=row.version,
            path=node.node.id, attempt=self._run.attempts[index], pure=node.inline, wake=wake, stop=self._stop,
        )  # fmt: skip

    def _time_left(self, node: PlannedNode, now: int) -> float | None:
        """Seconds that an attempt may take: the node's `timeout`, and what is left of its `deadline`."""
        limit = node.node.timeout
        if node.node.deadline is not None:
            left = max(0.0, node.node.deadline - (now - self._run.first_start[node.index]) / 1_000_000)
            limit = left if limit is None else min(limit, left)
        return limit

    def _woken(self, node: PlannedNode, due: int, memo: bytes | None) -> None:
        if self._run.states[node.index] is NodeState.WAITING:
            self._run.move(node, NodeState.READY)
            self._wakes[node.index] = Wake(due, None if memo is None else msgspec.json.decode(memo))
        # A timer commits first: the row that it comes from may still be on its way.
        self._ready.append((self._journal.step - 1, node))
        self._advance(Progress())
