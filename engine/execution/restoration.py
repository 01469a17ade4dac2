"""Puts the checkpoints of an interrupted execution back into a run: finished nodes are not run again."""

from collections.abc import Iterable

import msgspec

from engine.execution.journal import Journal
from engine.execution.node_timers import NodeTimers
from engine.execution.plan import PlannedNode
from engine.execution.run import NodeError, Run
from engine.states import NodeState
from engine.store.executions import NodeRow


def restore(run: Run, journal: Journal, timers: NodeTimers, rows: Iterable[NodeRow], now: int) -> list[PlannedNode]:
    """Restore every node that has a row, in the order in which they settled; returns those to be tried again because a
    person said so. Rows of nodes that the plan does not have are left alone."""
    again: list[PlannedNode] = []
    known = (row for row in rows if row.path in run.plan.index)
    for row in sorted(known, key=lambda row: (row.finished_at or 0, run.plan.index[row.path])):
        node = run.plan.nodes[run.plan.index[row.path]]
        run.attempts[node.index] = row.attempt
        run.first_start[node.index] = row.started_at or 0
        match row.status:
            case NodeState.RUNNING:  # the intent of an at_most_once attempt that did not return
                run.restore(node, NodeState.IN_DOUBT)
                journal.in_doubt(node, row, now)
            case NodeState.RETRYING | NodeState.WAITING:
                run.restore(node, row.status)
                timers.set(node, row.due or now, row.output)
            case NodeState.READY:
                run.restore(node, row.status)
                again.append(node)
            case NodeState.IN_DOUBT:
                run.restore(node, row.status)
            case _:
                output = None if row.output is None else msgspec.json.decode(row.output)
                error = None if row.error is None else msgspec.json.decode(row.error, type=NodeError)
                at = row.finished_at or now
                run.restore(node, row.status, output=output, port=row.port, error=error, at=at)
    return again
