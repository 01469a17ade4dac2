"""A workflow compiled once: edges as indices, levels, and every field as a program. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from engine import contract
from engine.construct import Opening
from engine.contract import Effect, NodeType, NodeTypes
from engine.definition.budget import Dependents
from engine.definition.graph import Cycle, topological_levels
from engine.definition.model import SET_TYPE, UNDEFINED, Body, Node, RunIf, Workflow
from engine.expressions import Program, compile_expression, compile_tree
from engine.planning.parameters import Parameters
from engine.planning.rules import Blow, blow_of


class Edge(msgspec.Struct, frozen=True):
    """A needed node, by index, and the port that must have been taken."""

    source: int
    port: str | None


class PlannedNode(msgspec.Struct, frozen=True, kw_only=True):
    """One node of a graph. Indices are positions in `Graph.nodes`."""

    index: int
    node: Node
    type: NodeType
    inline: bool
    """Pure: it runs at once, without a task and without waiting for a commit."""
    needs: tuple[Edge, ...]
    """What counts for the decision."""
    waits: tuple[int, ...]
    """What must have settled before: needs and references."""
    dependents: tuple[int, ...]
    """Who waits for this one."""
    level: int
    parameters: Parameters
    when: Program | None
    default: Program | None
    cache_key: Program | None
    blow: Blow
    """What its failure does."""
    ports: frozenset[str | None]
    """The outlets that it may take: None alone for a type that does not branch."""
    bodies: Mapping[str, "PlannedBody"]
    """What a control-flow node holds."""

    def opened(self, opening: Opening) -> "PlannedBody":
        """The body that is opened, or what is opened of it."""
        body = self.bodies[opening.body]
        return body.alone[opening.only] if opening.only else body


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """Nodes that depend on each other: those of a workflow, or of one body."""

    nodes: tuple[PlannedNode, ...]
    index: Mapping[str, int]
    roots: tuple[int, ...]
    """Nodes that wait for nothing."""
    level_sizes: tuple[int, ...]


class PlannedBody(Graph, frozen=True, kw_only=True):
    """A compiled body of a control-flow node."""

    outward: tuple[str, ...]
    """Nodes outside that its expressions refer to: they have settled before it is opened."""
    before: Program | None
    after: Mapping[str, Program]
    """Texts and expressions, evaluated when its nodes have settled."""
    sole: str | None
    """Its only node, whose output stands for an `output` that the file leaves out."""
    gives: tuple[str, ...]
    """The names of the values that it ends with."""
    names: tuple[str, ...]
    """What its expressions see besides."""
    sees: tuple[str, ...]
    shielded: bool
    alone: "Mapping[str, PlannedBody]"
    """Of a choice: the body with one node alone, by its name."""


class Plan(Graph, frozen=True, kw_only=True):
    """A compiled workflow, shared by all its executions."""

    workflow: Workflow
    version: int
    outputs: Program | None
    setters: frozenset[str]
    """Nodes that assign to `vars`, by key (see `execution.path`), at any depth."""
    dispensable: frozenset[str]
    """Nodes whose failure makes the end partial."""
    holders: frozenset[str]
    """Control-flow nodes."""
    metered: bool
    """There are limits, of the workflow or of a node, or only so many nodes may fail."""


class CyclicWorkflow(ValueError):
    """The edges form a circle; the message names it."""


class UnknownNodeType(LookupError):
    """The definition uses a node type that this agent does not have, or has switched off."""


def compile_plan(workflow: Workflow, version: int, types: NodeTypes) -> Plan:
    """Compile a workflow that was validated when it was read.

    Raises UnknownNodeType, CyclicWorkflow, or ExpressionError: a stored definition may be from another version.
    """
    graph = _graph(workflow.nodes, types, workflow.degradation.dependents)
    everywhere = dict(_all(workflow.nodes))
    return Plan(
        **graph,
        workflow=workflow,
        version=version,
        outputs=None if workflow.outputs is UNDEFINED else compile_tree(workflow.outputs),
        setters=frozenset(key for key, node in everywhere.items() if node.type == SET_TYPE),
        dispensable=frozenset(key for key, node in everywhere.items() if not node.critical),
        holders=frozenset(key for key, node in everywhere.items() if node.bodies),
        metered=workflow.limits is not None
        or workflow.degradation.max_failures is not None
        or any(node.limits is not None for node in everywhere.values()),
    )


def _graph(nodes: Mapping[str, Node], types: NodeTypes, degraded: Dependents) -> dict[str, Any]:
    """The fields of a Graph."""
    ids = list(nodes)
    index = {id: position for position, id in enumerate(ids)}
    needs: list[tuple[Edge, ...]] = []
    waits: list[tuple[int, ...]] = []
    dependents: list[list[int]] = [[] for _ in ids]
    for position, node in enumerate(nodes.values()):
        # A node inside a body may refer to nodes around it: those are edges of the node that holds the body.
        references = [index[id] for id in node.references if id in index]
        wanted = tuple(Edge(index[need.node], need.port) for need in node.needs)
        needs.append(wanted or tuple(Edge(source, None) for source in references))
        sources = tuple(dict.fromkeys([edge.source for edge in wanted] + references))
        waits.append(sources)
        for source in sources:
            dependents[source].append(position)
    relied_on = {
        edge.source
        for node, edges in zip(nodes.values(), needs, strict=True)
        if node.run_if is RunIf.SUCCESS
        for edge in edges
    }
    levels = _levels(ids, waits)
    sizes = [0] * (max(levels, default=-1) + 1)
    for level in levels:
        sizes[level] += 1
    return {
        "nodes": tuple(
            _planned(
                position,
                node,
                types,
                needs[position],
                waits[position],
                tuple(dependents[position]),
                levels,
                degraded,
                relied_on=position in relied_on,
            )
            for position, node in enumerate(nodes.values())
        ),
        "index": index,
        "roots": tuple(position for position, sources in enumerate(waits) if not sources),
        "level_sizes": tuple(sizes),
    }


def _body(body: Body, spec: contract.Body, types: NodeTypes, degraded: Dependents) -> PlannedBody:
    after = {name: compile_tree(text) for name, text in body.after.items()}
    after |= {name: compile_expression(text) for name, text in body.asks.items()}
    alone = {}
    if body.choice:
        spec = msgspec.structs.replace(spec, after={**spec.after, "output": ()}, choice=None)
        for id, node in body.nodes.items():
            own = {"output": body.results[id]} if id in body.results else {}
            only = msgspec.structs.replace(body, nodes={id: node}, after={**body.after, **own}, choice=False)
            alone[id] = _body(only, spec, types, degraded)
    return PlannedBody(
        **_graph(body.nodes, types, degraded),
        outward=body.outward,
        before=None if body.before is None else compile_expression(body.before),
        after=after,
        sole=next(iter(body.nodes)) if len(body.nodes) == 1 else None,
        gives=(*spec.after, *spec.asks),
        names=body.names,
        sees=spec.sees,
        shielded=spec.shielded,
        alone=alone,
    )


def _all(nodes: Mapping[str, Node], above: str = "") -> Iterator[tuple[str, Node]]:
    """Nodes at any depth, by their keys (see `execution.path`)."""
    for node in nodes.values():
        yield above + node.id, node
        for body in node.bodies.values():
            yield from _all(body.nodes, f"{node.id}/")


def _planned(
    index: int,
    node: Node,
    types: NodeTypes,
    needs: tuple[Edge, ...],
    waits: tuple[int, ...],
    dependents: tuple[int, ...],
    levels: list[int],
    degraded: Dependents,
    *,
    relied_on: bool,
) -> PlannedNode:
    type = types.get(node.type)
    off = types.disabled(node.type)
    if type is None or off:
        raise UnknownNodeType(off or f"this agent has no node type {node.type!r}: update it, or install its plugin")
    return PlannedNode(
        index=index,
        node=node,
        type=type,
        inline=node.effect is Effect.PURE and type.construct is None and node.cache is None,
        needs=needs,
        waits=waits,
        dependents=dependents,
        level=levels[index],
        parameters=Parameters(type.params, node.params),
        when=None if node.when is None else compile_expression(node.when),
        default=None if node.default is UNDEFINED else compile_tree(node.default),
        cache_key=None if node.cache is None or node.cache.key is UNDEFINED else compile_tree(node.cache.key),
        blow=blow_of(on_error=node.on_error, critical=node.critical, dependents=degraded, relied_on=relied_on),
        ports=frozenset([None]) if type.ports is None else frozenset(type.ports(node.params)),
        bodies={name: _body(body, type.bodies[name], types, degraded) for name, body in node.bodies.items()},
    )


def _levels(ids: list[str], waits: list[tuple[int, ...]]) -> list[int]:
    """The level of each node: 0 for roots, else one more than the highest of those it waits for."""
    result = topological_levels({id: [ids[source] for source in waits[position]] for position, id in enumerate(ids)})
    if isinstance(result, Cycle):
        raise CyclicWorkflow(f"the nodes wait for each other in a circle: {result}")
    positions = {id: level for level, members in enumerate(result) for id in members}
    return [positions[id] for id in ids]
