"""What the nodes of an execution were given, evaluated again from its rows: to be shown, never to be run.

Values are those that a new attempt would see; of `vars` the newest ones. Secrets stand as their masks.
"""

from collections.abc import Callable, Iterable, Mapping

import msgspec

from engine.construct import Construct, Conversation, Opening
from engine.contract import Done, Fail, Role, role_of
from engine.execution.constructs import ending_of
from engine.execution.inputs import Inputs, starting_variables
from engine.execution.path import read_path
from engine.execution.restoration import Rows
from engine.execution.run import NodeError, Run
from engine.execution.services import Services
from engine.planning.plan import Graph, Plan, PlannedNode
from engine.states import SETTLED, NodeState
from engine.steering.row_tree import RowTree
from engine.store.checkpoints import NodeRow
from engine.store.executions import ExecutionRow
from engine.values import Json, encode_json

MAX_OPENINGS = 1_000_000
MAX_LOADED = 32 * 1024 * 1024
"""Bytes of large values that are loaded; what refers to others is not evaluated."""


class _Scene(msgspec.Struct, frozen=True):
    """A graph as far as its rows tell, and what its nodes see."""

    graph: Graph
    run: Run
    inputs: Inputs


class Inspection:
    """Of one execution. `load` gives the bytes of a large value."""

    def __init__(
        self, plan: Plan, row: ExecutionRow, rows: Iterable[NodeRow], tree: RowTree, services: Services,
        load: Callable[[str], bytes],
    ) -> None:  # fmt: skip
        self._plan = plan
        self._row = row
        self._tree = tree
        self._services = services
        self._load = load
        self._variables = Rows(rows).variables(starting_variables(plan, row), plan.setters)
        self._scenes: dict[str, _Scene | None] = {}
        self._openings: dict[str, dict[str, Opening]] = {}
        self._asked: dict[str, Construct] = {}
        self._loaded = 0

    def inputs(self, path: str) -> dict[str, Json] | None:
        """The fields of a node's type as its newest attempt sees them, those that the file gives; as the file has them
        where they can't be evaluated (that may be why it failed). None for a node that nobody knows."""
        place = read_path(path)
        scene = self._scene(place.holder)
        node = None if scene is None else _find(scene.graph, place.name)
        if scene is None or node is None:
            return None
        inner = {field.encode_name for field in msgspec.structs.fields(node.type.params) if role_of(field) is Role.BODY}
        written = {name: value for name, value in node.node.params.items() if name not in inner}
        params = scene.inputs.parameters(node)
        if isinstance(params, Fail):
            return written
        fields = msgspec.json.decode(encode_json(params))
        return {name: fields[name] for name in written if name in fields}

    def names(self, body: str) -> Mapping[str, Json]:
        """What a body was opened with: its item and index, its error."""
        place = read_path(body)
        scene = self._scene(read_path(place.holder).holder)
        node = None if scene is None else _find(scene.graph, place.name)
        if scene is None or node is None:
            return {}
        opening = self._openings_of(scene, node, place.holder).get(place.suffix)
        return {} if opening is None else opening.names

    def transcript(self, path: str) -> list[dict[str, Json]]:
        """Who said what in a node, as far as it came; nothing where its type has no such thing."""
        place = read_path(path)
        scene = self._scene(place.holder)
        node = None if scene is None else _find(scene.graph, place.name)
        if scene is None or node is None or not node.type.transcribes:
            return []
        self._openings_of(scene, node, path)
        asked = self._asked.get(path)
        return asked.transcript() if isinstance(asked, Conversation) else []

    def _scene(self, body: str) -> _Scene | None:
        if body not in self._scenes:
            self._scenes[body] = self._inner(body) if body else self._outermost()
        return self._scenes[body]

    def _outermost(self) -> _Scene:
        run = Run(self._plan)
        self._restore(run, "")
        began = self._row.started_at or self._row.created_at
        inputs = Inputs.of_execution(self._plan, self._row, run, self._services, began, self._variables)
        return _Scene(self._plan, run, inputs)

    def _inner(self, text: str) -> _Scene | None:
        place = read_path(text)
        home = self._scene(read_path(place.holder).holder)
        node = None if home is None else _find(home.graph, place.name)
        if home is None or node is None:
            return None
        openings = self._openings_of(home, node, place.holder)
        opening = openings.get(place.suffix)
        if opening is None:
            return None
        body = node.opened(opening)
        outputs, errors = home.inputs.visible(body)
        for other in openings.values():
            if other.body in body.sees:
                seen = self._scene(place.holder + other.suffix)
                if seen is not None:
                    outputs.update(seen.run.outputs)
                    errors.update(seen.run.errors)
        run = Run(body, outputs, errors)
        self._restore(run, text)
        row = self._tree.rows.get(text) or self._tree.rows.get(place.holder)
        began = (row.started_at if row is not None else None) or self._row.created_at
        return _Scene(body, run, home.inputs.inside(run, opening.names, place.name + place.suffix, began))

    def _openings_of(self, home: _Scene, node: PlannedNode, path: str) -> dict[str, Opening]:
        """The bodies that a control-flow node has opened, by suffix: it is asked again."""
        if path not in self._openings:
            self._openings[path] = {}
            try:
                for opening in self._ask(home, node, path):
                    self._openings[path][opening.suffix] = opening
            except (ValueError, LookupError, TypeError):  # it was opened with something that is not there any more
                pass
        return self._openings[path]

    def _ask(self, home: _Scene, node: PlannedNode, path: str) -> Iterable[Opening]:
        row = self._tree.rows.get(path)
        if row is not None and row.status is NodeState.RUNNING and row.output is not None:
            params: msgspec.Struct | Fail = node.parameters.restored(row.output)
        else:
            params = home.inputs.parameters(node)
        if isinstance(params, Fail) or node.type.construct is None:
            return
        construct = node.type.construct(params, {name: body.names for name, body in node.node.bodies.items()})
        self._asked[path] = construct
        under_way = 0
        for _ in range(MAX_OPENINGS):
            step = construct.next()
            if step is None or isinstance(step, Done | Fail):
                return
            yield step
            ended = self._tree.rows.get(path + step.suffix)
            if ended is not None:
                if ended.large is not None and self._loaded > MAX_LOADED:
                    return
                construct.ended(ending_of(step, node.opened(step), ended, self._output))
            else:
                under_way += 1
                if under_way >= construct.concurrency:
                    return

    def _restore(self, run: Run, body: str) -> None:
        rows = [self._tree.rows[path] for path in self._tree.nodes.get(body, ()) if path in self._tree.rows]
        for row in sorted(rows, key=lambda row: row.seq):
            node = _find(run.plan, read_path(row.path).name)
            if node is None or (row.large is not None and self._loaded > MAX_LOADED):
                continue
            run.attempts[node.index] = row.attempt
            if row.status in SETTLED:
                error = None if row.error is None else msgspec.json.decode(row.error, type=NodeError)
                at = row.finished_at or 0
                run.restore(node, row.status, output=self._output(row), port=row.port, error=error, at=at)
            else:
                run.restore(node, row.status)

    def _output(self, row: NodeRow) -> Json:
        body = row.output
        if row.large is not None:
            body = self._load(row.large)
            self._loaded += len(body)
        return None if body is None else msgspec.json.decode(body)


def _find(graph: Graph, name: str) -> PlannedNode | None:
    position = graph.index.get(name)
    return None if position is None else graph.nodes[position]
