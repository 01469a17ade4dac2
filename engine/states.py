"""The states of executions and nodes, and the one table of legal moves. Everything that changes a state asks it.

execution: queued | running | waiting | paused -> cancelling -> cancelled
           queued -> running -> completed | failed | partial ;  running <-> waiting
           queued | running | waiting <-> paused ;  failed | partial | cancelled -> running (retry)
node:      pending -> ready -> running -> completed | failed | skipped | cancelled
           running -> retrying -> running ;  running -> waiting -> ready
           running -> in_doubt -> completed | failed | ready
"""

from enum import StrEnum


class ExecutionState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    """Nothing to do before a time or an answer; holds no slot."""
    PAUSED = "paused"
    BLOCKED = "blocked"
    """Its stored definition can't be loaded by this agent; tried again at each start."""
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    COMPLETED = "completed"
    FAILED = "failed"
    PARTIAL = "partial"
    """Completed, but a node marked `critical: false` failed."""


class NodeState(StrEnum):
    PENDING = "pending"
    READY = "ready"
    RUNNING = "running"
    RETRYING = "retrying"
    WAITING = "waiting"
    IN_DOUBT = "in_doubt"
    """An at_most_once attempt that did not return: only a person knows."""
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class IllegalMove(ValueError):
    """A change of state that the table does not hold."""


_E, _N = ExecutionState, NodeState

FINISHED = frozenset({_E.CANCELLED, _E.COMPLETED, _E.FAILED, _E.PARTIAL})
"""Execution states that are an end."""
SETTLED = frozenset({_N.COMPLETED, _N.FAILED, _N.SKIPPED, _N.CANCELLED})
"""Node states that are an end."""

EXECUTION_MOVES: dict[ExecutionState, frozenset[ExecutionState]] = {
    _E.QUEUED: frozenset({_E.RUNNING, _E.PAUSED, _E.CANCELLING, _E.CANCELLED, _E.BLOCKED}),
    _E.RUNNING: frozenset({_E.WAITING, _E.PAUSED, _E.CANCELLING, _E.COMPLETED, _E.FAILED, _E.PARTIAL, _E.BLOCKED}),
    _E.WAITING: frozenset({_E.RUNNING, _E.PAUSED, _E.CANCELLING, _E.BLOCKED}),
    _E.PAUSED: frozenset({_E.QUEUED, _E.RUNNING, _E.WAITING, _E.CANCELLING}),
    _E.BLOCKED: frozenset({_E.QUEUED, _E.RUNNING, _E.CANCELLING, _E.CANCELLED}),
    _E.CANCELLING: frozenset({_E.CANCELLED}),
    _E.CANCELLED: frozenset({_E.RUNNING}),
    _E.COMPLETED: frozenset(),
    _E.FAILED: frozenset({_E.RUNNING}),
    _E.PARTIAL: frozenset({_E.RUNNING}),
}

NODE_MOVES: dict[NodeState, frozenset[NodeState]] = {
    _N.PENDING: frozenset({_N.READY, _N.SKIPPED, _N.CANCELLED}),
    _N.READY: frozenset({_N.RUNNING, _N.SKIPPED, _N.FAILED, _N.CANCELLED}),
    _N.RUNNING: frozenset({_N.COMPLETED, _N.FAILED, _N.SKIPPED, _N.CANCELLED, _N.RETRYING, _N.WAITING, _N.IN_DOUBT}),
    _N.RETRYING: frozenset({_N.RUNNING, _N.CANCELLED}),
    _N.WAITING: frozenset({_N.READY, _N.CANCELLED}),
    _N.IN_DOUBT: frozenset({_N.COMPLETED, _N.FAILED, _N.READY, _N.CANCELLED}),
    _N.COMPLETED: frozenset(),
    _N.FAILED: frozenset(),
    _N.SKIPPED: frozenset(),
    _N.CANCELLED: frozenset(),
}


def check_execution_move(old: ExecutionState, new: ExecutionState) -> None:
    """Raise IllegalMove unless an execution may go from `old` to `new`."""
    if new not in EXECUTION_MOVES[old]:
        raise IllegalMove(f"an execution that is {old} can't become {new}")


def check_node_move(old: NodeState, new: NodeState) -> None:
    """Raise IllegalMove unless a node may go from `old` to `new`."""
    if new not in NODE_MOVES[old]:
        raise IllegalMove(f"a node that is {old} can't become {new}")
