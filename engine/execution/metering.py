"""What limits and degradation mean for one execution: who pays for an attempt, and what ends at a limit.

Made only where a workflow has any of them. A limit of a node fails the node; one of a control-flow node stops what is
in it; one of the workflow fails the execution, as a timeout would. `finally` runs in each case.
"""

from collections.abc import Callable, Container, Iterable

from engine.contract import Fail, LimitReached, Outcome, Retry, Wait
from engine.execution.context import AttemptContext
from engine.execution.frame import Frame
from engine.execution.path import read_path
from engine.execution.run import NodeError
from engine.execution.services import Services
from engine.limits.account import WARN_AT, Account, Limit, amount
from engine.limits.growth import Growth
from engine.limits.meter import LimitWarning, Meter
from engine.limits.tally import Tally
from engine.planning.plan import Plan, PlannedNode
from engine.resources.resident import resident_bytes
from engine.states import SETTLED, NodeState
from engine.store.checkpoints import NodeRow
from engine.store.executions import ExecutionRow
from engine.store.usage import Usage, read_usage

KIND = "limit"
"""Of the error of what came to its limit."""


class Metering:
    """The accounts of one execution, and what they are charged with."""

    def __init__(
        self, plan: Plan, row: ExecutionRow, rows: Iterable[NodeRow], tally: Tally, services: Services,
        wake: Callable[[], None],
    ) -> None:  # fmt: skip
        """`wake` is called when `warnings`, `stops` or `verdict` may have something new."""
        self._clock = services.clock
        self._limits = plan.workflow.limits
        self._max_failures = plan.workflow.degradation.max_failures
        self._tally = tally
        self._meter = Meter(plan.workflow.name, self._limits, warned=row.warned.split(), wake=wake)
        self.root = self._meter.root
        self._rows = {row.path: row for row in rows if not read_path(row.path).is_body}
        self._charge(self.root, self._rows.values())
        self.root.add(Limit.NODES, sum(row.attempt > 0 for row in self._rows.values()))
        self._neighbours = services.neighbours
        self._growth: Growth | None = None
        self._accounts: dict[str, Account] = {}

    # --- attempts

    def enter(self, frame: Frame, node: PlannedNode, ctx: AttemptContext) -> None:
        """Say who pays for an attempt, or for all that is in a control-flow node."""
        above = frame.account or self.root
        ctx.account = above if node.node.limits is None else self._own(ctx.path, node, above)
        ctx.when_room = self._meter.when_room

    def begin(self, frame: Frame, node: PlannedNode, ctx: AttemptContext) -> Fail | None:
        """The same where an attempt begins; a Fail if it must not."""
        self.enter(frame, node, ctx)
        if self._growth is None and Limit.MEMORY_GROWTH in self.root.limits:
            self._growth = Growth(self._neighbours, resident_bytes)
        if ctx.account is None or ctx.attempt > 1 or ctx.wake is not None:
            return None
        try:
            ctx.account.take(Limit.NODES)
        except LimitReached as error:
            return Fail(str(error), kind=KIND)
        return None

    def judge(self, node: PlannedNode, ctx: AttemptContext, outcome: Outcome, first_start: int) -> Outcome:
        """What an attempt's outcome becomes: a limit of the node itself that was reached meanwhile fails it."""
        if self._growth is not None:
            self.root.set(Limit.MEMORY_GROWTH, self._growth.measure())
        limits = node.node.limits
        if limits is None:
            return outcome
        if not isinstance(outcome, Retry | Wait):
            self._accounts.pop(ctx.path, None)
        if ctx.account is not None and ctx.account.reached is not None:
            return Fail(str(ctx.account.reached), kind=KIND)
        if isinstance(outcome, Retry) and outcome.kind == "timeout" and limits.wall_time is not None:
            passed = (self._clock.now() - first_start) / 1_000_000
            if passed >= limits.wall_time:
                return Fail(time_is_over(limits.wall_time, f"node {ctx.path}"), kind=KIND)
        return outcome

    def shelter(self, account: Account | None) -> Account:
        """Who pays for nodes that clean up: nobody may refuse them."""
        return self._meter.sheltered(account or self.root)

    # --- what the runner takes up

    def warnings(self) -> list[LimitWarning]:
        """New ones, to be written down."""
        found, self._meter.warnings = self._meter.warnings, []
        return found

    def stops(self) -> list[Account]:
        """Accounts of nodes that came to their limit since the last look."""
        found, self._meter.reached = self._meter.reached, []
        return [account for account in found if account is not self.root]

    @property
    def verdict(self) -> NodeError | None:
        """Why the execution must fail."""
        if self.root.reached is not None:
            return NodeError(KIND, str(self.root.reached))
        if self._max_failures is not None and self._tally.failures > self._max_failures:
            return NodeError(
                "failures",
                f"{self._tally.failures} nodes failed, more than degradation.max_failures allows "
                f"({self._max_failures}); `ganglion show` tells which",
            )
        return None

    # --- time

    @property
    def seconds(self) -> float | None:
        """How long the execution may take."""
        return None if self._limits is None else self._limits.wall_time

    @property
    def warns_after(self) -> float | None:
        """After how many seconds there is a warning of the time."""
        return None if self.seconds is None else self.seconds * WARN_AT

    def warn_of_time(self, passed: float) -> None:
        """The time at which there is a warning has come."""
        if self.seconds is not None:
            self._meter.warn("", Limit.WALL_TIME, used=passed, limit=self.seconds)

    # --- how

    def _own(self, path: str, node: PlannedNode, above: Account) -> Account:
        account = self._accounts.get(path)
        if account is None:
            account = self._meter.account(path, node.node.limits, above)
            if not node.inline:  # that has one attempt alone, and there may be very many
                self._accounts[path] = account
            rows = [self._rows[path]] if path in self._rows else []
            if node.bodies:
                rows += [row for name, row in self._rows.items() if name.startswith((f"{path}/", f"{path}["))]
            account.above = None  # what rows tell of is on the account of the execution already
            self._charge(account, rows)
            account.above = above
        return account

    def _charge(self, account: Account, rows: Iterable[NodeRow]) -> None:
        """Charge an account with what rows tell of."""
        for row in rows:
            used = read_usage(row.usage)
            account.add(Limit.API_CALLS, used.api_calls)
            account.add(Limit.LLM_TOKENS, used.llm_tokens)
            if row.status is NodeState.COMPLETED:
                account.add(Limit.OUTPUT_BYTES, output_size(row, used))


def time_is_over(seconds: float, what: str) -> str:
    """The message of a wall time that has passed."""
    limit = amount(Limit.WALL_TIME, seconds)
    return f"wall_time: the limit of {limit} is over; raise limits.wall_time of the {what}, or let it need less"


def tallied(rows: Iterable[NodeRow], holders: Container[str] = ()) -> Tally:
    """What the rows of an execution tell of its nodes; `holders` are the keys of those that hold others."""
    tally = Tally()
    for row in rows:
        path = read_path(row.path)
        if path.is_body:
            continue
        used = read_usage(row.usage)
        if row.usage is not None:
            tally.spent(row.path, Usage(api_calls=used.api_calls, llm_tokens=used.llm_tokens))
        if row.status in SETTLED:
            size = output_size(row, used) if row.status is NodeState.COMPLETED else 0
            tally.settled(row.status, attempts=row.attempt, output_bytes=size, holds=path.key in holders)
    return tally


def output_size(row: NodeRow, used: Usage) -> int:
    """Bytes of an output, wherever it is stored."""
    return used.large_bytes or (0 if row.output is None else len(row.output))
