from hypothesis import given
from hypothesis import strategies as st

from engine.definition.graph import Cycle, topological_levels

NODES = [f"n{number}" for number in range(8)]
GRAPHS = st.dictionaries(st.sampled_from(NODES), st.sets(st.sampled_from([*NODES, "unknown"]), max_size=4))


def test_levels_are_in_the_order_of_the_file() -> None:
    needs = {"c": ["a"], "b": [], "a": [], "d": ["c", "b"], "e": ["b"]}
    assert topological_levels(needs) == (("b", "a"), ("c", "e"), ("d",))


def test_a_cycle_is_named_from_its_first_node() -> None:
    needs = {"start": [], "a": ["b", "start"], "b": ["c"], "c": ["a"], "after": ["c"]}
    assert str(topological_levels(needs)) == "a -> b -> c -> a"


def test_what_waits_for_a_cycle_is_not_in_it() -> None:
    assert str(topological_levels({"x": ["a"], "a": ["b"], "b": ["a"]})) == "a -> b -> a"


def test_a_node_that_needs_itself_is_a_cycle() -> None:
    assert str(topological_levels({"a": ["a"]})) == "a -> a"


def test_a_chain_of_ten_thousand_needs_no_stack() -> None:
    needs = {str(number): [str(number - 1)] for number in range(10_000)}
    levels = topological_levels(needs)
    assert isinstance(levels, tuple)
    assert len(levels) == 10_000


@given(GRAPHS)
def test_levels_hold_every_node_after_what_it_waits_for_or_there_is_a_cycle(needs: dict[str, set[str]]) -> None:
    result = topological_levels(needs)
    if isinstance(result, Cycle):
        assert result.path[0] == result.path[-1]
        assert all(later in needs[earlier] for earlier, later in zip(result.path, result.path[1:], strict=False))
    else:
        level = {node: place for place, nodes in enumerate(result) for node in nodes}
        assert level.keys() == needs.keys()
        for node, others in needs.items():
            below = [level[other] for other in others if other in needs]
            assert level[node] == max(below, default=-1) + 1
