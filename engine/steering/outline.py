"""Every node of a workflow, wherever it stands: what depends on it, and how it is defined."""

from collections.abc import Iterator, Mapping

import msgspec

from engine.definition.model import Body, Node, Workflow
from engine.execution.path import Path
from engine.planning.plan import Graph


class Entry(msgspec.Struct, frozen=True):
    """One node."""

    node: Node
    holder: str
    """The control-flow node in whose body it stands; empty for the workflow's own nodes."""
    body: str
    """The name of that body."""
    dependents: tuple[str, ...]
    """Nodes beside it that wait for it."""
    made: bool
    """It does not stand in the file."""

    @property
    def label(self) -> str:
        """Its name, which is unique in a file; of one that is not in the file, its key (see `Path.key`)."""
        return f"{self.holder}/{self.node.id}" if self.made else self.node.id


class Outline(dict[str, Entry]):
    """The nodes of a workflow by their labels."""

    def of(self, path: Path) -> Entry | None:
        """The node at a path, or that a body at a path belongs to."""
        return self.get(self.label(path))

    def label(self, path: Path) -> str:
        """The label of the node at a path."""
        if path.is_body or not path.holder:
            return path.name
        key = path.key
        return key if key in self else path.name

    def body_of(self, entry: Entry | None) -> Body | None:
        """The body that a node stands in."""
        holder = None if entry is None else self.get(entry.holder)
        return None if holder is None or entry is None else holder.node.bodies.get(entry.body)


def outline(workflow: Workflow) -> Outline:
    """The nodes of a workflow."""
    return Outline((entry.label, entry) for entry in _entries(workflow.nodes, "", ""))


class Changes(msgspec.Struct, frozen=True):
    """What distinguishes two versions of a workflow, as labels of nodes."""

    touched: frozenset[str]
    """Defined otherwise, standing elsewhere, or gone. What changed in a body counts for the nodes in it, not for the
    node that holds it."""
    added: frozenset[str]

    def touch(self, path: Path, outline: Outline) -> bool:
        """Whether the node at a path is not what it was; `outline` is the new one."""
        key = path.key
        return key in self.touched or (key not in outline and path.name in self.touched)


def changes(old: Workflow, new: Workflow) -> Changes:
    """What `new` has made of the nodes of `old`."""
    before, after = outline(old), outline(new)
    touched = frozenset(
        name
        for name, entry in before.items()
        if (other := after.get(name)) is None
        or (entry.holder, entry.body) != (other.holder, other.body)
        or _definition(entry.node) != _definition(other.node)
    )
    return Changes(touched, frozenset(after.keys() - before.keys()))


def volatile_nodes(graph: Graph) -> frozenset[str]:
    """Names of control-flow nodes whose parameters may give something else when they are evaluated again."""
    found: set[str] = set()
    for node in graph.nodes:
        if node.bodies and node.parameters.volatile:
            found.add(node.node.id)
        for body in node.bodies.values():
            found |= volatile_nodes(body)
    return frozenset(found)


def _entries(nodes: Mapping[str, Node], holder: str, body: str, *, made: bool = False) -> Iterator[Entry]:
    dependents: dict[str, list[str]] = {name: [] for name in nodes}
    for node in nodes.values():
        for name in dict.fromkeys([*(need.node for need in node.needs), *node.references]):
            if name in dependents:
                dependents[name].append(node.id)
    for node in nodes.values():
        yield Entry(node, holder, body, tuple(dependents[node.id]), made)
        for name, inner in node.bodies.items():
            yield from _entries(inner.nodes, node.id, name, made=inner.made)


def _definition(node: Node) -> object:
    """A node's own definition: of its bodies, what is evaluated in their scope."""
    own = msgspec.structs.replace(node, bodies={}, params={})
    bodies = {
        name: (body.before, dict(body.after), dict(body.asks), dict(body.results), body.names)
        for name, body in node.bodies.items()
    }
    return msgspec.to_builtins((own, bodies, _without_nodes(node)))


def _without_nodes(node: Node) -> dict[str, object]:
    """The fields as written, without the nodes inside."""
    if not node.bodies:
        return dict(node.params)
    inside = {name for body in node.bodies.values() for name in body.nodes}
    return {
        name: value
        for name, value in node.params.items()
        if not (isinstance(value, Mapping) and ("nodes" in value or _holds(value, inside)))
    }


def _holds(value: Mapping[str, object], inside: set[str]) -> bool:
    """Whether these are nodes, and not what is said of them by their names."""
    return any(isinstance(item, Mapping) and "type" in item for name, item in value.items() if name in inside)
