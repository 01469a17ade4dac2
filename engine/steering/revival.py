"""Which checkpoints of an execution are still good, when it is to run again from somewhere: for retry and fork. Pure.

What is forgotten takes along everything that was built on it: the nodes that depend on it, and, of a body, the
control-flow node that holds it, which is open again and keeps its other bodies. Rounds of a loop build on the rounds
before them, the items of a foreach on nothing but their page.
"""

from collections import deque
from collections.abc import Iterable

from engine.definition.model import Node, OnError, Workflow
from engine.definition.problems import suggestion
from engine.execution.path import Path, read_path
from engine.execution.run import FAILING
from engine.states import SETTLED, NodeState
from engine.steering.outline import Changes, outline
from engine.steering.row_tree import RowTree
from engine.store.checkpoints import NodeRow
from engine.values import encode_json

__all__ = ["Revival", "UnknownPlace"]

FOREACH = "foreach"
"""The node type whose bodies do not build on each other."""
_FAILING = encode_json(FAILING)


class UnknownPlace(LookupError):
    """The execution has no such node or body; the message names what there is."""


class Revival:
    """Told what to forget, it says which rows go and which control-flow nodes are open again."""

    def __init__(self, workflow: Workflow, rows: Iterable[NodeRow], *, volatile: frozenset[str] = frozenset()) -> None:
        """`volatile`: control-flow nodes that might be opened otherwise now (their items come from `vars`): none of
        their bodies is kept when they go on. Raises BadPath for rows that no workflow makes."""
        self._volatile = volatile
        self._outline = outline(workflow)
        self._roots = workflow.nodes
        self._tree = RowTree(rows)
        self._forgotten: set[str] = set()
        """Nodes that run again, whether they have a row or not."""
        self._reopened: set[str] = set()
        """Bodies that go on."""
        self._open_again: set[str] = set()
        self._gone: set[str] = set()
        self._work: deque[Path] = deque()

    # --- telling it

    def forget(self, text: str) -> None:
        """Forget a node, or a whole body. Raises BadPath, UnknownPlace."""
        path = read_path(text)
        self._check(path)
        if path.is_body:
            self._drop(text)
        self._work.append(path)
        self._follow()

    def forget_what_failed(self) -> None:
        """Forget what kept the execution from completing: failures that count, what was cancelled, and what was skipped
        because of them. A failure that a control-flow node handled stays."""
        for name in self._roots:
            self._visit(name)
        self._follow()

    def forget_changes(self, changes: Changes) -> None:
        """Forget nodes that are another version's, wherever they have run, and open again the bodies that have new
        ones."""
        holders = {self._outline[label].holder for label in changes.added if label in self._outline}
        for path in list(self._tree.rows):
            found = self._tree.path(path)
            if not found.is_body and changes.touch(found, self._outline):
                self._work.append(found)
        for path, bodies in self._tree.bodies.items():
            if self._tree.path(path).name in holders:
                self._work.extend(self._tree.path(body) for body in bodies)
        self._follow()

    # --- asking it

    @property
    def gone(self) -> list[str]:
        """Paths of the rows that go."""
        return [path for path in self._tree.rows if path in self._gone]

    @property
    def open_again(self) -> list[NodeRow]:
        """New rows of the control-flow nodes that are to go on."""
        return [self._running(path) for path in sorted(self._open_again - self._gone)]

    @property
    def kept(self) -> list[NodeRow]:
        """All rows that are still good, of settled nodes and open constructs, in the order in which they changed."""
        for path in self._tree.bodies:
            if self._tree.path(path).name in self._volatile and path not in self._tree.rows:
                self._work.append(self._tree.path(path))  # it ended later, and what it was opened with is lost
        self._follow()
        opened = {row.path: row for row in self.open_again}
        for path in self._tree.bodies:
            row = self._tree.rows.get(path)
            if path not in self._gone and (row is None or row.status is NodeState.RUNNING):
                opened.setdefault(path, self._running(path))
        settled = [
            row
            for path, row in self._tree.rows.items()
            if path not in self._gone and path not in opened and row.status in SETTLED
        ]
        return sorted([*opened.values(), *settled], key=lambda row: row.seq)

    # --- what failed

    def _visit(self, path: str) -> None:
        """Look for failures in a node and in what it holds."""
        row = self._tree.rows.get(path)
        bodies = self._tree.bodies.get(path, ())
        state = self._state(path)
        if state is NodeState.SKIPPED and (row is None or row.output in (None, _FAILING)):
            self._work.append(read_path(path))
        elif state is NodeState.FAILED and not self._counts(path):
            return
        elif state in (NodeState.FAILED, NodeState.CANCELLED) and not bodies:
            self._work.append(read_path(path))
        elif state is NodeState.COMPLETED:
            for body in bodies:
                if self._state(body) is NodeState.COMPLETED:
                    self._visit_completed(body)
        else:
            for body in bodies:
                self._visit_body(body)
            if state in (NodeState.FAILED, NodeState.CANCELLED):
                self._reopen_node(read_path(path))

    def _visit_completed(self, body: str) -> None:
        """What failed in it did not fail it; it may have made the execution partial."""
        for path in self._tree.nodes.get(body, ()):
            node = self._node(path)
            if self._state(path) is not NodeState.FAILED or (node is not None and not node.critical):
                self._visit(path)

    def _visit_body(self, body: str) -> None:
        row = self._tree.rows.get(body)
        if row is not None and (row.status is NodeState.COMPLETED or self._is_handled(body, row)):
            self._visit_completed(body)
            return
        for path in self._tree.nodes.get(body, ()):
            self._visit(path)
        if row is not None:
            self._work.append(self._tree.path(body))

    def _is_handled(self, body: str, row: NodeRow) -> bool:
        """Whether the construct went on when this body failed."""
        inside = next((self._outline.of(read_path(path)) for path in self._tree.nodes.get(body, ())), None)
        spec = self._outline.body_of(inside)
        return row.status is NodeState.FAILED and spec is not None and spec.handled

    def _counts(self, path: str) -> bool:
        """Whether a failure of this node changes how what is around it ends."""
        node = self._node(path)
        return node is None or not (node.critical and node.on_error is OnError.CONTINUE)

    # --- what follows

    def _follow(self) -> None:
        # A queue, not recursion: chains are as long as people write them.
        while self._work:
            path = self._work.popleft()
            if path.is_body:
                self._reopen(path)
            elif path.text not in self._forgotten:
                self._drop(path.text)
                self._forget_dependents(path)

    def _drop(self, path: str) -> None:
        """It goes, with all that is in it."""
        for found in self._tree.under(path):
            self._gone.add(found)
            self._forgotten.add(found)

    def _forget_dependents(self, path: Path) -> None:
        entry = self._outline.of(path)
        for name in () if entry is None else entry.dependents:
            self._work.append(Path(path.prefix + name, path.holder, name))
        if path.holder:
            self._work.append(read_path(path.holder))

    def _reopen(self, body: Path) -> None:
        """A body goes on, or is opened anew: its end is forgotten, and what was built on that."""
        if body.text in self._reopened or body.holder in self._forgotten:
            return
        self._reopened.add(body.text)
        ended = self._tree.rows.get(body.text)
        self._gone.add(body.text)
        node = self._node(body.holder)
        items = node is not None and node.type == FOREACH
        if ended is not None and not (items and (body.is_iteration or ended.status is not NodeState.COMPLETED)):
            for other in self._tree.bodies.get(body.holder, ()):
                if other != body.text and self._tree.begun(other) > ended.seq:
                    self._drop(other)
        self._reopen_node(read_path(body.holder))

    def _reopen_node(self, path: Path) -> None:
        if path.name in self._volatile:
            self._work.append(path)
        elif path.text not in self._open_again and path.text not in self._forgotten:
            self._open_again.add(path.text)
            self._forget_dependents(path)

    # --- how

    def _state(self, path: str) -> NodeState | None:
        row = self._tree.rows.get(path)
        return None if row is None else row.status

    def _node(self, path: str) -> Node | None:
        entry = self._outline.of(read_path(path))
        return None if entry is None else entry.node

    def _running(self, path: str) -> NodeRow:
        """The row of a control-flow node that is open."""
        row = self._tree.rows.get(path)
        if row is None:
            return NodeRow(path=path, status=NodeState.RUNNING, attempt=1)
        memo = row.output if row.status is NodeState.RUNNING else None
        return NodeRow(
            path=path, status=NodeState.RUNNING, attempt=row.attempt, output=memo, started_at=row.started_at,
            seq=row.seq,
        )  # fmt: skip

    def _check(self, path: Path) -> None:
        """Raise UnknownPlace unless the workflow has such a node, and the execution the bodies around it."""
        entry = self._outline.of(path)
        if entry is None:
            raise UnknownPlace(f"there is no node {path.name}; {suggestion(path.name, self._outline)}")
        around = read_path(path.holder) if path.holder else None
        if path.is_body:
            if path.text not in self._tree:
                known = self._tree.bodies.get(path.holder, ())
                raise UnknownPlace(f"{path.holder} has not run {path.text}; {suggestion(path.text, known)}")
        elif (around.name if around else "") != entry.holder:
            inside = self._tree.nodes.get(path.holder) if path.holder else None
            example = next((p for p in self._tree.rows if p.endswith(f"/{path.name}")), "")
            hint = f"say which one, such as {example}" if example else suggestion(path.text, inside or self._roots)
            raise UnknownPlace(f"{path.name} does not stand in {path.holder or 'the workflow itself'}; {hint}")
        elif around is not None and around.text not in self._tree:
            known = self._tree.bodies.get(around.holder, ())
            raise UnknownPlace(f"{around.holder} has not run {around.text}; {suggestion(around.text, known)}")
