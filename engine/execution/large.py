"""Large results of an interrupted execution: only those are loaded that something may still ask for, each once.

A loop over thousands of items may have thousands of large results behind it, of which only the body's own values count.
"""

import sqlite3
from collections.abc import Collection, Iterator, Mapping
from functools import partial

import msgspec

from engine.execution.path import BadPath, Path, read_path
from engine.expressions import Program
from engine.planning.plan import Graph, Plan, PlannedBody, PlannedNode
from engine.states import SETTLED, NodeState
from engine.store import Store, values
from engine.store.checkpoints import NodeRow
from engine.values import Json

__all__ = ["NONE_HELD", "Held", "LargeValues", "Unloaded", "needed"]


class Unloaded:
    """Stands for a large result that nothing should ask for any more. It is no JSON data: what asks fails, loudly."""


class Held:
    """The decoded values that one execution shares with others, by hash, until `release`."""

    __slots__ = ("_owner", "_values")

    def __init__(self, owner: "LargeValues | None" = None, values: Mapping[str, Json] | None = None) -> None:
        self._owner = owner
        self._values = values or {}

    def value(self, row: NodeRow) -> Json:
        """What a row holds, decoded: null where it holds nothing."""
        if row.large is not None:
            return self._values.get(row.large, _UNLOADED)
        return None if row.output is None else msgspec.json.decode(row.output)

    def release(self) -> None:
        """The execution is not in memory any more."""
        if self._owner is not None:
            self._owner.give_back(self._values)
            self._owner = None


class LargeValues:
    """Large values that executions in memory were restored with: each is there once, however many have it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, tuple[Json, int]] = {}
        """The value, and how many hold it."""

    async def take(self, hashes: Collection[str]) -> Held:
        """Load what is not there yet. Raises StoreCorrupt."""
        held: dict[str, Json] = {}
        try:
            for hash in hashes:  # one at a time: others have their turn between two large ones
                if hash not in self._known:
                    value = await self._store.read(partial(_decoded, hash=hash))
                    self._known.setdefault(hash, (value, 0))
                value, holders = self._known[hash]
                self._known[hash] = (value, holders + 1)
                held[hash] = value
        except BaseException:
            self.give_back(held)
            raise
        return Held(self, held)

    def give_back(self, hashes: Collection[str]) -> None:
        """One execution less holds them."""
        for hash in hashes:
            value, holders = self._known[hash]
            if holders > 1:
                self._known[hash] = (value, holders - 1)
            else:
                del self._known[hash]

    def __len__(self) -> int:
        return len(self._known)


def _decoded(db: sqlite3.Connection, hash: str) -> Json:
    return msgspec.json.decode(values.load(db, hash))


def needed(plan: Plan, rows: Collection[NodeRow]) -> tuple[set[str], set[str]]:
    """The hashes of large results that may still be asked for, and the paths of rows whose bytes are: memos of nodes
    that wait, and parameters of control-flow nodes that are open."""
    large = [row for row in rows if row.large is not None]
    if not large:
        return set(), set()
    search = _Search(plan, {row.path: row for row in rows})
    results = {row.large for row in large if row.large and row.status is NodeState.COMPLETED and search.is_needed(row)}
    return results, {row.path for row in large if row.status not in SETTLED}


class _Place(msgspec.Struct, frozen=True):
    """Where a node stands in the workflow."""

    node: PlannedNode
    graph: Graph
    holder: PlannedNode | None
    """The control-flow node that holds it."""

    @property
    def key(self) -> str:
        """See `Path.key`."""
        own = self.node.node.id
        return own if self.holder is None else f"{self.holder.node.id}/{own}"


class _Search:
    def __init__(self, plan: Plan, rows: Mapping[str, NodeRow]) -> None:
        self._plan = plan
        self._rows = rows
        self._places = {place.key: place for place in _places(plan, None)}

    def is_needed(self, row: NodeRow) -> bool:
        """Whether a completed row's value may be asked for. In doubt it is."""
        try:
            path = read_path(row.path)
            if path.is_body:
                return not self._is_over(path.holder)
            return self._is_asked_for(path)
        except BadPath:
            return True

    def _is_asked_for(self, path: Path) -> bool:
        name = path.name
        place = self._places.get(path.key)
        if path.key in self._plan.setters or place is None:
            return True
        is_seen = place.holder is not None and any(body.sees for body in place.holder.bodies.values())
        if path.holder and self._is_over(path.holder):
            return is_seen and not self._is_over(read_path(path.holder).holder)
        if is_seen or name in _asked_at_the_end(place.graph):
            return True
        for index in place.node.dependents:
            dependent = place.graph.nodes[index].node
            other = self._rows.get(path.prefix + dependent.id)
            if name in dependent.references and (other is None or other.status not in SETTLED):
                return True
        return False

    def _is_over(self, text: str) -> bool:
        """A node or a body, or something that holds it, has settled."""
        while text:
            row = self._rows.get(text)
            if row is not None and row.status in SETTLED:
                return True
            text = read_path(text).holder
        return False


def _places(graph: Graph, holder: PlannedNode | None) -> Iterator[_Place]:
    for node in graph.nodes:
        yield _Place(node, graph, holder)
        for body in node.bodies.values():
            yield from _places(body, node)


def _asked_at_the_end(graph: Graph) -> set[str]:
    """Nodes whose outputs the graph itself gives: the workflow's outputs, a body's values."""
    if isinstance(graph, PlannedBody):
        names = _nodes_of(*graph.after.values()) | set(graph.alone)
        return names if graph.sole is None else names | {graph.sole}
    return _nodes_of(graph.outputs) if isinstance(graph, Plan) else set()


def _nodes_of(*programs: Program | None) -> set[str]:
    references = [reference for program in programs if program is not None for reference in program.references]
    return {str(reference.path[0]) for reference in references if reference.root == "nodes" and reference.path}


_UNLOADED = Unloaded()
NONE_HELD = Held()
"""For rows without large values, or where they do not matter."""
