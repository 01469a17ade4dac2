"""Random graphs with random failures: order, once, everything settles, and a stop anywhere changes nothing."""

import random
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.contract import Done, Effect, NodeType
from engine.definition.model import Join, Need, Node, OnError, RunIf, Workflow
from engine.execution.run import NodeError, Run
from engine.planning.plan import Plan, compile_plan
from engine.states import SETTLED, ExecutionState, NodeState
from plugins.registry import Registry


async def _run(ctx, params):
    return Done()


class _Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


def _type(name: str, ports=None) -> NodeType:
    return NodeType(
        name=name, description="", params=_Nothing, run=_run, effect=Effect.PURE, pure_capable=True, ports=ports,
        example="",
    )  # fmt: skip


TYPES = Registry([_type("plain"), _type("ways", lambda _: ("left", "right"))])
WHEN_FALSE, WHEN_BAD = "1 > 2", "trigger.data > 1"


@st.composite
def workflows(draw) -> Workflow:
    """Any acyclic graph: a node may need or refer to those before it; the order in the file is shuffled."""
    size = draw(st.integers(1, 12))
    nodes: list[Node] = []
    for i in range(size):
        earlier = [node.id for node in nodes]
        wanted = draw(st.lists(st.sampled_from(earlier), unique=True, max_size=4)) if earlier else []
        referred = draw(st.lists(st.sampled_from(earlier), unique=True, max_size=2)) if earlier else []
        types = {node.id: node.type for node in nodes}
        needs = tuple(
            Need(id, draw(st.sampled_from([None, "left", "right"])) if types[id] == "ways" else None) for id in wanted
        )
        nodes.append(
            Node(
                id=f"n{i}",
                type=draw(st.sampled_from(["plain", "plain", "ways"])),
                params={},
                needs=needs,
                references=tuple(referred),
                when=draw(st.sampled_from([None, None, None, None, WHEN_FALSE, WHEN_BAD])),
                join=draw(st.sampled_from(Join)),
                run_if=draw(st.sampled_from([RunIf.SUCCESS, RunIf.SUCCESS, RunIf.FAILED, RunIf.ALWAYS])),
                on_error=draw(st.sampled_from(OnError)),
                critical=draw(st.booleans()),
                effect=Effect.PURE,
            )
        )
    shuffled = draw(st.permutations(nodes))
    return Workflow(name="w", nodes={node.id: node for node in shuffled})


@st.composite
def cases(draw):
    workflow = draw(workflows())
    ends = {id: draw(st.sampled_from(["completed", "completed", "completed", "failed"])) for id in workflow.nodes}
    ports = {id: draw(st.sampled_from(["left", "right"])) for id in workflow.nodes}
    return compile_plan(workflow, 1, TYPES), ends, ports


class Life:
    """Drives a Run as the runner does, one settled node at a time, and keeps what the store would keep."""

    def __init__(self, plan: Plan, ends, ports, rows=(), time: int = 0) -> None:
        self.plan, self.ends, self.ports = plan, ends, ports
        self.time = time
        self.run = Run(plan)
        self.rows: list[tuple[str, NodeState, dict]] = list(rows)
        self.started: list[str] = []
        self.ready: list = []
        for id, state, settled in self.rows:
            self.run.restore(plan.nodes[plan.index[id]], state, **settled)
        self.take(self.run.begin(self.ask, self.tick()))

    def tick(self) -> int:
        self.time += 1
        return self.time

    def ask(self, node) -> bool:
        if node.node.when == WHEN_BAD:
            raise ValueError("comparing a number to a boolean")
        return node.node.when is None

    def take(self, progress) -> None:
        for node, _ in progress.skipped:
            self.rows.append((node.node.id, NodeState.SKIPPED, {"at": self.time}))
        for node, error in progress.failed:
            self.rows.append((node.node.id, NodeState.FAILED, {"error": error, "at": self.time}))
        self.ready.extend(progress.start)

    def steps(self, choice: random.Random) -> Iterator[None]:
        """Each step settles one ready node, chosen at random; the runner starts only what is still ready."""
        while True:
            self.ready = [node for node in self.ready if self.run.states[node.index] is NodeState.READY]
            if not self.ready:
                return
            node = self.ready.pop(choice.randrange(len(self.ready)))
            id = node.node.id
            self.check_inputs(node)
            self.started.append(id)
            self.run.attempts[node.index] += 1
            self.run.move(node, NodeState.RUNNING)
            state = NodeState(self.ends[id])
            settled: dict = {"at": self.tick()}
            if state is NodeState.FAILED:
                settled["error"] = NodeError("luck", "no luck")
            else:
                settled["output"] = id
                settled["port"] = self.ports[id] if node.type.name == "ways" else None
            self.rows.append((id, state, settled))
            self.take(self.run.settle(node, state, self.ask, **settled))
            yield

    def check_inputs(self, node) -> None:
        assert all(self.run.states[source] in SETTLED for source in node.waits)
        if node.node.run_if is RunIf.SUCCESS:
            assert self.run.failure is None, "a failing execution starts handlers only"

    def result(self):
        return self.run.states, self.run.ports, self.run.outputs, self.run.errors, self.run.failure, self.run.ending

    def whole(self, choice: random.Random) -> "Life":
        for _ in self.steps(choice):
            pass
        return self


@settings(max_examples=150, deadline=None)
@given(cases(), st.randoms(use_true_random=False))
def test_order_respects_edges_each_node_runs_once_and_everything_settles(case, choice):
    life = Life(*case).whole(choice)

    assert life.run.settled
    assert len(life.started) == len(set(life.started))
    assert sorted(id for id, *_ in life.rows) == sorted(life.plan.workflow.nodes)
    assert not any(life.run.level_open)
    place = {id: i for i, id in enumerate(life.started)}
    for node in life.plan.nodes:
        for source in node.waits:
            other = life.plan.nodes[source].node.id
            if node.node.id in place and other in place:
                assert place[other] < place[node.node.id]


@settings(max_examples=150, deadline=None)
@given(cases(), st.integers(0, 2**32), st.data())
def test_going_on_from_any_checkpoint_gives_the_same_result(case, seed, data):
    """Where the order of settling is the same: what a failure still lets start depends on it."""
    whole = Life(*case).whole(random.Random(seed))
    order = whole.started
    stop = data.draw(st.integers(0, len(order)), label="stop after")

    first = Life(*case)
    steps = first.steps(_following(order, first))
    for _ in range(stop):
        next(steps)
    second = Life(*case, rows=first.rows, time=first.time)
    second.whole(_following(order[stop:], second))

    assert first.started[:stop] + second.started == order
    assert second.result() == whole.result()


def _following(order: list[str], life: Life) -> random.Random:
    """A choice that takes the nodes in this order."""

    class Following(random.Random):
        def randrange(self, *_) -> int:
            ids = [node.node.id for node in life.ready]
            return min(range(len(ids)), key=lambda i: order.index(ids[i]) if ids[i] in order else len(order))

    return Following()


@settings(max_examples=100, deadline=None)
@given(cases(), st.randoms(use_true_random=False), st.randoms(use_true_random=False))
def test_without_failures_the_order_of_settling_changes_nothing(case, one, other):
    plan, ends, ports = case
    ends = dict.fromkeys(ends, "completed")
    first, second = Life(plan, ends, ports).whole(one), Life(plan, ends, ports).whole(other)

    if first.run.failure is None and second.run.failure is None:
        assert first.result() == second.result()


@pytest.fixture
def chain() -> Plan:
    nodes = {
        "a": Node(id="a", type="plain", params={}, effect=Effect.PURE),
        "b": Node(id="b", type="plain", params={}, effect=Effect.PURE, references=("a",)),
        "c": Node(id="c", type="plain", params={}, effect=Effect.PURE, references=("b",)),
    }
    return compile_plan(Workflow(name="w", nodes=nodes), 1, TYPES)


def test_abandon_cancels_what_is_not_under_way(chain):
    run = Run(chain)
    [a] = run.begin(lambda _: True, 1).start
    run.move(a, NodeState.RUNNING)

    stopped = run.abandon(2)

    assert [node.node.id for node in stopped] == ["b", "c"]
    assert not run.settled
    run.cancelling = True
    assert run.settle(a, NodeState.CANCELLED, lambda _: True, at=3).start == []
    assert run.settled
    assert run.ending is ExecutionState.CANCELLED


def test_first_failure_is_the_one_that_is_told(chain):
    run = Run(chain)
    run.fail(NodeError("timeout", "too long"))
    run.fail(NodeError("outputs", "later"))

    assert run.failure == ("", NodeError("timeout", "too long"))
    assert run.ending is ExecutionState.FAILED
