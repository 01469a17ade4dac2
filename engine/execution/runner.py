"""Drives one execution: takes up what happens, writes it down, ends or parks it.

`_step` is synchronous: a node settled, pure successors run at once, and everything that became true is one commit.
Successors with effects become tasks as soon as that commit is durable (see `attempts`). Control-flow nodes open frames
(see `constructs`), which are taken up in the same way.
"""

import asyncio
from collections.abc import Callable, Mapping
from enum import Enum

import msgspec

from engine.contract import Fail, Wake
from engine.execution.attempts import Attempts
from engine.execution.constructs import Constructs
from engine.execution.context import Stop
from engine.execution.frame import Frame
from engine.execution.inputs import Inputs, starting_variables
from engine.execution.journal import Journal
from engine.execution.large import NONE_HELD, Held
from engine.execution.lifetime import Lifetime
from engine.execution.metering import KIND, Metering, tallied
from engine.execution.node_timers import NodeTimers
from engine.execution.path import read_path
from engine.execution.restoration import Restored, Rows
from engine.execution.run import NodeError, Progress, Run
from engine.execution.services import Services
from engine.execution.settlement import Settlement
from engine.execution.work import Work
from engine.expressions import ExpressionError
from engine.planning.plan import Plan, PlannedNode
from engine.states import ExecutionState, NodeState
from engine.store import Store
from engine.store.checkpoints import NodeRow
from engine.store.executions import ExecutionRow
from engine.values import encode_json

Successor = Callable[[Plan, ExecutionRow, NodeError, str], ExecutionRow | None]
"""Makes the execution of `on_failure`: (plan of the failed execution, its row, its error, the node) -> row."""

STEP_NODES = 200
"""Pure nodes that one step runs at most: others have their turn between two steps."""
MAX_LAG = 8
"""Steps that may be on their way to the disk before the next one begins."""


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
        successor: Successor, answers: Mapping[str, bytes | None] | None = None, held: Held = NONE_HELD,
    ) -> None:  # fmt: skip
        """`held`: large values among the nodes. `answers`: what nodes wait for, by path, and what came while the
        execution was not in memory."""
        self.row = row
        self.plan = plan
        self.state = ExecutionState.RUNNING
        self.successor: ExecutionRow | None = None
        """The execution that its failure started, once it is committed."""
        self._make_successor = successor
        self._clock = services.clock
        self._config = services.config
        self._loop = asyncio.get_running_loop()
        self._fresh = row.started_at is None
        self._begun = False
        self._started_at = row.started_at or self._clock.now()
        self._held = held
        self._rows = Rows(nodes, self._held)
        self._answers = dict(answers or {})
        variables = self._rows.variables(starting_variables(plan, row), plan.setters)
        run = Run(plan)
        run.partial = any(_is_lack(row, plan) for row in nodes)
        inputs = Inputs.of_execution(plan, row, run, services, self._started_at, variables)
        self._root = Frame(run, inputs, Stop(), began=self._started_at)
        tally = tallied(nodes, plan.holders)
        self._neighbours = services.neighbours
        self._metering = Metering(plan, row, nodes, tally, services, self._look_again) if plan.metered else None
        self._journal = Journal(
            store, services, plan, row, self._root, self._rows.last_seq, tally,
            durable=self._durable, failed=self._give_up,
        )  # fmt: skip
        self._journal.expecting.update(self._answers)
        self._timers = NodeTimers(services.clock, self._woken)
        self._settlement = Settlement(self._journal, self._timers, services, variables)
        self._group = asyncio.TaskGroup()
        self._attempts = Attempts(
            row, services, self._journal, self._settlement, group=self._group,
            limit=plan.workflow.max_concurrent_nodes or self._config.max_concurrent_nodes,
            advance=self._advance, open=self._open, metering=self._metering,
        )  # fmt: skip
        self._work = Work()
        self._constructs = Constructs(
            self._rows, self._journal, self._settlement, self._timers, services, self._work,
            context=self._attempts.context, parameters=self._attempts.parameters, metering=self._metering,
            restored=self._take_up, expired=self._cut_off,
        )  # fmt: skip
        self._stepping = self._later = False
        self._lifetime = Lifetime(
            plan, row.retried_at or self._started_at, self._metering, services.clock, over=self.fail, warned=self._step
        )
        self._grace: asyncio.TimerHandle | None = None
        self._reason = ""
        self._pausing = self._halting = self._closed = False
        self._halted: asyncio.Future[Halt] = self._loop.create_future()

    # --- its life

    async def drive(self) -> Halt:
        """Run until the execution ends or nothing can be done now; what is returned is committed.

        Raises an ExceptionGroup of StoreError when the store can't be written: the process must stop.
        """
        self._neighbours.come()
        try:
            async with self._group:
                self._begin()
                return await self._halted
        finally:
            self._held.release()
            self._neighbours.go()
            self._timers.clear()
            self._constructs.forget()
            self._lifetime.forget()
            if self._grace is not None:
                self._grace.cancel()
            if self._closed:
                self._let_go()

    def _let_go(self) -> None:
        """Its parts know each other in circles. Cut, they go now and not when the collector comes by, which is after
        50,000 executions and 50 MB."""
        for part in ("_attempts", "_constructs", "_group", "_journal", "_lifetime", "_settlement", "_timers", "_root"):
            vars(self).pop(part)

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
        self._rest()
        self._step()

    def go_on(self) -> None:
        """Take a `pause` back that has not come into effect."""
        self._pausing = False
        self._rest()
        for frame in list(self._root.all()):
            for active in list(frame.opened.values()):
                self._constructs.proceed(active)
        self._step()

    def halt(self) -> None:
        """The agent is stopping: the same, but the state stays, so that the next start goes on by itself."""
        self._halting = True
        self._rest()
        self._step()

    def cancel(self, reason: str = "") -> asyncio.Future[None] | None:
        """Start nothing more but `finally`; attempts under way are asked to end, and cut off after the grace time. The
        future says when that is durable."""
        if not (self._closed or self._root.run.cancelling):
            self._be_cancelled(reason)
            self._constructs.stop_frame(self._root, request=True)
            self._grace = self._loop.call_later(self._config.grace_seconds, self._attempts.cut_off)
            self._step()
        return self._journal.last

    def answer(self, path: str, body: bytes) -> None:
        """What a waiting node waited for has come, and is durable."""
        waiting = self._settlement.waiting.get(path)
        if waiting is None or self._closed:
            self._answers[path] = body
            return
        frame, node, _ = waiting
        self._timers.drop(frame, node)
        self._wake(frame, node, Wake(self._clock.now(), None, answered=True, answer=msgspec.json.decode(body)))

    def under_way(self) -> dict[str, int]:
        """Paths of the nodes that are running now, and which attempt that is."""
        return self._attempts.under_way()

    # --- its beginning

    def _begin(self) -> None:
        now = self._clock.now()
        self._begun = True
        late = self._lifetime.is_over
        dying = self.row.status is ExecutionState.CANCELLING or late
        if self._fresh:
            self._journal.begun(self._started_at, self._root.inputs.trigger_kind)
        else:
            if self.row.deaths:
                self._journal.went_on()
            self._take_up(self._root, self._rows.restore(self._root, self._journal, self._timers, now), dying)
        if self.row.status is ExecutionState.CANCELLING:
            self.cancel(self.row.reason)
        elif late:
            self._lifetime.end()
        else:
            self._lifetime.watch()
            self._advance(self._root, self._root.run.begin(self._root.inputs.when, now))

    def _take_up(self, frame: Frame, found: Restored, dying: bool) -> None:
        """Go on in a frame where its rows say that it was."""
        self._attempts.ready.extend((0, frame, node) for node in found.again)
        for node, row in found.waiting:
            path = frame.path(node)
            self._settlement.waiting[path] = (frame, node, row.output)
            answer = self._answers.pop(path, None)
            if answer is not None and not dying:
                self._timers.drop(frame, node)
                wake = Wake(self._clock.now(), None, answered=True, answer=msgspec.json.decode(answer))
                self._wake(frame, node, wake, step=False)
        for node, row in found.refused if not dying else ():
            self._work.add(frame, self._refused(frame, node, row))
        for node, row in found.reopen:
            self._constructs.reopen(frame, node, row, dying=dying)

    def _refused(self, frame: Frame, node: PlannedNode, row: NodeRow) -> Progress:
        """A person said that the last attempt failed: the row tells why."""
        frame.run.attempts[node.index] -= 1  # it is that attempt, and no other
        ctx = self._attempts.context(frame, node)
        error = msgspec.json.decode(row.error or b"{}", type=NodeError)
        frame.run.move(node, NodeState.RUNNING)
        return self._settlement.settle(frame, node, ctx, Fail(error.message, kind=error.kind), row.started_at or 0)

    # --- one step

    def _advance(self, frame: Frame, progress: Progress) -> None:
        self._work.add(frame, progress)
        self._step()

    def _step(self) -> None:
        """Take up what happened until nothing is left to do at once; make it durable; end if this is the end."""
        if self._closed or self._stepping:
            return
        self._stepping = True
        left = STEP_NODES
        while True:
            while self._work and left > 0:
                left -= self._take(*self._work.take())
            if self._metering is None or not self._heed(self._metering):
                break
        self._attempts.trim()
        halt = self._closing()
        self._journal.commit(flush=halt is not None)
        self._stepping = False
        if halt is not None:
            self._close(halt)
            return
        if self._work:
            self._go_on_later()
        self._attempts.launch()

    def _take(self, frame: Frame, progress: Progress) -> int:
        """Take up one thing that happened; returns how many nodes that ran at once."""
        ran = 0
        if progress.skipped or progress.failed:
            now = self._clock.now()
            for node, reason in progress.skipped:
                self._journal.skipped(frame, node, reason, now)
            for node, error in progress.failed:
                self._journal.failed(frame, node, error, started=None, now=now)
        for node in progress.start:
            if self._pausing or self._halting or not (node.inline or node.bodies):
                self._attempts.ready.append((self._journal.step if node.waits or frame.active else 0, frame, node))
            elif frame.run.states[node.index] is not NodeState.READY:
                continue
            elif node.bodies:
                self._constructs.open(frame, node)
            else:
                self._work.add(frame, self._attempts.run_inline(frame, node))
                ran += 1
        if frame.run.failure is not None and not frame.told:
            frame.told = True
            for active in list(frame.opened.values()):
                self._constructs.stop(active, request=False)
        if frame.active is not None and frame.run.settled and not frame.untold:
            self._constructs.settled(frame)
        return ran

    def _heed(self, metering: Metering) -> bool:
        """Write down what limits warn of, and stop what came to its limit; true if that is anything."""
        now = self._clock.now()
        for warning in metering.warnings():
            self._journal.warned(warning, now)
        reached = {account.path: str(account.reached) for account in metering.stops()}
        stopped = False
        for active in self._root.constructs() if reached else ():
            if active.path in reached and not active.stopping:
                self._constructs.stop(active, request=True, error=(KIND, reached[active.path]))
                stopped = True
        verdict = metering.verdict
        if verdict is not None and not self._root.stopped:
            self._root.run.fail(verdict)
            self._root.told = True
            self._constructs.stop_frame(self._root, request=True)
            stopped = True
        if stopped:
            self._attempts.cut_off()
        return stopped

    def _look_again(self) -> None:
        """The metering has something to say; perhaps from within an attempt, or a step."""
        if self._begun:
            self._loop.call_soon(self._step)

    def _go_on_later(self) -> None:
        """Others have their turn, and the disk catches up, before the next step."""
        if not self._later and self._journal.lag < MAX_LAG:
            self._later = True
            self._loop.call_soon(self._go_on_now)

    def _go_on_now(self) -> None:
        self._later = False
        self._step()

    def _durable(self) -> None:
        """One more commit is on the disk."""
        if self._closed:
            return
        if self._work and not self._stepping:
            self._go_on_later()
        self._attempts.launch()
        if self._work and not self._stepping:  # a control-flow node began
            self._go_on_later()

    def _open(self, frame: Frame, node: PlannedNode) -> None:
        self._constructs.open(frame, node)
        if not self._stepping:
            self._go_on_later()

    def _rest(self) -> None:
        self._attempts.resting = self._constructs.resting = self._pausing or self._halting

    # --- the end

    def _closing(self) -> Halt | None:
        """What the end is, if this is the end; completes the step with it."""
        if self._work or not self._attempts.idle:
            return None
        now = self._clock.now()
        if self._root.run.settled:
            self._finish(now)
            return Halt.FINISHED
        if self._halting:
            return Halt.INTERRUPTED
        if self._pausing:
            return self._park(ExecutionState.PAUSED, now)
        due = self._timers.next_due
        if due is not None and due - now <= self._config.park_seconds * 1_000_000:
            return None
        if self.state is ExecutionState.CANCELLING:
            return None
        moments = [moment for moment in (due, self._lifetime.next_moment()) if moment is not None]
        return self._park(ExecutionState.WAITING, now, min(moments, default=None))

    def _park(self, state: ExecutionState, now: int, due: int | None = None) -> Halt:
        self.state = state
        self._journal.moved(state, now, due=due)
        return Halt.PARKED

    def _finish(self, now: int) -> None:
        outputs = None
        run = self._root.run
        if run.failure is None and not run.cancelling:
            try:
                if self.plan.outputs is not None:
                    outputs = encode_json(self._root.inputs.value(self.plan.outputs))
                else:
                    outputs = encode_json(None)
            except (ExpressionError, ValueError) as error:
                run.fail(NodeError("outputs", f"outputs: {error}"))
        self.state = run.ending
        if self.state is ExecutionState.FAILED and run.failure is not None:
            node, failure = run.failure
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

    def _be_cancelled(self, reason: str) -> None:
        self._root.run.cancelling, self._reason = True, reason[:2000]
        self.state = ExecutionState.CANCELLING
        self._pausing = False
        self._rest()
        self._journal.moved(ExecutionState.CANCELLING, self._clock.now())

    def _cut_off(self) -> None:
        """The time of a control-flow node is over."""
        if not self._closed:
            self._attempts.cut_off()
            self._step()

    def fail(self, error: NodeError) -> None:
        """The execution itself failed: start nothing more but `finally`, and cut off what runs."""
        if not self._closed:
            self._root.run.fail(error)
            self._root.told = True
            self._constructs.stop_frame(self._root, request=True)
            self._attempts.cut_off()
            self._step()

    # --- waiting nodes

    def _woken(self, frame: Frame, node: PlannedNode, due: int, memo: bytes | None) -> None:
        self._wake(frame, node, Wake(due))

    def _wake(self, frame: Frame, node: PlannedNode, wake: Wake, *, step: bool = True) -> None:
        """A waiting or retrying node has its turn."""
        if frame.run.states[node.index] is NodeState.WAITING:
            waiting = self._settlement.waiting.pop(frame.path(node), None)
            memo = None if waiting is None else waiting[2]
            frame.run.move(node, NodeState.READY)
            decoded = None if memo is None else msgspec.json.decode(memo)
            self._attempts.wakes[frame, node.index] = msgspec.structs.replace(wake, memo=decoded)
        # A timer commits first: the row that it comes from may still be on its way.
        self._attempts.ready.append((self._journal.step - 1, frame, node))
        if step:
            self._step()


def _is_lack(row: NodeRow, plan: Plan) -> bool:
    """Whether a node failed before that the execution can do without; its body may be over, and is not opened again."""
    if row.status is not NodeState.FAILED or not plan.dispensable:
        return False
    path = read_path(row.path)
    return not path.is_body and path.key in plan.dispensable
