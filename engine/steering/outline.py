"""Every node of a workflow by its name, wherever it stands: what depends on it, and how it is defined."""

from collections.abc import Iterator, Mapping

import msgspec

from engine.definition.model import Node, Workflow
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


Outline = Mapping[str, Entry]


def outline(workflow: Workflow) -> Outline:
    """The nodes of a workflow by name; names are unique in a file."""
    return {entry.node.id: entry for entry in _entries(workflow.nodes, "", "")}


class Changes(msgspec.Struct, frozen=True):
    """What distinguishes two versions of a workflow, as names of nodes."""

    touched: frozenset[str]
    """Defined otherwise, standing elsewhere, or gone. What changed in a body counts for the nodes in it, not for the
    node that holds it."""
    added: frozenset[str]


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


def _entries(nodes: Mapping[str, Node], holder: str, body: str) -> Iterator[Entry]:
    dependents: dict[str, list[str]] = {name: [] for name in nodes}
    for node in nodes.values():
        for name in dict.fromkeys([*(need.node for need in node.needs), *node.references]):
            if name in dependents:
                dependents[name].append(node.id)
    for node in nodes.values():
        yield Entry(node, holder, body, tuple(dependents[node.id]))
        for name, inner in node.bodies.items():
            yield from _entries(inner.nodes, node.id, name)


def _definition(node: Node) -> object:
    """A node's own definition: of its bodies, what is evaluated in their scope."""
    own = msgspec.structs.replace(node, bodies={}, params={})
    bodies = {name: (body.before, dict(body.after), dict(body.asks), body.names) for name, body in node.bodies.items()}
    return msgspec.to_builtins((own, bodies, _without_nodes(node)))


def _without_nodes(node: Node) -> dict[str, object]:
    """The fields as written, without the nodes inside."""
    if not node.bodies:
        return dict(node.params)
    inside = {name for body in node.bodies.values() for name in body.nodes}
    return {
        name: value
        for name, value in node.params.items()
        if not (isinstance(value, Mapping) and (inside & value.keys() or "nodes" in value))
    }
