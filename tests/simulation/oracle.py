"""Watches from outside while a simulation runs: what nodes do to the world, and what is on the disk at that moment.

It knows the workflows as they were written, and asks the engine nothing.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping

from engine.contract import Context
from engine.states import EXECUTION_MOVES, NODE_MOVES, SETTLED, ExecutionState, NodeState
from engine.values import Json
from tests.simulation.spec import Spec

_SETTLED = frozenset(state.value for state in SETTLED)


class Oracle:
    """One simulation's memory. `violations` is empty as long as every promise is kept."""

    def __init__(self, specs: Mapping[str, Spec]) -> None:
        self.specs = specs
        self.violations: list[str] = []
        self.attempts: Counter[tuple[str, str]] = Counter()
        """Begun, by execution and path."""
        self.effects: Counter[tuple[str, str]] = Counter()
        """Changes to the world."""
        self.results: dict[tuple[str, str], Json] = {}
        """What a node that changed the world is about to return; None where it fails."""
        self.keys: dict[tuple[str, str], str] = {}
        self.resolved: set[tuple[str, str]] = set()
        """Nodes in doubt that a person decided about."""
        self.trail: list[str] = []
        """Everything that was seen, for the comparison of two runs with one seed."""
        self._disk: sqlite3.Connection | None = None

    # --- the disk

    def look_at(self, path: str) -> None:
        """Open eyes on the file that see what is committed."""
        self._disk = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)

    def close(self) -> None:
        if self._disk is not None:
            self._disk.close()

    def rows(self, query: str, *values: object) -> list[tuple]:
        assert self._disk is not None
        return self._disk.execute(query, values).fetchall()

    def watch(self, db: sqlite3.Connection) -> None:
        """See each change of a state that this connection makes."""
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'nodes'").fetchone():
            return
        db.create_function("execution_moved", 3, self._execution_moved)
        db.create_function("node_moved", 4, self._node_moved)
        db.execute(
            "CREATE TEMP TRIGGER see_execution BEFORE UPDATE OF status ON executions "
            "BEGIN SELECT execution_moved(old.id, old.status, new.status); END"
        )
        db.execute(
            "CREATE TEMP TRIGGER see_node BEFORE INSERT ON nodes BEGIN SELECT node_moved(new.execution, new.path, "
            "(SELECT status FROM nodes WHERE execution = new.execution AND path = new.path), new.status); END"
        )

    def _execution_moved(self, id: str, old: str, new: str) -> None:
        if old != new and ExecutionState(new) not in EXECUTION_MOVES[ExecutionState(old)]:
            self.violate(f"execution {id} moved from {old} to {new}")

    def _node_moved(self, id: str, path: str, old: str | None, new: str) -> None:
        self.trail.append(f"{path} {new}")
        before = NodeState.PENDING if old is None else NodeState(old)
        if NodeState(new) is not before and NodeState(new) not in _REACHABLE[before]:
            self.violate(f"node {path} of {id} moved from {before} to {new}")
        elif before in SETTLED:
            self.violate(f"node {path} of {id} was {before}, and is written again as {new}")

    # --- what nodes do

    def began(self, ctx: Context, *, effect: str) -> None:
        """An attempt with an effect begins: everything that it is built from must be on the disk."""
        place = (ctx.execution, ctx.path)
        self.attempts[place] += 1
        self.trail.append(f"{ctx.path} begins")
        if self.keys.setdefault(place, ctx.idempotency_key) != ctx.idempotency_key:
            self.violate(f"{ctx.path} of {ctx.execution} has another idempotency key than before")
        spec = self.specs[ctx.workflow]
        states = dict(self.rows("SELECT path, status FROM nodes WHERE execution = ?", ctx.execution))
        for inputs in self._inputs(spec, ctx.path):
            if states.get(inputs) not in _SETTLED:
                self.violate(f"{ctx.path} of {ctx.execution} began while {inputs} was {states.get(inputs)} on the disk")
        if effect == "once" and states.get(ctx.path) != "running":
            self.violate(f"{ctx.path} of {ctx.execution}: at most once, and its intent is not on the disk")

    def _inputs(self, spec: Spec, path: str) -> Iterable[str]:
        """Paths of everything that this node waits for, in its own body and around the bodies that hold it."""
        parts = path.split("/")
        for depth in range(len(parts)):
            here = "/".join(parts[: depth + 1])
            around = "/".join(parts[:depth])
            for id in spec.ancestors.get(spec.key(here), ()):
                yield f"{around}/{id}" if around else id
            yield from self._bodies_before(spec, here)

    def _bodies_before(self, spec: Spec, path: str) -> Iterable[str]:
        """What must have ended before a body begins: the round before, what is caught or cleaned up after."""
        construct, _, round = path.removesuffix("]").rpartition("[")
        if round not in ("", "0") and spec.types[spec.key(construct)] in ("repeat", "while"):
            yield f"{construct}[{int(round) - 1}]"
        if path.endswith(("/catch", "/finally")):
            yield f"{path.rpartition('/')[0]}/try"

    def affected(self, ctx: Context, result: Json, *, effect: str) -> None:
        """The world is changed."""
        place = (ctx.execution, ctx.path)
        self.effects[place] += 1
        self.results[place] = result
        self.trail.append(f"{ctx.path} acts")
        if effect == "once" and self.effects[place] > 1:
            self.violate(f"{ctx.path} of {ctx.execution} happened twice, and may at most once")

    def tells(self, workflow: str, path: str) -> bool:
        """Whether this node publishes a message with its result."""
        spec = self.specs[workflow]
        return spec.key(path) in spec.tells

    def violate(self, text: str) -> None:
        if len(self.violations) < 20:
            self.violations.append(text)

    @property
    def repeats(self) -> int:
        """Effects that happened again."""
        return sum(count - 1 for count in self.effects.values())


def _reachable() -> dict[NodeState, frozenset[NodeState]]:
    """Rows skip states that are over at once: what can come after each, in one move or more."""
    found = {}
    for state in NodeState:
        seen: set[NodeState] = set()
        stack = [*NODE_MOVES[state]]
        while stack:
            following = stack.pop()
            if following not in seen:
                seen.add(following)
                stack.extend(NODE_MOVES[following])
        found[state] = frozenset(seen)
    return found


_REACHABLE = _reachable()
