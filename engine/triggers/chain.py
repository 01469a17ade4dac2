"""What one workflow wants of another one's executions, and what it makes of a fact: an execution, a dead letter, or
nothing."""

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from engine.clock import format_time
from engine.definition.model import Happening, WorkflowTrigger
from engine.events import Event
from engine.expressions import ExpressionError, Program, Scope, compile_expression
from engine.flow.placing import placed
from engine.ids import new_execution_id
from engine.states import ExecutionState
from engine.store.deadletters import DeadLetter
from engine.store.executions import ExecutionRow
from engine.triggers.envelope import MAX_HOPS
from engine.triggers.happenings import happening_of, trigger_data
from engine.triggers.routes import Active
from engine.values import Json

__all__ = ["ORIGIN", "Chain", "Made"]

ORIGIN = "chain"
"""Of the dead letters made here; their body is the `trigger` that would have been."""

Made: TypeAlias = ExecutionRow | DeadLetter | None

_encode = msgspec.json.Encoder().encode


class _Trigger(msgspec.Struct):
    """`trigger` as expressions see it."""

    kind: str
    subject: str
    headers: Mapping[str, str]
    id: str
    time: str
    data: msgspec.Raw


class _Want(msgspec.Struct):
    """One trigger of the workflow."""

    happenings: frozenset[Happening]
    when: Program | None


class Chain:
    """One workflow and one source. Of its triggers the first in the file whose `when` is true starts an execution."""

    def __init__(self, active: Active, source: str) -> None:
        self.active = active
        self.source = source
        self.seen = self.stored = 0
        """The newest fact that was looked at, and the one that the row names."""
        self._wants = [
            _Want(frozenset(one.happenings), None if one.when is None else compile_expression(one.when))
            for one in active.workflow.triggers
            if isinstance(one, WorkflowTrigger) and one.name == source
        ]

    @property
    def key(self) -> tuple[str, str]:
        return self.active.name, self.source

    def concerns(self, fact: Event) -> bool:
        """Whether a trigger waits for such a fact, its `when` aside."""
        if fact.workflow != self.source:
            return False
        happening = happening_of(fact)
        return any(happening in want.happenings for want in self._wants)

    def make(self, fact: Event, cause: ExecutionRow | None, *, id: str, now: int) -> Made:
        """What a fact of concern starts. `cause` is its execution, if that is still stored; `id` is the event's."""
        happening = happening_of(fact)
        if happening is None:
            return None
        data = trigger_data(fact, happening, cause)
        trigger = _encode(_Trigger("workflow", "", {}, id, format_time(fact.time), msgspec.Raw(data)))
        try:
            if not self._is_wanted(fact, happening, data):
                return None
        except ExpressionError as error:
            hint = f" ({error.hint})" if error.hint else ""
            return self._letter(happening, trigger, f"when: {error.message}{hint}", now)
        if cause is None:
            reason = f"the execution {fact.execution} is no longer stored, so nobody knows what caused it"
            return self._letter(happening, trigger, reason, now)
        if cause.hops >= MAX_HOPS:
            reason = (
                f"{cause.hops + 1} executions caused each other in a row, and {MAX_HOPS} are allowed: some workflow "
                f"starts itself (the last was {cause.id}); see which workflows start on each other's events"
            )
            return self._letter(happening, trigger, reason, now)
        execution = new_execution_id(now)
        row = ExecutionRow(
            id=execution, workflow=self.active.name, version=self.active.version, status=ExecutionState.QUEUED,
            root=execution, cause=cause.id, hops=cause.hops + 1, trigger=trigger, created_at=now,
        )  # fmt: skip
        return placed(row, self.active.workflow)

    def _is_wanted(self, fact: Event, happening: Happening, data: bytes) -> bool:
        """Raises ExpressionError for a `when` that can't be decided."""
        scope = None
        for want in self._wants:
            if happening not in want.happenings:
                continue
            if want.when is None:
                return True
            scope = scope or self._scope(fact, happening, data)
            verdict = want.when.evaluate(scope)
            if not isinstance(verdict, bool):
                hint = "compare it with something, such as != null"
                raise ExpressionError("expected true or false", str(want.when.source), 0, hint)
            if verdict:
                return True
        return False

    def _scope(self, fact: Event, happening: Happening, data: bytes) -> Scope:
        event: dict[str, Json] = {
            "type": happening.value, "workflow": fact.workflow, "execution": fact.execution,
            "node": fact.node or None, "time": format_time(fact.time), "data": msgspec.json.decode(data),
        }  # fmt: skip
        return Scope({"event": event, "params": self.active.workflow.bound}, now=fact.time, seed=fact.execution)

    def _letter(self, happening: Happening, trigger: bytes, reason: str, now: int) -> DeadLetter:
        return DeadLetter(
            origin=ORIGIN, workflow=self.active.name, subject=f"{self.source} {happening}", reason=reason, body=trigger,
            size=len(trigger), received_at=now,
        )  # fmt: skip
