"""What may still be used: asked for before, or counted after; of a node, and of all that it stands in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contract import LimitReached
from engine.definition.budget import NodeLimits, WorkflowLimits
from engine.limits.account import Account, Limit
from engine.limits.meter import LimitWarning, Meter


def meter(**limits: float) -> Meter:
    return Meter("w", WorkflowLimits(**limits))


def inner(meter: Meter, **limits: float) -> Account:
    return meter.account("scan", NodeLimits(**limits), meter.root)


def test_as_much_as_the_limit_may_be_used_and_one_more_is_refused() -> None:
    one = meter(api_calls=3)
    for _ in range(3):
        one.root.take(Limit.API_CALLS)
    assert one.reached == []
    with pytest.raises(LimitReached) as caught:
        one.root.take(Limit.API_CALLS)
    assert caught.value.limit == "api_calls"
    assert str(caught.value) == (
        "api_calls: the limit of 3 api calls is reached; raise limits.api_calls of the workflow w, or let it need less"
    )
    assert one.root.used[Limit.API_CALLS] == 3, "what was refused was not used"
    assert one.reached == [one.root]


def test_a_limit_of_nothing_allows_nothing_and_warns_of_nothing() -> None:
    one = meter(api_calls=0)
    with pytest.raises(LimitReached):
        one.root.take(Limit.API_CALLS)
    assert one.warnings == []


def test_what_is_known_only_afterwards_passes_the_limit() -> None:
    one = meter(output_bytes=1000)
    one.root.add(Limit.OUTPUT_BYTES, 1000)
    assert one.root.reached is None
    one.root.add(Limit.OUTPUT_BYTES, 1048)
    assert str(one.root.reached) == (
        "output_bytes: 2KiB are over the limit of 1000B; raise limits.output_bytes of the workflow w, "
        "or let it need less"
    )


def test_what_a_node_uses_is_used_by_all_that_it_stands_in() -> None:
    one = meter(api_calls=5)
    scan = inner(one, api_calls=2)
    one.root.take(Limit.API_CALLS, 4)
    scan.take(Limit.API_CALLS)
    with pytest.raises(LimitReached, match="workflow w"):
        scan.take(Limit.API_CALLS)
    assert (scan.used[Limit.API_CALLS], one.root.used[Limit.API_CALLS]) == (1, 5)


def test_a_nodes_own_limit_is_told_as_the_nodes() -> None:
    scan = inner(meter(), llm_tokens=10)
    with pytest.raises(LimitReached) as caught:
        scan.reserve(11, may_wait=True)
    assert str(caught.value) == (
        "llm_tokens: 0 llm tokens are used of 10, and 11 more were asked for; raise limits.llm_tokens of the node "
        "scan, or lower "
        "max_tokens: a question asks for its prompt and for all that may be written"
    )


def test_nodes_that_clean_up_are_counted_and_never_refused_from_above() -> None:
    one = meter(nodes=1, api_calls=1)
    one.root.take(Limit.NODES)
    shelter = one.sheltered(one.root)
    shelter.take(Limit.NODES)
    shelter.take(Limit.API_CALLS, 5)
    assert one.root.used == {Limit.NODES: 2, Limit.API_CALLS: 5}
    assert one.root.reached is None
    own = one.account("clean", NodeLimits(api_calls=1), shelter)
    with pytest.raises(LimitReached, match="node clean"):
        own.take(Limit.API_CALLS, 2)


def test_a_warning_comes_once_at_80_percent() -> None:
    one = meter(nodes=10)
    for _ in range(7):
        one.root.take(Limit.NODES)
    assert one.warnings == []
    for _ in range(3):
        one.root.take(Limit.NODES)
    assert one.warnings == [LimitWarning("", "nodes", 8, 10)]


def test_a_warning_that_was_written_down_does_not_come_again() -> None:
    one = Meter("w", WorkflowLimits(nodes=10), warned=[":nodes"])
    one.root.take(Limit.NODES, 9)
    assert one.warnings == []


def test_the_holder_is_woken_for_warnings_and_for_the_end() -> None:
    woken: list[str] = []
    one = Meter("w", WorkflowLimits(nodes=5), wake=lambda: woken.append("x"))
    one.root.take(Limit.NODES, 3)
    assert woken == []
    one.root.take(Limit.NODES)
    assert woken == ["x"]
    with pytest.raises(LimitReached):
        one.root.take(Limit.NODES, 2)
    assert woken == ["x", "x"]
    with pytest.raises(LimitReached):
        one.root.take(Limit.NODES, 2)
    assert one.reached == [one.root], "told once"


# --- tokens


def test_a_reservation_holds_tokens_until_the_real_number_is_known() -> None:
    one = meter(llm_tokens=100)
    first = one.root.reserve(60, may_wait=True)
    assert first is not None
    assert one.root.reserve(60, may_wait=True) is None, "there may be room when the first is settled"
    first.settle(30)
    second = one.root.reserve(60, may_wait=True)
    assert second is not None
    second.settle(60)
    assert (one.root.used[Limit.LLM_TOKENS], one.root.reserved) == (90, 0)
    assert [warning.limit for warning in one.warnings] == ["llm_tokens"]


def test_who_can_not_wait_is_refused_so_that_nobody_waits_for_himself() -> None:
    one = meter(llm_tokens=100)
    assert one.root.reserve(60, may_wait=True) is not None
    with pytest.raises(LimitReached, match="0 llm tokens are used of 100, and 60 more were asked for"):
        one.root.reserve(60, may_wait=False)


def test_room_is_told_once_to_each_who_asked() -> None:
    one = meter(llm_tokens=100)
    held = one.root.reserve(100, may_wait=True)
    assert held is not None
    told: list[int] = []
    one.when_room(lambda: told.append(1))
    one.when_room(lambda: told.append(2))
    held.settle(1)
    held.settle(1)
    assert told == [1, 2]
    assert one.root.used[Limit.LLM_TOKENS] == 1, "settled once"


def test_more_than_was_promised_counts_as_it_is() -> None:
    one = meter(llm_tokens=100)
    held = one.root.reserve(50, may_wait=True)
    assert held is not None
    held.settle(150)
    assert one.root.reached is not None
    assert "150 llm tokens are over the limit of 100 llm tokens" in str(one.root.reached)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 80)), max_size=30), st.integers(0, 200))
def test_a_budget_is_never_overspent_by_those_who_keep_their_promise(asks: list[tuple[int, int]], limit: int) -> None:
    one = meter(llm_tokens=limit)
    scan = inner(one, llm_tokens=limit // 2)
    held = []
    for tokens, real in asks:
        try:
            reservation = scan.reserve(tokens, may_wait=True)
        except LimitReached:
            continue
        if reservation is not None:
            held.append((reservation, min(tokens, real)))
        elif held:
            first, used = held.pop(0)
            first.settle(used)
        assert scan.used.get(Limit.LLM_TOKENS, 0) + scan.reserved <= limit // 2
        assert one.root.used.get(Limit.LLM_TOKENS, 0) + one.root.reserved <= limit
    for reservation, used in held:
        reservation.settle(used)
    assert scan.reserved == one.root.reserved == 0
