"""One graph under way: who has settled, what that makes ready, and how it ends. Pure: no clock, no I/O.

The runner tells it what attempts returned; it answers with the nodes to start and the nodes that were skipped.
"""

from collections import deque
from collections.abc import Callable, Iterable

import msgspec

from engine.definition.model import RunIf
from engine.planning.plan import Graph, PlannedNode
from engine.planning.rules import Blow, Decision, decide, end_of, ending
from engine.states import SETTLED, ExecutionState, NodeState, check_node_move
from engine.values import Json

FAILING = "the execution is failing"
"""Why a node is skipped that may not start any more."""
MAX_NAMED = 10
"""Nodes named by one reason: it travels with a fact."""


class NodeError(msgspec.Struct, frozen=True):
    """Why a node failed: what `errors.<id>` shows."""

    kind: str
    message: str
    attempt: int = 1


class Progress(msgspec.Struct):
    """What settling a node brought about, in the order in which it happened."""

    start: list[PlannedNode] = []
    skipped: list[tuple[PlannedNode, str]] = []
    """Skipped nodes and why."""
    failed: list[tuple[PlannedNode, NodeError]] = []
    """Nodes whose `when` could not be evaluated."""


Ask = Callable[[PlannedNode], bool]
"""Evaluates a node's `when`. Raises ValueError with a message for people."""


class Run:
    """The states of all nodes of one graph: of an execution, or of one run of a body in it.

    `outputs` and `errors` are of nodes outside that a body sees.
    """

    def __init__(
        self, plan: Graph, outputs: dict[str, Json] | None = None, errors: dict[str, dict[str, Json]] | None = None
    ) -> None:
        self.plan = plan
        size = len(plan.nodes)
        self.states = [NodeState.PENDING] * size
        self.ports: list[str | None] = [None] * size
        self.attempts = [0] * size
        self.first_start = [0] * size
        """When each node's first attempt began, microseconds; 0 before that."""
        self.outputs: dict[str, Json] = {} if outputs is None else outputs
        """Outputs of completed nodes by id: `nodes` in expressions. Shared with every evaluation, never copied."""
        self.errors: dict[str, dict[str, Json]] = {} if errors is None else errors
        """Failed nodes by id: `errors` in expressions."""
        self.finished_at = [0] * size
        """Recorded time of each settled node, microseconds."""
        self.failure: tuple[str, NodeError] | None = None
        """The first failure that decides the end, and its node (empty: the execution itself)."""
        self.partial = False
        self.cancelling = False
        self.open = size
        """Nodes that have not settled."""
        self.level_open = list(plan.level_sizes)
        self._unmet = [len(node.waits) for node in plan.nodes]
        self._swept = False

    # --- telling it what happened

    def begin(self, ask: Ask, at: int) -> Progress:
        """What may start now: at the start the roots, after `restore` whatever the rows make ready."""
        return self._decide((node for node in self.plan.nodes if not self._unmet[node.index]), ask, at)

    def restore(self, node: PlannedNode, state: NodeState, **settled: Json) -> None:
        """Put back a node from its row, before `begin`. Settled ones take the same arguments as `settle`, and come in
        the order in which they settled: the first failure is the one that is told."""
        if state in SETTLED:
            self._record(node, state, **settled)
        else:
            self.states[node.index] = state

    def settle(self, node: PlannedNode, state: NodeState, ask: Ask, *, at: int, **settled: Json) -> Progress:
        """A node ended at a recorded time (microseconds); what does that make ready?

        output   of a completed node         port   the outlet that a branching one took
        error    NodeError of a failed one, or of one whose default replaced its output
        """
        check_node_move(self.states[node.index], state)
        return self._decide((self.plan.nodes[i] for i in self._record(node, state, at=at, **settled)), ask, at)

    def move(self, node: PlannedNode, state: NodeState) -> None:
        """Change a node's state without settling it."""
        check_node_move(self.states[node.index], state)
        self.states[node.index] = state

    def fail(self, error: NodeError) -> None:
        """The execution itself failed (its time is over, its outputs can't be evaluated)."""
        if self.failure is None:
            self.failure = ("", error)

    def abandon(self, at: int) -> list[PlannedNode]:
        """Nodes that are not under way are cancelled and returned."""
        idle = (NodeState.PENDING, NodeState.READY, NodeState.RETRYING, NodeState.WAITING, NodeState.IN_DOUBT)
        stopped = [node for node in self.plan.nodes if self.states[node.index] in idle]
        for node in stopped:
            self._record(node, NodeState.CANCELLED, at=at)
        return stopped

    def tell_error(self, node: PlannedNode, error: NodeError) -> None:
        """Show a failure under `errors`."""
        self.errors[node.node.id] = {"kind": error.kind, "message": error.message, "attempt": error.attempt}

    # --- asking it

    @property
    def settled(self) -> bool:
        return self.open == 0

    @property
    def in_doubt(self) -> bool:
        return NodeState.IN_DOUBT in self.states

    @property
    def ending(self) -> ExecutionState:
        """The final state, once all nodes have settled."""
        return ending(failing=self.failure is not None, partial=self.partial, cancelling=self.cancelling)

    # --- how

    def _record(
        self,
        node: PlannedNode,
        state: NodeState,
        *,
        output: Json = None,
        port: str | None = None,
        error: NodeError | None = None,
        at: int = 0,
    ) -> list[int]:
        index, id = node.index, node.node.id
        self.states[index] = state
        self.finished_at[index] = at
        self.ports[index] = port
        self.open -= 1
        self.level_open[node.level] -= 1
        if state is NodeState.COMPLETED:
            self.outputs[id] = output
        if error is not None:
            self.tell_error(node, error)
        if state is NodeState.FAILED and error is not None:
            if node.blow is Blow.FATAL:
                self.failure = self.failure or (id, error)
            elif not node.node.critical:
                self.partial = True
        freed = []
        for dependent in node.dependents:
            self._unmet[dependent] -= 1
            if not self._unmet[dependent]:
                freed.append(dependent)
        return freed

    def _decide(self, candidates: Iterable[PlannedNode], ask: Ask, at: int) -> Progress:
        """Decide nodes whose inputs have settled; a skip may settle others in turn. A queue, not recursion: chains are
        as long as people write them."""
        progress = Progress()
        queue = deque(candidates)
        while True:
            if self.failure is not None and not self._swept:
                self._swept = True
                queue.extend(self._sweep(progress, at))
            if not queue:
                break
            node = queue.popleft()
            if self.states[node.index] is not NodeState.PENDING:
                continue
            reason = self._refusal(node)
            error = None
            if not reason and node.when is not None:
                try:
                    reason = "" if ask(node) else "its `when` was false"
                except ValueError as refused:
                    error = NodeError("expression", f"when: {refused}")
            if error is not None:
                self.states[node.index] = NodeState.READY
                freed = self._record(node, NodeState.FAILED, error=error, at=at)
                progress.failed.append((node, error))
            elif reason:
                freed = self._record(node, NodeState.SKIPPED, at=at)
                progress.skipped.append((node, reason))
            else:
                self.states[node.index] = NodeState.READY
                progress.start.append(node)
                continue
            queue.extend(self.plan.nodes[i] for i in freed)
        if self.failure is not None:
            progress.start = [node for node in progress.start if self.states[node.index] is NodeState.READY]
        return progress

    def _sweep(self, progress: Progress, at: int) -> list[PlannedNode]:
        """The execution began to fail: nodes that were allowed to start and have not are skipped, except handlers.
        Returns what that frees."""
        freed: list[PlannedNode] = []
        for node in self.plan.nodes:
            index = node.index
            waits_for_its_turn = self.states[index] is NodeState.READY and not self.attempts[index]
            if waits_for_its_turn and node.node.run_if is RunIf.SUCCESS:
                freed.extend(self.plan.nodes[i] for i in self._record(node, NodeState.SKIPPED, at=at))
                progress.skipped.append((node, FAILING))
        return freed

    def _all_taken(self, node: PlannedNode) -> bool:
        """The rule without exceptions, which most nodes follow: everything that it needs completed."""
        if node.node.run_if is not RunIf.SUCCESS:
            return False
        for edge in node.needs:
            if self.states[edge.source] is not NodeState.COMPLETED:
                return False
            if edge.port is not None and edge.port != self.ports[edge.source]:
                return False
        return True

    def _refusal(self, node: PlannedNode) -> str:
        """Why a node is skipped; empty if the rules let it start."""
        if self.failure is None and self._all_taken(node):
            return ""
        ends = [
            end_of(
                self.states[edge.source],
                tolerated=self.plan.nodes[edge.source].blow is Blow.PASSED,
                port=self.ports[edge.source],
                wanted=edge.port,
            )
            for edge in node.needs
        ]
        failing = self.failure is not None
        rules = node.node
        if decide(ends, join=rules.join, run_if=rules.run_if, failing=failing) is Decision.START:
            return ""
        if failing and rules.run_if is RunIf.SUCCESS:
            return FAILING
        if rules.run_if is RunIf.FAILED:
            return "nothing that it needs failed"
        names = [str(need) for need in rules.needs] or list(rules.references)
        missed = [name for name, end in zip(names, ends, strict=True) if not end.taken]
        more = f" and {len(missed) - MAX_NAMED} more" if len(missed) > MAX_NAMED else ""
        return f"not taken: {', '.join(missed[:MAX_NAMED])}{more}"
