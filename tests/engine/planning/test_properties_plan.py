"""Any graph, compiled: what a node waits for, who waits for it, and its level."""

from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contract import Context, Done, Effect, NodeType, Outcome
from engine.definition import load_workflow
from engine.definition.problems import InvalidWorkflow
from engine.planning.plan import compile_plan
from engine.values import Json
from plugins.registry import Registry


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    data: Json = None


async def run(_: Context, params: Params) -> Outcome:
    return Done(params.data)


TYPES = Registry(
    [NodeType(name="act", description="", example="", params=Params, run=run, effect=Effect.AT_LEAST_ONCE)]
)
Edges = Mapping[str, tuple[frozenset[str], frozenset[str]]]
"""By node: what it needs, and what its fields refer to."""


@st.composite
def graphs(draw) -> Edges:
    """Every node has edges to nodes before it in a hidden order; in the file they stand in another one."""
    names = [f"n{position}" for position in range(draw(st.integers(1, 9)))]
    edges = {}
    for position, name in enumerate(names):
        before = st.frozensets(st.sampled_from(names[:position]), max_size=4) if position else st.just(frozenset())
        edges[name] = (draw(before), draw(before))
    return {name: edges[name] for name in draw(st.permutations(names))}


def written(edges: Edges) -> bytes:
    nodes = {}
    for name, (needs, references) in edges.items():
        nodes[name] = {"type": "act", "data": {other: f"{{{{ nodes.{other} }}}}" for other in sorted(references)}}
        if needs:
            nodes[name]["needs"] = sorted(needs)
    return msgspec.json.encode({"name": "w", "nodes": nodes})


@given(graphs())
def test_a_plan_has_the_edges_of_the_file_and_levels_that_respect_them(edges):
    plan = compile_plan(load_workflow(written(edges), types=TYPES, filename="w.json", params={}), 1, TYPES)
    node = {planned.node.id: planned for planned in plan.nodes}
    name = [planned.node.id for planned in plan.nodes]

    assert name == list(edges)
    for id, (needs, references) in edges.items():
        waits = {name[place] for place in node[id].waits}
        assert waits == needs | references
        assert {name[edge.source] for edge in node[id].needs} == (needs or references)
        assert {name[place] for place in node[id].dependents} == {
            other for other, (needed, referred) in edges.items() if id in needed | referred
        }
        assert node[id].level == max((node[other].level + 1 for other in waits), default=0)
    assert {name[place] for place in plan.roots} == {id for id, (needs, refs) in edges.items() if not needs | refs}
    assert list(plan.level_sizes) == [
        sum(planned.level == level for planned in plan.nodes) for level in range(len(plan.level_sizes))
    ]


@given(graphs(), st.data())
def test_one_edge_backwards_makes_a_circle_that_is_refused(edges, data):
    def above(id: str) -> set[str]:
        found = set(edges[id][0] | edges[id][1])
        return found.union(*(above(other) for other in found))

    below = data.draw(st.sampled_from(list(edges)))
    top = data.draw(st.sampled_from(sorted({below, *above(below)})))
    circular = {**edges, top: (edges[top][0] | {below}, edges[top][1])}

    with pytest.raises(InvalidWorkflow, match=r"circle|itself|cycle|wait"):
        load_workflow(written(circular), types=TYPES, filename="w.json", params={})
