"""What a node's fields can see, and how they become parameters, conditions and outputs."""

from collections.abc import Iterable, Mapping

import msgspec

from engine.contract import Fail
from engine.execution.run import Run
from engine.execution.services import Parent, Services
from engine.expressions import ExpressionError, Program, Scope
from engine.planning.parameters import InvalidParameters
from engine.planning.plan import Plan, PlannedBody, PlannedNode
from engine.store.executions import ExecutionRow
from engine.values import Json


class Inputs:
    """The scope of one frame. Evaluation is repeatable: `now()` is recorded, random values are seeded by path."""

    __slots__ = ("_began", "_run", "_seed", "_values")

    def __init__(self, values: dict[str, Json], run: Run, seed: str, began: int) -> None:
        self._values = values
        self._run = run
        self._seed = seed
        self._began = began
        """The recorded time at which the frame was opened (microseconds)."""

    @classmethod
    def of_execution(
        cls, plan: Plan, row: ExecutionRow, run: Run, services: Services, began: int, variables: dict[str, Json]
    ) -> "Inputs":
        """The scope of a whole execution; `variables` are its `vars`, which `set` nodes change."""
        values: dict[str, Json] = {
            "trigger": row.trigger_value,
            "params": {**plan.workflow.bound, **row.param_values},
            "nodes": run.outputs,
            "errors": run.errors,
            "vars": variables,
            "execution": {"id": row.id, "attempt": 1},
            "agent": services.agent,
        }
        return cls(values, run, f"{row.id}/", began)

    def inside(self, run: Run, names: Mapping[str, Json], suffix: str, began: int) -> "Inputs":
        """The scope of a body: what is around it, its own nodes, and its names."""
        values = {**self._values, **names, "nodes": run.outputs, "errors": run.errors}
        return Inputs(values, run, f"{self._seed}{suffix}/", began)

    def visible(self, body: PlannedBody) -> tuple[dict[str, Json], dict[str, Json]]:
        """Outputs and errors of the nodes outside that a body refers to, those that there are."""
        nodes, errors = self._values["nodes"], self._values["errors"]
        return (
            {id: nodes[id] for id in body.outward if id in nodes},
            {id: errors[id] for id in body.outward if id in errors},
        )

    def shared(self) -> Iterable[Json]:
        """Values that nobody changes: outputs in scope, trigger, parameters, items; not `vars`."""
        yield from self._values["nodes"].values()
        yield from (value for name, value in self._values.items() if name not in _CHANGING)

    @property
    def trigger_kind(self) -> str:
        """What started the execution: nats, cron, cli …"""
        trigger = self._values["trigger"]
        return str(trigger.get("kind", "")) if isinstance(trigger, dict) else ""

    def parent(self, row: ExecutionRow, path: str) -> Parent:
        """The execution as the parent of what its node at `path` starts."""
        return Parent(row, path, self._values["params"], dict(self._values["vars"]))

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
        return True if node.when is None else _truth(node.when.evaluate(self._scope(node)))

    def default(self, node: PlannedNode) -> Json:
        """The value that replaces a failed node's output. Raises ExpressionError."""
        return None if node.default is None else node.default.evaluate(self._scope(node))

    def cache_key(self, node: PlannedNode) -> Json:
        """The value of the key under which a node's result is kept. Raises ExpressionError."""
        return None if node.cache_key is None else node.cache_key.evaluate(self._scope(node))

    def condition(self, program: Program) -> bool:
        """The value of a condition on the frame itself. Raises ValueError with a message for people."""
        return _truth(self.value(program))

    def value(self, program: Program) -> Json:
        """What a text or an expression on the frame itself gives, once its nodes have settled. Raises
        ExpressionError."""
        now = max(self._run.finished_at, default=0) or self._began
        return program.evaluate(Scope(self._values, now=now, seed=self._seed[:-1]))

    def _scope(self, node: PlannedNode) -> Scope:
        self._values["execution"]["attempt"] = max(1, self._run.attempts[node.index])
        now = self._began
        if node.waits:
            # The recorded time of the last input: it is in the rows, so that an evaluation after a crash sees the same.
            finished_at = self._run.finished_at
            now = max([finished_at[source] for source in node.waits])
        return Scope(self._values, now=now, seed=self._seed + node.node.id)


_CHANGING = frozenset({"nodes", "errors", "vars", "execution", "agent"})


def _truth(value: Json) -> bool:
    if not isinstance(value, bool):
        raise ValueError("it gave no true or false: compare it, such as `x > 0` or `x is defined`")
    return value


def starting_variables(plan: Plan, row: ExecutionRow) -> Mapping[str, Json]:
    """`vars` as the workflow declares them; a child may have inherited the values of some."""
    declared = plan.workflow.vars
    inherited = row.trigger_value.get("vars") if declared and row.depth else None
    if not isinstance(inherited, dict):
        return declared
    return {name: inherited.get(name, value) for name, value in declared.items()}
