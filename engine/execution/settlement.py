"""From an outcome to what it means: states, rows, facts, and the nodes that may start now. The whole retry policy."""

from engine.contract import Done, Effect, Fail, Retry, Wait
from engine.execution.attempt import checked
from engine.execution.context import AttemptContext, Stop
from engine.execution.inputs import Inputs
from engine.execution.journal import Journal
from engine.execution.node_timers import NodeTimers
from engine.execution.plan import PlannedNode
from engine.execution.retry import retry_delay
from engine.execution.run import NodeError, Progress, Run
from engine.execution.services import Services
from engine.expressions import ExpressionError
from engine.states import NodeState
from engine.values import encode_json


class Settlement:
    """Settles the nodes of one run."""

    def __init__(
        self, run: Run, inputs: Inputs, journal: Journal, timers: NodeTimers, services: Services, stop: Stop
    ) -> None:
        self._run = run
        self._inputs = inputs
        self._journal = journal
        self._timers = timers
        self._services = services
        self._stop = stop

    def settle(self, node: PlannedNode, ctx: AttemptContext, returned: object, started: int) -> Progress:
        """What an attempt returned; `started` is when the node's first attempt began."""
        outcome, body = checked(returned, node, ctx, self._services.config.max_output_bytes)
        now = self._services.clock.now()
        match outcome:
            case Done(output=output, port=port):
                self._journal.completed(node, ctx, body, port=port, started=started, now=now)
                return self._run.settle(node, NodeState.COMPLETED, self._inputs.when, output=output, port=port, at=now)
            case Wait(until=until):
                self._run.move(node, NodeState.WAITING)
                self._journal.waiting(node, body, started=started, due=until, now=now)
                if until is not None:
                    self._timers.set(node, until, body)
                return Progress()
            case Retry(error=message, kind="timeout") if node.node.effect is Effect.AT_MOST_ONCE:
                # Nobody knows what an attempt did that was cut off: only a person may have it repeated.
                self._run.move(node, NodeState.IN_DOUBT)
                self._journal.cut_short(node, NodeError("timeout", message, ctx.attempt), started=started, now=now)
                return Progress()
            case Retry(error=message, kind=kind, after=after):
                error = NodeError(kind, message, ctx.attempt)
                delay = retry_delay(node.node.retry, ctx.attempt, after, jitter=self._services.jitter)
                if not self._may_retry(node, ctx.attempt, (now - started) / 1_000_000 + delay):
                    return self._fail(node, ctx, error, started, now)
                due = now + round(delay * 1_000_000)
                self._run.move(node, NodeState.RETRYING)
                self._journal.retrying(node, error, started=started, due=due, now=now)
                self._timers.set(node, due)
                return Progress()
            case Fail(error=message, kind=kind):
                return self._fail(node, ctx, NodeError(kind, message, ctx.attempt), started, now)

    def cut(self, node: PlannedNode) -> Progress:
        """An attempt was cut off because its execution stops."""
        if self._run.states[node.index] is not NodeState.RUNNING:
            return Progress()
        now = self._services.clock.now()
        self._journal.cancelled(node, now)
        return self._run.settle(node, NodeState.CANCELLED, self._inputs.when, at=now)

    def _may_retry(self, node: PlannedNode, attempt: int, seconds: float) -> bool:
        """`seconds` is how long after the first attempt the next one would begin."""
        deadline = node.node.deadline
        return not self._stop.requested and attempt <= node.node.retry.max and (deadline is None or seconds < deadline)

    def _fail(self, node: PlannedNode, ctx: AttemptContext, error: NodeError, started: int, now: int) -> Progress:
        ask = self._inputs.when
        if node.default is not None:
            self._run.tell_error(node, error)
            try:
                output = self._inputs.default(node)
                body = encode_json(output)
            except (ExpressionError, ValueError) as refused:
                error = NodeError("expression", f"default: {refused}", error.attempt)
            else:
                ctx.publications.clear()
                self._journal.completed(node, ctx, body, port=None, started=started, now=now, error=error)
                return self._run.settle(node, NodeState.COMPLETED, ask, output=output, error=error, at=now)
        self._journal.failed(node, error, started=started, now=now)
        return self._run.settle(node, NodeState.FAILED, ask, error=error, at=now)
