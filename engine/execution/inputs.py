"""What a node's fields can see, and how they become parameters, conditions and outputs."""

import msgspec

from engine.contract import Fail
from engine.execution.parameters import InvalidParameters
from engine.execution.plan import Plan, PlannedNode
from engine.execution.run import Run
from engine.execution.services import Services
from engine.expressions import ExpressionError, Scope
from engine.store.executions import ExecutionRow
from engine.values import Json


class Inputs:
    """The scope of one execution. Evaluation is repeatable: `now()` is recorded, random values are seeded by path."""

    def __init__(self, plan: Plan, row: ExecutionRow, run: Run, services: Services, started_at: int) -> None:
        self._plan = plan
        self._row = row
        self._run = run
        self._started_at = started_at
        self._execution: dict[str, Json] = {"id": row.id, "attempt": 1}
        self._values: dict[str, Json] = {
            "trigger": row.trigger_value,
            "params": {**plan.workflow.bound, **row.param_values},
            "nodes": run.outputs,
            "errors": run.errors,
            "vars": {},
            "execution": self._execution,
            "agent": services.agent,
        }

    @property
    def trigger_kind(self) -> str:
        """What started the execution: nats, cron, cli …"""
        trigger = self._values["trigger"]
        return str(trigger.get("kind", "")) if isinstance(trigger, dict) else ""

    def parameters(self, node: PlannedNode) -> msgspec.Struct | Fail:
        """The struct for one attempt, or why there is none."""
        try:
            return node.parameters.evaluate(self._scope(node))
        except ExpressionError as error:
            return Fail(str(error), kind="expression")
        except InvalidParameters as error:
            return Fail(str(error), kind="invalid")

    def when(self, node: PlannedNode) -> bool:
        """The value of a node's `when`. Raises ValueError with a message for people."""
        if node.when is None:
            return True
        value = node.when.evaluate(self._scope(node))
        if not isinstance(value, bool):
            raise ValueError("it gave no true or false: compare it, such as `x > 0` or `x is defined`")
        return value

    def default(self, node: PlannedNode) -> Json:
        """The value that replaces a failed node's output. Raises ExpressionError."""
        return None if node.default is None else node.default.evaluate(self._scope(node))

    def outputs(self) -> Json:
        """The workflow's outputs. Raises ExpressionError."""
        if self._plan.outputs is None:
            return None
        now = max(self._run.finished_at, default=self._started_at)
        return self._plan.outputs.evaluate(Scope(self._values, now=now, seed=self._row.id))

    def _scope(self, node: PlannedNode) -> Scope:
        self._execution["attempt"] = max(1, self._run.attempts[node.index])
        finished_at = self._run.finished_at
        # The recorded time of the last input: it is in the rows, so that an evaluation after a crash sees the same.
        now = max([finished_at[source] for source in node.waits], default=self._started_at)
        return Scope(self._values, now=now, seed=f"{self._row.id}/{node.node.id}")
