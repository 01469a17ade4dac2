"""The truth table of the settling and failure rules: every row, pure."""

from itertools import product

import pytest

from engine.definition.budget import Dependents
from engine.definition.model import Join, OnError, RunIf
from engine.planning.rules import Blow, Decision, End, blow_of, decide, end_of, ending
from engine.states import ExecutionState, NodeState

TAKEN, MISSED, FAILED, TOLERATED = (
    End(taken=True, failed=False),
    End(taken=False, failed=False),
    End(taken=False, failed=True),
    End(taken=True, failed=True),
)
ENDS = {"taken": TAKEN, "missed": MISSED, "failed": FAILED, "tolerated": TOLERATED}

# How needs ended, in any order -> may a node start, by (run_if, join)?
#                              success,all success,any failed  always
TABLE = {
    (): (True, True, False, True),
    ("taken",): (True, True, False, True),
    ("missed",): (False, False, False, True),
    ("failed",): (False, False, True, True),
    ("tolerated",): (True, True, True, True),
    ("taken", "taken"): (True, True, False, True),
    ("missed", "taken"): (False, True, False, True),
    ("failed", "taken"): (False, True, True, True),
    ("taken", "tolerated"): (True, True, True, True),
    ("missed", "missed"): (False, False, False, True),
    ("failed", "missed"): (False, False, True, True),
    ("missed", "tolerated"): (False, True, True, True),
    ("failed", "failed"): (False, False, True, True),
    ("failed", "tolerated"): (False, True, True, True),
    ("tolerated", "tolerated"): (True, True, True, True),
}
COLUMNS = (
    (RunIf.SUCCESS, Join.ALL),
    (RunIf.SUCCESS, Join.ANY),
    (RunIf.FAILED, None),
    (RunIf.ALWAYS, None),
)
ROWS = [
    pytest.param(order, join, run_if, starts, id=f"{'+'.join(order) or 'no needs'}-{run_if}-{join}")
    for needs, row in TABLE.items()
    for (run_if, column_join), starts in zip(COLUMNS, row, strict=True)
    for order in sorted({needs, needs[::-1]})
    for join in ([column_join] if column_join else list(Join))
]


def test_the_table_holds_every_combination_of_two_ends():
    assert {tuple(sorted(pair)) for pair in product(ENDS, repeat=2)} <= set(TABLE)


@pytest.mark.parametrize(("needs", "join", "run_if", "starts"), ROWS)
def test_decision_follows_the_table(needs, join, run_if, starts):
    decision = decide([ENDS[need] for need in needs], join=join, run_if=run_if, failing=False)

    assert decision is (Decision.START if starts else Decision.SKIP)


@pytest.mark.parametrize(("needs", "join", "run_if", "starts"), ROWS)
def test_in_a_failing_execution_only_handlers_start(needs, join, run_if, starts):
    decision = decide([ENDS[need] for need in needs], join=join, run_if=run_if, failing=True)

    expected = starts and run_if is not RunIf.SUCCESS
    assert decision is (Decision.START if expected else Decision.SKIP)


@pytest.mark.parametrize(
    ("state", "tolerated", "port", "wanted", "end"),
    [
        (NodeState.COMPLETED, False, None, None, TAKEN),
        (NodeState.COMPLETED, True, None, None, TAKEN),
        (NodeState.COMPLETED, False, "then", None, TAKEN),  # without a port, any port will do
        (NodeState.COMPLETED, False, "then", "then", TAKEN),
        (NodeState.COMPLETED, False, "then", "else", MISSED),
        (NodeState.COMPLETED, False, None, "then", MISSED),  # a default has no port
        (NodeState.FAILED, False, None, None, FAILED),
        (NodeState.FAILED, False, None, "then", FAILED),
        (NodeState.FAILED, True, None, None, TOLERATED),
        (NodeState.FAILED, True, None, "then", FAILED),  # it failed before it chose a port
        (NodeState.SKIPPED, False, None, None, MISSED),
        (NodeState.SKIPPED, True, None, None, MISSED),
        (NodeState.SKIPPED, True, None, "then", MISSED),
        (NodeState.CANCELLED, False, None, None, MISSED),
        (NodeState.CANCELLED, True, None, None, MISSED),
    ],
)
def test_what_an_edge_sees_of_a_settled_node(state, tolerated, port, wanted, end):
    assert end_of(state, tolerated=tolerated, port=port, wanted=wanted) == end


@pytest.mark.parametrize(
    ("failing", "partial", "cancelling", "state"),
    [
        (False, False, False, ExecutionState.COMPLETED),
        (False, True, False, ExecutionState.PARTIAL),
        (True, False, False, ExecutionState.FAILED),
        (True, True, False, ExecutionState.FAILED),
        (False, False, True, ExecutionState.CANCELLED),
        (False, True, True, ExecutionState.CANCELLED),
        (True, False, True, ExecutionState.CANCELLED),
        (True, True, True, ExecutionState.CANCELLED),
    ],
)
def test_how_an_execution_ends(failing, partial, cancelling, state):
    assert ending(failing=failing, partial=partial, cancelling=cancelling) is state


# (on_error, critical) -> what a failure does under degradation.dependents, with somebody relying on the node or nobody
#                                     run           skip          fail, relied on  fail, by nobody
BLOWS = {
    (OnError.FAIL, True): (Blow.FATAL, Blow.FATAL, Blow.FATAL, Blow.FATAL),
    (OnError.FAIL, False): (Blow.PASSED, Blow.STOPPED, Blow.FATAL, Blow.STOPPED),
    (OnError.CONTINUE, True): (Blow.PASSED, Blow.PASSED, Blow.PASSED, Blow.PASSED),
    (OnError.CONTINUE, False): (Blow.PASSED, Blow.PASSED, Blow.PASSED, Blow.PASSED),
}


@pytest.mark.parametrize(("on_error", "critical"), list(product(OnError, [True, False])))
@pytest.mark.parametrize("relied_on", [True, False])
def test_what_a_failure_does_to_what_is_around_it(on_error, critical, relied_on):
    def blow(dependents):
        return blow_of(on_error=on_error, critical=critical, dependents=dependents, relied_on=relied_on)

    run, skip, fail_relied_on, fail_alone = BLOWS[on_error, critical]
    assert blow(Dependents.RUN) is run
    assert blow(Dependents.SKIP) is skip
    assert blow(Dependents.FAIL) is (fail_relied_on if relied_on else fail_alone)
