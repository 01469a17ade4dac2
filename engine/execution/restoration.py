"""What the rows of an interrupted execution say, ordered for the frames that ask: finished nodes are not run again."""

from collections.abc import Iterable, Mapping

import msgspec

from engine.execution.frame import Frame
from engine.execution.journal import Journal
from engine.execution.large import NONE_HELD, Held
from engine.execution.node_timers import NodeTimers
from engine.execution.path import read_path
from engine.execution.run import NodeError
from engine.planning.plan import PlannedNode
from engine.states import NodeState
from engine.store.checkpoints import NodeRow
from engine.values import Json


class Restored(msgspec.Struct):
    """What is to be taken up again in a frame."""

    again: list[PlannedNode] = []
    """To be tried again because a person said so."""
    refused: list[tuple[PlannedNode, NodeRow]] = []
    """Failed, because a person said so."""
    reopen: list[tuple[PlannedNode, NodeRow]] = []
    """Control-flow nodes that were open."""
    waiting: list[tuple[PlannedNode, NodeRow]] = []
    """Nodes that wait for an answer, or for a time."""


class Rows:
    """The node rows of an execution, by the frame that they belong to."""

    def __init__(self, rows: Iterable[NodeRow], held: Held = NONE_HELD) -> None:
        """`held`: the large values among them that may still be asked for."""
        self.value = held.value
        """What a row holds, decoded."""
        self._by_path: dict[str, NodeRow] = {}
        self._by_prefix: dict[str, list[NodeRow]] = {}
        self.last_seq = 0
        for row in rows:
            self._by_path[row.path] = row
            self._by_prefix.setdefault(row.path[: row.path.rfind("/") + 1], []).append(row)
            self.last_seq = max(self.last_seq, row.seq)

    def __bool__(self) -> bool:
        return bool(self._by_path)

    def variables(self, initial: Mapping[str, Json], setters: frozenset[str]) -> dict[str, Json]:
        """`vars` as the `set` nodes that completed have left them."""
        values = dict(initial)
        if setters:
            done = [row for row in self._by_path.values() if row.status is NodeState.COMPLETED and _key(row) in setters]
            for row in sorted(done, key=_order):
                assigned = self.value(row)
                if isinstance(assigned, dict):
                    values.update(assigned)
        return values

    def ended(self, path: str) -> NodeRow | None:
        """The row of a body that ended, such as `scan[17]`."""
        return self._by_path.get(path)

    def begun(self, prefix: str) -> bool:
        """Whether anything happened in a body that has not ended."""
        return prefix in self._by_prefix

    def suffixes(self, path: str) -> set[str]:
        """The bodies of a control-flow node of which anything is known: `[17]`, `/catch`."""
        found = set()
        for known in self._by_prefix:
            if known.startswith(path) and known[len(path) : len(path) + 1] in ("[", "/"):
                rest = known[len(path) :]
                inner = rest.find("/", 1)
                found.add(rest[:inner] if inner > 0 else rest)
        for known in self._by_path:
            if known.startswith(path) and known[len(path) : len(path) + 1] in ("[", "/"):
                rest = known[len(path) :]
                if "/" not in rest[1:]:
                    found.add(rest)
        found.discard("/")
        return found

    def results(self, prefix: str) -> tuple[dict[str, Json], dict[str, Json]]:
        """Outputs and errors of the nodes of a body that ended."""
        outputs: dict[str, Json] = {}
        errors: dict[str, Json] = {}
        for row in self._by_prefix.get(prefix, ()):
            id = row.path[len(prefix) :]
            if row.status is NodeState.COMPLETED:
                outputs[id] = self.value(row)
            if row.error is not None:
                errors[id] = msgspec.json.decode(row.error)
        return outputs, errors

    def restore(self, frame: Frame, journal: Journal, timers: NodeTimers, now: int) -> Restored:
        """Restore every node of a frame that has a row, in the order in which they settled. Rows of nodes that the
        plan does not have are left alone."""
        found = Restored()
        run, index = frame.run, frame.run.plan.index
        size = len(frame.prefix)
        rows = [row for row in self._by_prefix.get(frame.prefix, ()) if row.path[size:] in index]
        for row in sorted(rows, key=_order):
            node = run.plan.nodes[index[row.path[size:]]]
            run.attempts[node.index] = row.attempt
            run.first_start[node.index] = row.started_at or 0
            match row.status:
                case NodeState.RUNNING if node.bodies:
                    run.restore(node, row.status)
                    found.reopen.append((node, row))
                case NodeState.RUNNING:  # the intent of an at_most_once attempt that did not return
                    run.restore(node, NodeState.IN_DOUBT)
                    journal.in_doubt(frame, node, row, now)
                case NodeState.RETRYING:
                    run.restore(node, row.status)
                    timers.set(frame, node, row.due or now, row.output)
                case NodeState.WAITING:
                    run.restore(node, row.status)
                    found.waiting.append((node, row))
                    if row.due is not None:
                        timers.set(frame, node, row.due, row.output)
                case NodeState.READY if row.error is not None:
                    run.restore(node, row.status)
                    found.refused.append((node, row))
                case NodeState.READY:
                    run.restore(node, row.status)
                    found.again.append(node)
                case NodeState.IN_DOUBT:
                    run.restore(node, row.status)
                case _:
                    error = None if row.error is None else msgspec.json.decode(row.error, type=NodeError)
                    run.restore(
                        node, row.status, output=self.value(row), port=row.port, error=error,
                        at=row.finished_at or now,
                    )  # fmt: skip
        return found


def _key(row: NodeRow) -> str:
    path = read_path(row.path)
    return "" if path.is_body else path.key


def _order(row: NodeRow) -> tuple[int, int]:
    # Rows of before there was an order have the time alone.
    return row.seq, row.finished_at or 0
