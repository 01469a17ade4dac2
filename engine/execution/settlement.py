"""From an outcome to what it means: states, rows, facts, and the nodes that may start now. The whole retry policy."""

from engine.contract import Done, Effect, Fail, LimitReached, Retry, Wait
from engine.definition.model import SET_TYPE
from engine.execution.attempt import Handed, checked
from engine.execution.context import AttemptContext
from engine.execution.frame import Frame
from engine.execution.journal import Journal
from engine.execution.node_timers import NodeTimers
from engine.execution.retry import retry_delay
from engine.execution.run import NodeError, Progress
from engine.execution.services import Services
from engine.expressions import ExpressionError
from engine.planning.plan import PlannedNode
from engine.states import NodeState
from engine.values import Json, encode_json


class Settlement:
    """Settles the nodes of one run."""

    def __init__(
        self, journal: Journal, timers: NodeTimers, services: Services, variables: dict[str, Json]
    ) -> None:  # fmt: skip
        self._journal = journal
        self._timers = timers
        self._services = services
        self._variables = variables
        """`vars` of the execution: what `set` nodes give is assigned to them."""
        self._handed = Handed()
        self.waiting: dict[str, tuple[Frame, PlannedNode, bytes | None]] = {}
        """Nodes that wait, by path, and their memos."""

    def settle(self, frame: Frame, node: PlannedNode, ctx: AttemptContext, returned: object, started: int) -> Progress:
        """What an attempt returned; `started` is when the node's first attempt began."""
        self._handed.scope = frame.inputs.shared
        outcome, body = checked(returned, node, ctx, self._services.config.max_output_bytes, self._handed)
        now = self._services.clock.now()
        run = frame.run
        match outcome:
            case Done(output=output, port=port):
                if ctx.account is not None:
                    try:
                        ctx.account.deliver(ctx.path, len(body))
                    except LimitReached as reached:
                        error = NodeError("limit", str(reached), ctx.attempt)
                        return self._fail(frame, node, ctx, error, started, now)
                self._journal.completed(frame, node, ctx, body, port=port, started=started, now=now)
                if node.type.name == SET_TYPE and isinstance(output, dict):
                    self._variables.update(output)
                return run.settle(node, NodeState.COMPLETED, frame.inputs.when, output=output, port=port, at=now)
            case Wait(until=until, expects=expects):
                run.move(node, NodeState.WAITING)
                self._journal.waiting(frame, node, ctx, body, started=started, due=until, now=now, expects=expects)
                self.waiting[frame.path(node)] = (frame, node, body)
                if until is not None:
                    self._timers.set(frame, node, until, body)
                return Progress()
            case Retry(error=message, kind="timeout") if node.node.effect is Effect.AT_MOST_ONCE:
                # Nobody knows what an attempt did that was cut off: only a person may have it repeated.
                run.move(node, NodeState.IN_DOUBT)
                self._journal.cut_short(
                    frame, node, NodeError("timeout", message, ctx.attempt), started=started, now=now
                )
                return Progress()
            case Retry(error=message, kind=kind, after=after):
                error = NodeError(kind, message, ctx.attempt)
                delay = retry_delay(node.node.retry, ctx.attempt, after, jitter=self._services.jitter)
                if not self._may_retry(frame, node, ctx.attempt, (now - started) / 1_000_000 + delay):
                    return self._fail(frame, node, ctx, error, started, now)
                due = now + round(delay * 1_000_000)
                run.move(node, NodeState.RETRYING)
                self._journal.retrying(frame, node, error, started=started, due=due, now=now)
                self._timers.set(frame, node, due)
                return Progress()
            case Fail(kind="cancelled") if frame.stop.requested:
                return self.cut(frame, node)  # it ended itself, because it was asked to
            case Fail(error=message, kind=kind):
                return self._fail(frame, node, ctx, NodeError(kind, message, ctx.attempt), started, now)

    def cut(self, frame: Frame, node: PlannedNode) -> Progress:
        """An attempt was cut off because its execution stops."""
        if frame.run.states[node.index] is not NodeState.RUNNING:
            return Progress()
        now = self._services.clock.now()
        self._journal.cancelled(frame, node, now)
        return frame.run.settle(node, NodeState.CANCELLED, frame.inputs.when, at=now)

    def _may_retry(self, frame: Frame, node: PlannedNode, attempt: int, seconds: float) -> bool:
        """`seconds` is how long after the first attempt the next one would begin."""
        deadline = node.node.deadline
        return not frame.stopped and attempt <= node.node.retry.max and (deadline is None or seconds < deadline)

    def _fail(
        self, frame: Frame, node: PlannedNode, ctx: AttemptContext, error: NodeError, started: int, now: int
    ) -> Progress:
        run, ask = frame.run, frame.inputs.when
        if node.default is not None:
            run.tell_error(node, error)
            try:
                output = frame.inputs.default(node)
                body = encode_json(output)
            except (ExpressionError, ValueError) as refused:
                error = NodeError("expression", f"default: {refused}", error.attempt)
            else:
                ctx.publications.clear()
                ctx.children.clear()
                self._journal.completed(frame, node, ctx, body, port=None, started=started, now=now, error=error)
                return run.settle(node, NodeState.COMPLETED, ask, output=output, error=error, at=now)
        self._journal.failed(frame, node, error, started=started, now=now)
        return run.settle(node, NodeState.FAILED, ask, error=error, at=now)
