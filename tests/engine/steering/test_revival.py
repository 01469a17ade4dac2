"""What is forgotten when an execution is to run again from somewhere."""

import pytest

from engine.contract import Effect
from engine.definition.model import Body, Need, Node, OnError, RunIf, Workflow
from engine.execution.path import BadPath
from engine.execution.run import FAILING
from engine.states import NodeState
from engine.steering.outline import Changes, changes
from engine.steering.revival import Revival, UnknownPlace
from engine.store.checkpoints import NodeRow
from engine.values import encode_json


def node(id, *needs, type="act", bodies=None, **more):
    """A node; `bodies` maps the name of a body to its nodes."""
    return Node(
        id=id, type=type, params={}, needs=tuple(Need(need) for need in needs), effect=Effect.AT_LEAST_ONCE,
        bodies={name: Body(nodes=group(*nodes)) for name, nodes in (bodies or {}).items()}, **more,
    )  # fmt: skip


def group(*nodes):
    return {one.id: one for one in nodes}


def workflow(*nodes):
    return Workflow(name="w", nodes=group(*nodes))


def rows(*texts):
    """Rows in the order in which they changed, as `path state`."""
    made = []
    for seq, text in enumerate(texts, 1):
        path, state = text.split(" ", 1)
        output = None
        if state == "failing":
            state, output = "skipped", encode_json(FAILING)
        elif state == "skipped":
            output = encode_json("its `when` was false")
        made.append(NodeRow(path=path, status=NodeState(state), attempt=1, seq=seq, output=output, started_at=seq))
    return made


def failed(flow, *texts):
    """Rows that go, and constructs that are open again, after what failed was forgotten."""
    revival = Revival(flow, rows(*texts))
    revival.forget_what_failed()
    return revival.gone, [row.path for row in revival.open_again]


CHAIN = workflow(node("a"), node("b", "a"), node("c", "b"), node("x"), node("y", "x"))
SCAN = node("scan", "a", type="foreach", bodies={"nodes": [node("fetch"), node("keep", "fetch")]})
FLOW = workflow(node("a"), SCAN, node("z", "scan"), node("other"))
SAFE = workflow(
    node(
        "safe", type="try",
        bodies={"try": [node("risky"), node("more", "risky")], "catch": [node("notify")], "finally": [node("clean")]},
    ),
    node("z", "safe"),
)  # fmt: skip
POLL = workflow(node("poll", type="while", bodies={"nodes": [node("look"), node("note", "look")]}), node("z", "poll"))


# --- what failed ----------------------------------------------------------------------------------------------------


def test_failed_node_goes_with_what_was_skipped_because_of_it_and_completed_ones_stay():
    assert failed(CHAIN, "x completed", "a completed", "b failed", "y failing", "c failing") == (["b", "y", "c"], [])


def test_node_that_was_skipped_for_its_own_reasons_stays():
    assert failed(CHAIN, "x skipped", "y skipped", "a failed", "b failing", "c failing") == (["a", "b", "c"], [])


def test_handler_of_a_failure_goes_with_it_though_it_completed():
    flow = workflow(node("a"), node("h", "a", run_if=RunIf.FAILED), node("i", "h"))

    assert failed(flow, "a failed", "h completed", "i completed") == (["a", "h", "i"], [])


def test_failure_that_lets_the_execution_complete_stays_and_one_that_makes_it_partial_goes():
    flow = workflow(
        node("a", on_error=OnError.CONTINUE), node("b", "a"), node("c", critical=False), node("d", "c"), node("e")
    )

    assert failed(flow, "a failed", "b completed", "c failed", "d completed", "e completed") == (["c", "d"], [])


def test_cancelled_nodes_go():
    assert failed(CHAIN, "a completed", "b cancelled", "c cancelled", "x completed", "y completed") == (["b", "c"], [])


def test_iterations_that_completed_stay_and_the_failed_ones_go_on_where_they_stood():
    gone, again = failed(
        FLOW, "a completed", "other completed",
        "scan[0]/fetch completed", "scan[0]/keep completed", "scan[0] completed",
        "scan[1]/fetch completed", "scan[1]/keep failed", "scan[1] failed",
        "scan[2]/fetch cancelled", "scan[2]/keep cancelled", "scan[2] cancelled", "scan failed", "z failing",
    )  # fmt: skip

    assert gone == ["scan[1]/keep", "scan[1]", "scan[2]/fetch", "scan[2]/keep", "scan[2]", "z"]
    assert again == ["scan"]


def test_construct_that_failed_before_any_body_was_opened_is_decided_again():
    assert failed(FLOW, "a completed", "other completed", "scan failed", "z failing") == (["scan", "z"], [])


def test_body_whose_result_failed_goes_on_with_its_nodes():
    texts = ("a completed", "scan[0]/fetch completed", "scan[0]/keep completed", "scan[0] failed", "scan failed")

    assert failed(FLOW, *texts) == (["scan[0]"], ["scan"])


def test_failure_that_was_caught_stays():
    assert failed(
        SAFE, "safe/try/risky failed", "safe/try/more failing", "safe/try failed", "safe/catch/notify completed",
        "safe/catch completed", "safe/finally/clean completed", "safe/finally completed", "safe completed", "z failed",
    ) == (["z"], [])  # fmt: skip


def test_try_that_failed_is_tried_again_and_its_catch_and_finally_run_again():
    gone, again = failed(
        SAFE, "safe/try/risky completed", "safe/try/more failed", "safe/try failed", "safe/catch/notify failed",
        "safe/catch failed", "safe/finally/clean completed", "safe/finally completed", "safe failed", "z failing",
    )  # fmt: skip

    assert gone == [
        "safe/try/more", "safe/try", "safe/catch/notify", "safe/catch", "safe/finally/clean", "safe/finally", "z",
    ]  # fmt: skip
    assert again == ["safe"]


def test_construct_inside_a_failed_iteration_is_open_again_too():
    inner = node("inner", type="foreach", bodies={"nodes": [node("deep")]})
    flow = workflow(
        node("outer", type="foreach", bodies={"nodes": [inner, node("after", "inner")]}), node("z", "outer")
    )
    gone, again = failed(
        flow, "outer[0]/inner[0]/deep completed", "outer[0]/inner[0] completed", "outer[0]/inner[1]/deep failed",
        "outer[0]/inner[1] failed", "outer[0]/inner failed", "outer[0]/after failing", "outer[0] failed",
        "outer failed", "z failing",
    )  # fmt: skip

    assert gone == ["outer[0]/inner[1]/deep", "outer[0]/inner[1]", "outer[0]/after", "outer[0]", "z"]
    assert again == ["outer", "outer[0]/inner"]


def test_reopened_construct_keeps_when_it_began_and_loses_its_error():
    revival = Revival(FLOW, rows("scan[0]/fetch failed", "scan[0] failed", "scan failed"))
    revival.forget_what_failed()
    [row] = revival.open_again

    assert (row.status, row.attempt, row.started_at, row.output, row.error) == (NodeState.RUNNING, 1, 3, None, None)


def test_partial_end_is_traced_to_the_iteration_that_made_it_so():
    scan = node("scan", type="foreach", bodies={"nodes": [node("fetch"), node("extra", critical=False)]})
    gone, again = failed(
        workflow(scan, node("z", "scan"), node("y")), "scan[0]/fetch completed", "scan[0]/extra failed",
        "scan[0] completed", "scan[1]/fetch completed", "scan[1]/extra completed", "scan[1] completed",
        "scan completed", "z completed", "y completed",
    )  # fmt: skip

    assert (gone, again) == (["scan[0]/extra", "scan[0]", "z"], ["scan"])


def test_iterations_over_what_may_have_changed_meanwhile_are_not_kept():
    revival = Revival(FLOW, rows("a completed", "scan[0]/fetch completed", "scan[0] completed", "scan[1]/fetch failed",
                                 "scan[1] failed", "scan failed"), volatile=frozenset({"scan"}))  # fmt: skip
    revival.forget_what_failed()

    assert revival.gone == ["scan[0]/fetch", "scan[0]", "scan[1]/fetch", "scan[1]", "scan"]
    assert revival.open_again == []


# --- from a place ---------------------------------------------------------------------------------------------------


def forgotten(flow, place, *texts):
    revival = Revival(flow, rows(*texts))
    revival.forget(place)
    return revival.gone, [row.path for row in revival.open_again]


DONE = (
    "a completed", "other completed", "scan[0]/fetch completed", "scan[0]/keep completed", "scan[0] completed",
    "scan[1]/fetch completed", "scan[1]/keep completed", "scan[1] completed", "scan completed", "z completed",
)  # fmt: skip


def test_node_is_forgotten_with_everything_downstream():
    gone = (["scan[0]/fetch", "scan[0]/keep", "scan[0]", "scan[1]/fetch", "scan[1]/keep", "scan[1]", "scan", "z"], [])

    assert forgotten(FLOW, "scan", *DONE) == gone
    assert forgotten(FLOW, "a", *DONE) == (["a", *gone[0]], [])
    assert forgotten(FLOW, "z", *DONE) == (["z"], [])


def test_node_in_an_iteration_takes_the_rest_of_it_and_what_came_after_the_loop():
    assert forgotten(FLOW, "scan[1]/keep", *DONE) == (["scan[1]/keep", "scan[1]", "z"], ["scan"])
    assert forgotten(FLOW, "scan[0]", *DONE) == (["scan[0]/fetch", "scan[0]/keep", "scan[0]", "z"], ["scan"])


def test_rounds_of_a_loop_build_on_the_rounds_before():
    texts = [f"poll[{n}]{text}" for n in range(3) for text in ("/look completed", "/note completed", " completed")]
    gone, again = forgotten(POLL, "poll[1]/note", *texts, "poll completed", "z completed")

    assert gone == ["poll[1]/note", "poll[1]", "poll[2]/look", "poll[2]/note", "poll[2]", "z"]
    assert again == ["poll"]


def test_items_are_forgotten_with_the_page_that_they_came_from():
    scan = node("scan", type="foreach", bodies={"pages": [node("list")], "nodes": [node("fetch")]})
    texts = (
        "scan/pages[0]/list completed", "scan/pages[0] completed", "scan[0]/fetch completed", "scan[0] completed",
        "scan/pages[1]/list completed", "scan/pages[1] completed", "scan[1]/fetch completed", "scan[1] completed",
    )  # fmt: skip
    gone, again = forgotten(workflow(scan), "scan/pages[1]/list", *texts, "scan completed")

    assert gone == ["scan/pages[1]/list", "scan/pages[1]", "scan[1]/fetch", "scan[1]"]
    assert again == ["scan"]


def test_page_that_failed_leaves_the_items_of_other_pages_alone():
    scan = node("scan", type="foreach", bodies={"pages": [node("list")], "nodes": [node("fetch")]})
    gone, _ = failed(
        workflow(scan), "scan/pages[0]/list completed", "scan/pages[0] completed", "scan/pages[1]/list failed",
        "scan/pages[1] failed", "scan[0]/fetch completed", "scan[0] completed", "scan failed",
    )  # fmt: skip

    assert gone == ["scan/pages[1]/list", "scan/pages[1]"]


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("scn", "there is no node scn; did you mean scan?"),
        ("fetch", r"fetch does not stand in the workflow itself; say which one, such as scan\[0\]/fetch"),
        ("scan[7]/fetch", r"scan has not run scan\[7\]; did you mean scan\[1\]"),
        ("scan[7]", r"scan has not run scan\[7\]"),
        ("scan[0]/z", r"z does not stand in scan\[0\]"),
        ("a[0]", r"a has not run a\[0\]"),
    ],
)
def test_place_that_is_none_is_refused_with_what_there_is(place, message):
    with pytest.raises(UnknownPlace, match=message):
        forgotten(FLOW, place, *DONE)
    with pytest.raises(BadPath):
        forgotten(FLOW, "scan[", *DONE)


def test_long_chain_is_followed_without_recursion():
    size = 5000
    flow = workflow(node("n0"), *(node(f"n{i}", f"n{i - 1}") for i in range(1, size)))
    gone, _ = forgotten(flow, "n1", *(f"n{i} completed" for i in range(size)))

    assert len(gone) == size - 1


# --- what a fork takes along ----------------------------------------------------------------------------------------


def test_what_has_not_settled_is_not_kept_and_open_constructs_are():
    revival = Revival(
        FLOW, rows("a completed", "scan running", "scan[0]/fetch completed", "scan[1]/fetch waiting", "other in_doubt")
    )  # fmt: skip

    assert [(row.path, row.status.value) for row in revival.kept] == [
        ("a", "completed"),
        ("scan", "running"),
        ("scan[0]/fetch", "completed"),
    ]


def test_construct_that_ended_after_the_checkpoint_was_open_then():
    revival = Revival(FLOW, rows(*DONE)[:4])

    assert {row.path: row.status.value for row in revival.kept} == {
        "scan": "running", "a": "completed", "other": "completed", "scan[0]/fetch": "completed",
        "scan[0]/keep": "completed",
    }  # fmt: skip


def test_changed_nodes_are_forgotten_in_every_iteration():
    revival = Revival(FLOW, rows(*DONE))
    revival.forget_changes(Changes(touched=frozenset({"keep", "nobody"}), added=frozenset()))

    assert revival.gone == ["scan[0]/keep", "scan[0]", "scan[1]/keep", "scan[1]", "z"]
    assert [row.path for row in revival.open_again] == ["scan"]


def test_body_with_a_new_node_goes_on():
    revival = Revival(FLOW, rows(*DONE))
    revival.forget_changes(Changes(touched=frozenset(), added=frozenset({"keep"})))

    assert revival.gone == ["scan[0]", "scan[1]", "z"]


def test_changes_of_a_version_are_told_by_node():
    new = workflow(
        node("a", timeout=3.0),
        node("scan", "a", type="foreach", bodies={"nodes": [node("fetch"), node("keep"), node("more")]}),
        node("other"),
    )
    found = changes(FLOW, new)

    assert found.touched == {"a", "keep", "z"}
    assert found.added == {"more"}
    assert changes(FLOW, FLOW) == Changes(frozenset(), frozenset())
