"""The attempts of one execution: what is ready to start, what runs, and how many at a time."""

import asyncio
from collections import deque
from collections.abc import Callable

import msgspec

from engine.contract import Effect, Fail, Wake
from engine.crash import crash_point
from engine.execution.attempt import attempt, attempt_inline
from engine.execution.caching import recalled
from engine.execution.context import AttemptContext
from engine.execution.frame import Frame
from engine.execution.journal import Journal
from engine.execution.metering import Metering
from engine.execution.run import Progress
from engine.execution.services import Services
from engine.execution.settlement import Settlement
from engine.planning.plan import PlannedNode
from engine.states import NodeState
from engine.store.executions import ExecutionRow


class Attempts:
    """Starts attempts in the order in which nodes became ready, none that is built from what is not durable."""

    def __init__(
        self, row: ExecutionRow, services: Services, journal: Journal, settlement: Settlement, *, limit: int,
        group: asyncio.TaskGroup, advance: Callable[[Frame, Progress], None],
        open: Callable[[Frame, PlannedNode], None], metering: Metering | None,
    ) -> None:  # fmt: skip
        """`advance` is told what an attempt brought about; `open` begins a control-flow node. `metering` where there
        are limits."""
        self._row = row
        self._services = services
        self._journal = journal
        self._settlement = settlement
        self._limit = limit
        self._group = group
        self._advance = advance
        self._open = open
        self._metering = metering
        self._tasks: dict[tuple[Frame, int], asyncio.Task[None]] = {}
        self.ready: deque[tuple[int, Frame, PlannedNode]] = deque()
        """What may start, and the commit that it is built from, which must be durable before."""
        self.wakes: dict[tuple[Frame, int], Wake] = {}
        self.resting = False
        """Nothing starts: a pause, or the agent's end."""

    @property
    def running(self) -> bool:
        """Some are under way."""
        return bool(self._tasks)

    @property
    def idle(self) -> bool:
        """None is under way, and none will be by itself."""
        return not self._tasks and (self.resting or not self.ready)

    def under_way(self) -> dict[str, int]:
        """Paths of the nodes that are running now, and which attempt that is."""
        return {
            frame.path(frame.run.plan.nodes[index]): max(1, frame.run.attempts[index]) for frame, index in self._tasks
        }

    def trim(self) -> None:
        """Forget what was settled by something else while it waited for its turn."""
        while self.ready:
            _, frame, node = self.ready[0]
            if _may_start(frame, node):
                return
            self.ready.popleft()

    def launch(self) -> None:
        """Begin what may begin now; called again after each commit."""
        while self.ready and len(self._tasks) < self._limit and not self.resting:
            step, frame, node = self.ready[0]
            if not self._journal.holds(step):
                break
            self.ready.popleft()
            if not _may_start(frame, node):
                continue
            if node.bodies:
                self._open(frame, node)
            else:
                self._tasks[frame, node.index] = self._group.create_task(self._attempt(frame, node))

    def cut_off(self) -> None:
        """Cancel the attempts that were asked to end."""
        # Others wait for a commit and leave by themselves. A task that never began must not be cancelled: its code,
        # which takes it off the list, would never run.
        for (frame, index), task in list(self._tasks.items()):
            if frame.stop.requested and frame.run.states[index] is NodeState.RUNNING:
                task.cancel()

    def run_inline(self, frame: Frame, node: PlannedNode) -> Progress:
        """One attempt of a pure node, at once."""
        ctx = self.context(frame, node)
        started = self._services.clock.now()
        frame.run.move(node, NodeState.RUNNING)
        self._journal.started(frame, node, ctx.attempt, started)
        params = self.parameters(frame, node, ctx)
        if isinstance(params, Fail):
            return self._settlement.settle(frame, node, ctx, params, started)
        outcome = attempt_inline(node, ctx, params, services=self._services)
        return self._settlement.settle(frame, node, ctx, outcome, started)

    def context(self, frame: Frame, node: PlannedNode) -> AttemptContext:
        """What the code of the next attempt may use."""
        wake = self.wakes.pop((frame, node.index), None) if self.wakes else None
        if wake is None:
            frame.run.attempts[node.index] += 1
        return AttemptContext(
            self._services, self._row, path=frame.path(node), attempt=frame.run.attempts[node.index],
            pure=node.node.effect is Effect.PURE, wake=wake, stop=frame.stop, parent=frame.inputs.parent,
            flush=self._journal.flush,
        )  # fmt: skip

    def parameters(self, frame: Frame, node: PlannedNode, ctx: AttemptContext) -> msgspec.Struct | Fail:
        """The struct for an attempt, or why there is none."""
        if self._metering is not None:
            refused = self._metering.begin(frame, node, ctx)
            if refused is not None:
                return refused
        return frame.inputs.parameters(node)

    async def _attempt(self, frame: Frame, node: PlannedNode) -> None:
        """One attempt as a task."""
        try:
            progress = await self._try(frame, node)
        except asyncio.CancelledError:
            if frame.stop.requested:
                self._done(frame, node, self._settlement.cut(frame, node))
            raise
        self._done(frame, node, progress)

    async def _try(self, frame: Frame, node: PlannedNode) -> Progress:
        if not _may_start(frame, node):
            return Progress()
        if self.resting:
            self.ready.appendleft((0, frame, node))
            return Progress()
        run, index = frame.run, node.index
        ctx = self.context(frame, node)
        started = self._services.clock.now()
        run.first_start[index] = run.first_start[index] or started
        run.move(node, NodeState.RUNNING)
        if node.node.effect is Effect.AT_MOST_ONCE:
            await self._journal.declare(ctx.path, ctx.attempt, started)
            crash_point("intent-after-commit")
            if frame.stopped:
                return self._settlement.cut(frame, node)
        self._journal.started(frame, node, ctx.attempt, started)
        params = self.parameters(frame, node, ctx)
        if isinstance(params, Fail):
            return self._settlement.settle(frame, node, ctx, params, started)
        if self._services.cache is not None and node.node.cache is not None:
            known = await recalled(self._services.cache, node, frame.inputs, ctx, params)
            if known is not None:
                run.attempts[index] = ctx.attempt = 0
                return self._settlement.settle(frame, node, ctx, known, started)
        limit = _time_left(node, started, run.first_start[index])
        ctx.deadline = None if limit is None else self._services.clock.monotonic() + limit
        try:
            outcome = await attempt(node, ctx, params, limit=limit, services=self._services)
        finally:
            if ctx.spent:
                self._journal.spent(ctx)
        if self._metering is not None:
            outcome = self._metering.judge(node, ctx, outcome, run.first_start[index])
        crash_point("effect-before-result")
        return self._settlement.settle(frame, node, ctx, outcome, run.first_start[index])

    def _done(self, frame: Frame, node: PlannedNode, progress: Progress) -> None:
        del self._tasks[frame, node.index]
        self._advance(frame, progress)


_STARTABLE = (NodeState.READY, NodeState.RETRYING)


def _may_start(frame: Frame, node: PlannedNode) -> bool:
    """Still: a failure or a cancellation may have settled it while it waited for its turn."""
    return frame.run.states[node.index] in _STARTABLE


def _time_left(node: PlannedNode, now: int, first_start: int) -> float | None:
    """Seconds that an attempt may take: the node's `timeout`, and what is left of its `deadline` and wall time."""
    rules = node.node
    limit = rules.timeout
    if rules.deadline is None and rules.limits is None:
        return limit
    wall_time = None if rules.limits is None else rules.limits.wall_time
    for whole in (rules.deadline, wall_time):
        if whole is not None:
            left = max(0.0, whole - (now - first_start) / 1_000_000)
            limit = left if limit is None else min(limit, left)
    return limit
