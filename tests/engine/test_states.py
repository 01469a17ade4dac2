"""The one table of legal moves."""

import pytest

from engine.states import (
    EXECUTION_MOVES,
    FINISHED,
    NODE_MOVES,
    SETTLED,
    ExecutionState,
    IllegalMove,
    NodeState,
    check_execution_move,
    check_node_move,
)

E, N = ExecutionState, NodeState


def test_tables_are_whole():
    assert set(EXECUTION_MOVES) == set(ExecutionState)
    assert set(NODE_MOVES) == set(NodeState)


@pytest.mark.parametrize("old", ExecutionState)
@pytest.mark.parametrize("new", ExecutionState)
def test_every_move_of_an_execution_is_allowed_or_refused(old, new):
    if new in EXECUTION_MOVES[old]:
        check_execution_move(old, new)
    else:
        with pytest.raises(IllegalMove, match=f"an execution that is {old} can't become {new}"):
            check_execution_move(old, new)


@pytest.mark.parametrize("old", NodeState)
@pytest.mark.parametrize("new", NodeState)
def test_every_move_of_a_node_is_allowed_or_refused(old, new):
    if new in NODE_MOVES[old]:
        check_node_move(old, new)
    else:
        with pytest.raises(IllegalMove, match=f"a node that is {old} can't become {new}"):
            check_node_move(old, new)


def reachable(table, start) -> set:
    seen, ahead = set(), [start]
    while ahead:
        state = ahead.pop()
        if state not in seen:
            seen.add(state)
            ahead.extend(table[state])
    return seen


def test_every_state_can_be_reached_and_left_for_an_end():
    assert reachable(EXECUTION_MOVES, E.QUEUED) == set(ExecutionState)
    assert reachable(NODE_MOVES, N.PENDING) == set(NodeState)
    for state in ExecutionState:
        assert reachable(EXECUTION_MOVES, state) & FINISHED
    for state in NodeState:
        assert reachable(NODE_MOVES, state) & SETTLED


def test_ends_are_ends():
    assert all(not NODE_MOVES[state] for state in SETTLED)
    assert EXECUTION_MOVES[E.COMPLETED] == frozenset()
    assert all(EXECUTION_MOVES[state] <= {E.RUNNING} for state in FINISHED)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (E.QUEUED, E.RUNNING),
        (E.RUNNING, E.WAITING),
        (E.WAITING, E.RUNNING),
        (E.QUEUED, E.PAUSED),
        (E.RUNNING, E.PAUSED),
        (E.WAITING, E.PAUSED),
        (E.PAUSED, E.QUEUED),
        (E.PAUSED, E.CANCELLING),
        (E.CANCELLING, E.CANCELLED),
        (E.FAILED, E.RUNNING),
        (E.PARTIAL, E.RUNNING),
        (E.CANCELLED, E.RUNNING),
    ],
)
def test_moves_of_the_state_chart_are_legal(old, new):
    check_execution_move(old, new)
