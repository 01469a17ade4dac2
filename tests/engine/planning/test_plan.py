"""Compiling a workflow: edges, levels, ports, and what is refused."""

import pytest

from engine.contract import Effect
from engine.definition.model import UNDEFINED, Need, Node, OnError, Workflow
from engine.planning.plan import CyclicWorkflow, Edge, UnknownNodeType, compile_plan
from engine.planning.rules import Blow
from plugins.registry import Registry


@pytest.fixture
def types(acting) -> Registry:
    return Registry(acting.types(), disabled={"once": "once is off: allow it in the config"})


@pytest.fixture
def plan_of(types):
    def compile(**nodes: dict):
        made = {
            id: Node(id=id, **{"type": "act", "params": {}, "effect": Effect.AT_LEAST_ONCE} | fields)
            for id, fields in nodes.items()
        }
        return compile_plan(Workflow(name="w", nodes=made), 3, types)

    return compile


def needs(*written: str) -> tuple[Need, ...]:
    return tuple(Need(*text.split(".")) for text in written)


def test_levels_are_one_more_than_the_highest_input(plan_of):
    plan = plan_of(d={"needs": needs("b", "c")}, a={}, b={"references": ("a",)}, c={"needs": needs("b")}, alone={})

    assert {node.node.id: node.level for node in plan.nodes} == {"a": 0, "alone": 0, "b": 1, "c": 2, "d": 3}
    assert plan.level_sizes == (2, 1, 1, 1)
    assert [plan.nodes[root].node.id for root in plan.roots] == ["a", "alone"]


def test_needs_and_references_are_both_waited_for_and_only_needs_count(plan_of):
    plan = plan_of(a={}, b={}, c={"needs": needs("a"), "references": ("b", "a")})
    node = plan.nodes[plan.index["c"]]

    assert node.needs == (Edge(plan.index["a"], None),)
    assert node.waits == (plan.index["a"], plan.index["b"])
    assert plan.nodes[plan.index["b"]].dependents == (plan.index["c"],)


def test_references_count_where_there_are_no_needs(plan_of):
    plan = plan_of(a={}, b={"references": ("a",)})

    assert plan.nodes[1].needs == (Edge(0, None),)


def test_ports_are_part_of_the_edge_and_two_ports_of_a_node_are_waited_for_once(plan_of):
    plan = plan_of(a={"type": "ways", "effect": Effect.PURE}, b={"needs": needs("a.left", "a.right")})

    assert plan.nodes[1].needs == (Edge(0, "left"), Edge(0, "right"))
    assert plan.nodes[1].waits == (0,)
    assert plan.nodes[0].ports == {"left", "right"}
    assert plan.nodes[1].ports == {None}


def test_pure_nodes_run_inline(plan_of):
    plan = plan_of(a={"type": "calc", "effect": Effect.PURE}, b={"type": "act"})

    assert [node.inline for node in plan.nodes] == [True, False]


@pytest.mark.parametrize(
    ("fields", "tolerated"),
    [
        ({}, False),
        ({"on_error": OnError.CONTINUE}, True),
        ({"critical": False}, True),
        ({"default": 1}, False),
        ({"default": UNDEFINED}, False),
    ],
)
def test_which_failures_let_dependents_run(plan_of, fields, tolerated):
    assert plan_of(a=fields).nodes[0].blow is (Blow.PASSED if tolerated else Blow.FATAL)


def test_cycle_is_refused_and_named(plan_of):
    with pytest.raises(CyclicWorkflow, match=r"wait for each other in a circle: (b -> c -> b|c -> b -> c)$"):
        plan_of(a={}, b={"needs": needs("a", "c")}, c={"references": ("b",)}, d={"needs": needs("c")})


def test_node_that_refers_to_itself_is_a_cycle(plan_of):
    with pytest.raises(CyclicWorkflow, match="a -> a"):
        plan_of(a={"references": ("a",)})


def test_unknown_type_says_what_to_do(plan_of):
    with pytest.raises(UnknownNodeType, match="no node type 'none': update it, or install its plugin"):
        plan_of(a={"type": "none"})


def test_disabled_type_says_how_to_allow_it(plan_of):
    with pytest.raises(UnknownNodeType, match="once is off: allow it in the config"):
        plan_of(a={"type": "once"})


def test_plan_of_ten_thousand_nodes_in_a_row_needs_no_recursion(plan_of):
    plan = plan_of(n0={}, **{f"n{i}": {"needs": needs(f"n{i - 1}")} for i in range(1, 10_000)})

    assert plan.nodes[-1].level == 9_999
