"""The settling and failure rules: pure functions over how the needed nodes ended.

A node is decided once, when everything that it needs or refers to has settled. Only its `needs` count for the decision
(its references do, where it has no `needs`). The truth table is tests/engine/execution/test_rules.py.
"""

from collections.abc import Sequence
from enum import Enum

import msgspec

from engine.definition.budget import Dependents
from engine.definition.model import Join, OnError, RunIf
from engine.states import ExecutionState, NodeState


class End(msgspec.Struct, frozen=True):
    """How a needed node ended, as one edge sees it."""

    taken: bool
    """It completed (on the edge's port, if the edge names one), or failed where its `on_error` lets dependents run."""
    failed: bool
    """It failed, whatever became of that."""


class Blow(Enum):
    """What a node's failure does to what is around it."""

    FATAL = "fatal"
    """The execution fails, or the body that the node stands in."""
    PASSED = "passed"
    """Dependents run; they see no output."""
    STOPPED = "stopped"
    """Dependents are skipped, and theirs; the rest goes on."""


class Decision(Enum):
    START = "start"
    SKIP = "skip"


def blow_of(*, on_error: OnError, critical: bool, dependents: Dependents, relied_on: bool) -> Blow:
    """What the failure of a node does that has no `default`, or whose default failed too.

    `dependents` is the workflow's word on nodes with `critical: false`; `on_error: continue` is the node's own, and
    counts more. `relied_on`: there are nodes that need it to succeed.
    """
    if on_error is OnError.CONTINUE:
        return Blow.PASSED
    if critical:
        return Blow.FATAL
    if dependents is Dependents.FAIL:
        return Blow.FATAL if relied_on else Blow.STOPPED
    return Blow.STOPPED if dependents is Dependents.SKIP else Blow.PASSED


def end_of(state: NodeState, *, tolerated: bool, port: str | None, wanted: str | None) -> End:
    """One edge's view of a settled node. `tolerated`: its failure lets dependents run; `port` is the outlet that it
    took, `wanted` the one that the edge names."""
    if state is NodeState.COMPLETED:
        return End(taken=wanted is None or wanted == port, failed=False)
    if state is NodeState.FAILED:
        return End(taken=tolerated and wanted is None, failed=True)
    return End(taken=False, failed=False)


def decide(needs: Sequence[End], *, join: Join, run_if: RunIf, failing: bool) -> Decision:
    """Whether a node whose `needs` have all settled may start; `when` is asked after this.

    `failing`: a failure has decided the end of the execution, so that only handlers start.
    """
    if run_if is RunIf.ALWAYS:
        return Decision.START
    if run_if is RunIf.FAILED:
        return Decision.START if any(need.failed for need in needs) else Decision.SKIP
    if failing:
        return Decision.SKIP
    if not needs:
        return Decision.START
    enough = any if join is Join.ANY else all
    return Decision.START if enough(need.taken for need in needs) else Decision.SKIP


def ending(*, failing: bool, partial: bool, cancelling: bool) -> ExecutionState:
    """The final state of an execution whose nodes have all settled."""
    if cancelling:
        return ExecutionState.CANCELLED
    if failing:
        return ExecutionState.FAILED
    return ExecutionState.PARTIAL if partial else ExecutionState.COMPLETED
