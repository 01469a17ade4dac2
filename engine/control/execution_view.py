"""From the rows of an execution to the tree that people see: bounded, whatever its size.

Of many bodies those that did not complete are shown, the others counted; of values, the beginning.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import msgspec

from engine.clock import format_time
from engine.control.shortening import shortened
from engine.control.views import BodyInfo, NodeInfo, Statistics
from engine.definition.model import Node
from engine.execution.path import read_path
from engine.planning.plan import Plan
from engine.states import NodeState
from engine.steering.inspection import Inspection
from engine.steering.outline import Outline, outline
from engine.steering.row_tree import RowTree
from engine.store.checkpoints import NodeRow
from engine.store.looking import Relative, Waiting
from engine.store.usage import read_usage
from engine.store.values import LARGE
from engine.values import Json

FEW_BODIES = 8
"""So many bodies of a node are all shown."""
MAX_BODIES = 20
MAX_INPUTS = 20
"""Nodes whose inputs are evaluated."""
NOBODY: Mapping[str, str] = {}
MAX_SAID = 200
"""Entries of a transcript that are shown; of all transcripts together no more than there may be nodes."""
MAX_SAID_FIRST = 4
_TELLING = frozenset({NodeState.FAILED, NodeState.IN_DOUBT, NodeState.RUNNING, NodeState.RETRYING, NodeState.WAITING})
"""States in which one wants to know what a node was given."""
_UNDER_WAY = frozenset({NodeState.RUNNING, NodeState.READY, NodeState.RETRYING})


class ExecutionView:
    """Makes the infos of one execution. `plan` is None where its definition can't be loaded."""

    def __init__(
        self, plan: Plan | None, tree: RowTree, inspection: Inspection | None,
        *, waiting: Iterable[Waiting], children: Iterable[Relative], now: int, all: bool, limit: int,
        infos: int, load: Callable[[str], bytes], turns: Mapping[str, str] = NOBODY,
    ) -> None:  # fmt: skip
        """`limit`: bytes of JSON that one value may have; `infos`: how many nodes and bodies there may be; `all`:
        completed bodies too; `load` gives the bytes of a large value; `turns` says by path what running attempts wait
        for."""
        self._turns = turns
        self._plan = plan
        self._outline = Outline() if plan is None else outline(plan.workflow)
        self._load = load
        self._tree = tree
        self._inspection = inspection
        self._waiting = {wait.path: wait for wait in waiting}
        self._children = {child.path: child.id for child in children}
        self._now = now
        self._all = all
        self._limit = limit
        self._left = self._said_left = infos
        self._evaluations = MAX_INPUTS

    # --- what may be asked

    def nodes(self, after: int = 0) -> tuple[list[NodeInfo], int]:
        """The workflow's own nodes, and how many more there are."""
        names = self._names_in("")
        infos: list[NodeInfo] = []
        for name in names[after:]:
            if self._left <= 0:
                break
            infos.append(self._node(name))
        return infos, len(names) - after - len(infos)

    def one(self, path: str, after: int = 0) -> NodeInfo:
        """A node with all that is in it, or the node of a body, with that body alone."""
        place = read_path(path)
        if place.is_body:
            return self._node(place.holder, only=path)
        return self._node(path, after=after, inputs=True)

    def statistics(self) -> Statistics:
        nodes: Counter[str] = Counter()
        bodies: Counter[str] = Counter()
        attempts = retried = newest = 0
        for row in self._tree.rows.values():
            newest = max(newest, row.seq)
            if self._tree.path(row.path).is_body:
                bodies[row.status.value] += 1
            else:
                nodes[row.status.value] += 1
                attempts += row.attempt
                retried += max(0, row.attempt - 1)
        return Statistics(
            nodes=dict(nodes), bodies=dict(bodies), attempts=attempts, retried=retried, checkpoint=newest
        )  # fmt: skip

    # --- nodes

    def _names_in(self, body: str) -> list[str]:
        """Paths of the nodes of a body, in the order of the plan; those that only rows know come last."""
        known = self._tree.nodes.get(body, [])
        if not body:
            planned = [] if self._plan is None else list(self._plan.workflow.nodes)
        else:
            entries = (self._outline.of(self._tree.path(path)) for path in known)
            inner = self._outline.body_of(next((entry for entry in entries if entry is not None), None))
            planned = [] if inner is None or inner.choice else [f"{body}/{name}" for name in inner.nodes]
        wanted = set(planned)
        return [*planned, *(path for path in known if path not in wanted)]

    def _node(self, path: str, *, only: str = "", after: int = 0, inputs: bool = False) -> NodeInfo:
        self._left -= 1
        row = self._tree.rows.get(path)
        if row is None:
            begun = path in self._tree
            row = NodeRow(path=path, status=NodeState.RUNNING if begun else NodeState.PENDING, attempt=0)
        entry = self._outline.of(read_path(path))
        node = None if entry is None else entry.node
        waits = self._waiting.get(path)
        output, cut = self._output(row)
        given, cut_too = self._inputs(row, wanted=inputs or row.status in _TELLING)
        counts, bodies, more = self._bodies(path, only, after)
        used = read_usage(row.usage)
        size = 0 if row.output is None or row.status is not NodeState.COMPLETED else len(row.output)
        return NodeInfo(
            path=path,
            type="?" if node is None else node.type,
            status=row.status.value,
            attempt=row.attempt,
            started_at=_time(row.started_at),
            finished_at=_time(row.finished_at),
            duration=self._duration(row),
            needs=[] if node is None else [str(need) for need in node.needs] or list(node.references),
            retries=0 if node is None else node.retry.max,
            port=row.port,
            inputs=given,
            output=output,
            error=self._error(row),
            reason=_reason(row),
            due=_time(row.due),
            waits_for=self._awaited(waits, node) or self._turns.get(path, ""),
            child=self._children.get(path, ""),
            output_bytes=used.large_bytes or size,
            api_calls=used.api_calls,
            llm_tokens=used.llm_tokens,
            cut=cut or cut_too,
            counts=counts,
            bodies=bodies,
            more=more,
            transcript=self._transcript(path, node),
        )

    def _transcript(self, path: str, node: Node | None) -> list[Json]:
        """What was said in it: the beginning and the newest of it, each as long as a value may be."""
        if node is None or not node.bodies or self._inspection is None:
            return []
        said = self._inspection.transcript(path) if self._said_left > 0 else []
        room = max(MAX_SAID_FIRST + 1, min(MAX_SAID, self._said_left))
        if len(said) > room:
            left = {"role": "", "content": f"… {len(said) - room:,} more"}
            said = [*said[:MAX_SAID_FIRST], left, *said[MAX_SAID_FIRST - room :]]
        self._said_left -= len(said)
        return [{name: shortened(value, self._limit)[0] for name, value in entry.items()} for entry in said]

    def _awaited(self, waits: Waiting | None, node: Node | None) -> str:
        """What it waits for; of a message, its subject is in the file."""
        words = "" if waits is None else told(waits)
        message = None if node is None or waits is None or waits.kind != "message" else node.params.get("message")
        subject = message.get("subject") if isinstance(message, Mapping) else None
        return f"{words} on {subject}" if subject else words

    def _inputs(self, row: NodeRow, *, wanted: bool) -> tuple[Json, bool]:
        if not wanted or self._evaluations <= 0:
            return None, False
        self._evaluations -= 1
        given = None if self._inspection is None else self._inspection.inputs(row.path)
        return shortened(given or None, self._limit)

    def _output(self, row: NodeRow) -> tuple[Json, bool]:
        if row.status not in (NodeState.COMPLETED, NodeState.FAILED):
            return None, False
        if row.large is not None:
            if self._limit < LARGE:
                return "… (a large value)", True
            return shortened(_decoded(self._load(row.large)), self._limit)
        return shortened(_decoded(row.output), self._limit)

    # --- bodies

    def _bodies(self, path: str, only: str, after: int) -> tuple[dict[str, int], list[BodyInfo], int]:
        """How many there are in each state, some of them, and how many are left out."""
        known = self._tree.bodies.get(path, [])
        if not known:
            return {}, [], 0
        states = {body: self._state(body) for body in known}
        counts = dict(Counter(states.values()))
        order = sorted(known, key=self._order)
        if only:
            chosen = [body for body in order if body == only]
        elif self._all or after:
            chosen = order[after:]
        elif len(order) <= FEW_BODIES:
            chosen = order
        else:
            chosen = [body for body in order if states[body] != "completed"][:MAX_BODIES]
        shown: list[BodyInfo] = []
        for body in chosen:
            if self._left <= 0:
                break
            shown.append(self._body(body, states[body]))
        return counts, shown, len(order) - after - len(shown)

    def _body(self, path: str, state: str) -> BodyInfo:
        self._left -= 1
        row = self._tree.rows.get(path) or NodeRow(path=path, status=NodeState.RUNNING, attempt=1)
        names: Json = None
        if self._inspection is not None and not self._is_made(path):
            names = dict(self._inspection.names(path)) or None
        return BodyInfo(
            path=path,
            status=state,
            started_at=_time(row.started_at),
            finished_at=_time(row.finished_at),
            duration=self._duration(row),
            names=shortened(names, self._limit)[0],
            output=self._output(row)[0],
            error=self._error(row),
            nodes=[self._node(name) for name in self._names_in(path)],
        )

    def _is_made(self, body: str) -> bool:
        """Whether its nodes stand in no file: what they are given says what it was opened with."""
        entries = (self._outline.of(self._tree.path(path)) for path in self._tree.nodes.get(body, ()))
        return any(entry is not None and entry.made for entry in entries)

    def _state(self, body: str) -> str:
        """Of one that has not ended: running while something in it is, else waiting."""
        row = self._tree.rows.get(body)
        if row is not None:
            return row.status.value
        inside = {self._tree.rows[path].status for path in self._tree.under(body) if path in self._tree.rows}
        if NodeState.IN_DOUBT in inside:
            return NodeState.IN_DOUBT.value
        waits = NodeState.WAITING in inside and not inside & _UNDER_WAY
        return (NodeState.WAITING if waits else NodeState.RUNNING).value

    def _order(self, body: str) -> tuple[bool, int]:
        place = self._tree.path(body)
        if place.is_iteration:
            return True, int(place.suffix[1:-1])
        return False, self._tree.begun(body)

    # --- how

    def _duration(self, row: NodeRow) -> float | None:
        return None if row.started_at is None else ((row.finished_at or self._now) - row.started_at) / 1_000_000

    def _error(self, row: NodeRow) -> Json:
        return shortened(_decoded(row.error), max(600, self._limit))[0]


def told(waits: Waiting) -> str:
    """What a node waits for, in words; empty for a time."""
    match waits.kind:
        case "form":
            return f"form {waits.key}" + (f": {waits.title[:100]}" if waits.title else "")
        case "execution":
            return f"execution {waits.key}"
        case "message":
            return "a message"
    return "somebody who knows whether it happened" if waits.status == "in_doubt" else ""


def _reason(row: NodeRow) -> str:
    if row.status is not NodeState.SKIPPED or row.output is None:
        return ""
    reason = msgspec.json.decode(row.output)
    return reason if isinstance(reason, str) else ""


def _time(microseconds: int | None) -> str | None:
    return None if microseconds is None else format_time(microseconds)


def _decoded(body: bytes | None) -> Json:
    return None if body is None else msgspec.json.decode(body)
