"""What became of the nodes, and what they used."""

from engine.limits.growth import Growth, Neighbours
from engine.limits.tally import Tally
from engine.states import NodeState
from engine.store.usage import Usage, read_usage


def test_nodes_are_counted_by_how_they_ended() -> None:
    tally = Tally()
    tally.settled(NodeState.COMPLETED, attempts=1, output_bytes=5, holds=False)
    tally.settled(NodeState.COMPLETED, attempts=3, output_bytes=0, holds=True)
    tally.settled(NodeState.FAILED, attempts=1, output_bytes=0, holds=False)
    tally.settled(NodeState.FAILED, attempts=1, output_bytes=0, holds=True)
    tally.settled(NodeState.SKIPPED, attempts=0, output_bytes=0, holds=False)
    tally.settled(NodeState.CANCELLED, attempts=0, output_bytes=0, holds=False)
    tally.spent("a", Usage(api_calls=2))
    tally.spent("a", Usage(api_calls=1, llm_tokens=7))
    found = tally.statistics(1.5)
    assert (found.completed, found.failed, found.skipped, found.cancelled) == (2, 2, 1, 1)
    assert (found.nodes, found.output_bytes, found.duration) == (4, 5, 1.5)
    assert (found.api_calls, found.llm_tokens) == (3, 7)
    assert tally.failures == 1, "a node that holds the one that failed is no failure of its own"
    assert read_usage(tally.written("a", 5)) == Usage(api_calls=3, llm_tokens=7)
    assert tally.written("b", 5) is None
    assert read_usage(tally.written("b", 100_000)) == Usage(large_bytes=100_000)


def test_growth_counts_only_while_nobody_else_is_there() -> None:
    readings = iter([100, 150, 190, 400, 500, 450, 470, 100])
    neighbours = Neighbours()
    neighbours.come()
    growth = Growth(neighbours, lambda: next(readings))
    assert growth.measure() == 50
    neighbours.come()
    assert growth.measure() == 50, "another one is there"
    neighbours.go()
    assert growth.measure() == 260, "it went before this stretch"
    neighbours.come()
    neighbours.go()
    assert growth.measure() == 260, "one came and went"
    assert growth.measure() == 210, "what is given back counts too"
    assert growth.measure() == 230
    assert growth.measure() == 0, "never below nothing"
