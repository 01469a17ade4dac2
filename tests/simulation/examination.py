"""What must be true of the store when everything is over."""

from collections import Counter, defaultdict
from collections.abc import Iterator

import msgspec

from engine.states import FINISHED
from tests.simulation.broker import Broker
from tests.simulation.oracle import Oracle
from tests.simulation.spec import is_body

_ENDS = {
    "completed": "workflow.completed", "partial": "workflow.completed", "failed": "workflow.failed",
    "cancelled": "workflow.cancelled",
}  # fmt: skip
_NODE_FACTS = {"completed": "node.completed", "failed": "node.failed", "skipped": "node.skipped"}
_FINISHED = frozenset(state.value for state in FINISHED)


class Settled(msgspec.Struct, frozen=True):
    """How a node or a body ended."""

    status: str
    port: str | None
    output: bytes | None
    has_error: bool


class Ended(msgspec.Struct, frozen=True):
    """How the execution of one message ended; what two runs of one seed agree about."""

    status: str
    outputs: bytes | None
    nodes: dict[str, Settled]


def examine(oracle: Oracle, broker: Broker) -> dict[tuple[str, int], Ended]:
    """Complain to the oracle of everything that is not as promised; the ends by workflow and message."""
    ids = _messages(oracle, broker)
    ends = _ends(oracle, ids)
    _facts(oracle)
    _publications(oracle)
    return ends


def _messages(oracle: Oracle, broker: Broker) -> dict[str, tuple[str, int]]:
    """Each message became exactly one execution, and the one that was acknowledged."""
    ids: dict[str, tuple[str, int]] = {}
    for id, workflow, trigger in oracle.rows("SELECT id, workflow, trigger FROM executions"):
        told = msgspec.json.decode(trigger)
        data = told["data"]["trigger"]["data"] if told["kind"] == "failure" else told["data"]
        ids[id] = (workflow, data["n"])
    for place, count in Counter(ids.values()).items():
        if count > 1:
            oracle.violate(f"message {place[1]} started {place[0]} {count} times")
    starts = {n: id for id, (workflow, n) in ids.items() if oracle.specs[workflow].tree.get("triggers")}
    for n in broker.published.keys() - starts.keys():
        oracle.violate(f"message {n} was lost")
    for n, told in broker.acknowledged.items():
        if told != (starts.get(n),):
            oracle.violate(f"message {n} was acknowledged for {told}, and {starts.get(n)} is there")
    return ids


def _ends(oracle: Oracle, ids: dict[str, tuple[str, int]]) -> dict[tuple[str, int], Ended]:
    nodes: dict[str, dict[str, Settled]] = defaultdict(dict)
    for id, path, status, port, output, error in oracle.rows(
        "SELECT execution, path, status, port, output, error FROM nodes"
    ):
        if id not in ids:
            oracle.violate(f"there is a checkpoint of {path} in the execution {id}, which is not there")
            continue
        # When it slept until is no result; nor is why it was skipped.
        shown = status == "completed" and oracle.specs[ids[id][0]].type(path) != "sleep"
        nodes[id][path] = Settled(status, port if shown else None, output if shown else None, error is not None)
    ends = {}
    for id, status, outputs in oracle.rows("SELECT id, status, outputs FROM executions"):
        if status not in _FINISHED:
            oracle.violate(f"execution {id} of {ids[id]} never ended: it is {status}")
        ends[ids[id]] = Ended(status, outputs, nodes[id])
    return ends


def _facts(oracle: Oracle) -> None:
    """Numbered without a gap; one start and one end for each execution, one end for each node."""
    facts = oracle.rows("SELECT seq, kind, execution, node FROM facts ORDER BY seq")
    if [seq for seq, *_ in facts] != list(range(1, len(facts) + 1)):
        oracle.violate("the facts have a gap in their numbers")
    told = Counter((kind, execution, node) for _, kind, execution, node in facts)
    started = dict(oracle.rows("SELECT id, started_at FROM executions"))
    for id, status in oracle.rows("SELECT id, status FROM executions"):
        ends = {kind: told[kind, id, ""] for kind in {*_ENDS.values()} if told[kind, id, ""]}
        if status in _ENDS and ends != {_ENDS[status]: 1}:
            oracle.violate(f"execution {id} is {status}, and its facts tell {ends}")
        if told["workflow.started", id, ""] != (started[id] is not None):
            oracle.violate(f"execution {id} was told to have started {told['workflow.started', id, '']} times")
    for id, path, status in oracle.rows("SELECT execution, path, status FROM nodes"):
        if is_body(path):
            continue
        counts = {state: told[kind, id, path] for state, kind in _NODE_FACTS.items() if told[kind, id, path]}
        if counts != ({status: 1} if status in _NODE_FACTS else {}):
            oracle.violate(f"node {path} of {id} is {status}, and its facts tell {counts}")


def _publications(oracle: Oracle) -> None:
    """Sent with the result of the node that made them, and so exactly once."""
    sent = Counter((id, path) for id, path in oracle.rows("SELECT execution, path FROM publications"))
    for place, count in sent.items():
        if count > 1:
            oracle.violate(f"{place[1]} of {place[0]} published {count} times")
    for id, path, workflow, error in oracle.rows(
        "SELECT n.execution, n.path, e.workflow, n.error FROM nodes n JOIN executions e ON e.id = n.execution "
        "WHERE n.status = 'completed'"
    ):
        is_own = oracle.tells(workflow, path) and (id, path) not in oracle.resolved
        if is_own and bool(sent[id, path]) == (error is not None):
            oracle.violate(f"{path} of {id} completed, and what it published is {'there' if error else 'lost'}")
    for id, path in sent:
        [(status,)] = oracle.rows("SELECT status FROM nodes WHERE execution = ? AND path = ?", id, path)
        if status != "completed":
            oracle.violate(f"{path} of {id} is {status}, and what it published is there")


def compare(calm: dict[tuple[str, int], Ended], wild: dict[tuple[str, int], Ended], oracle: Oracle) -> None:
    """A run under faults comes to the same ends as one that was left alone.

    A failure that stops an execution meets other nodes at other places each time: then only its end is the same.
    """
    for place in calm.keys() | wild.keys():
        one, other = calm.get(place), wild.get(place)
        if one is None or other is None:
            oracle.violate(f"{place} ended in one run only: undisturbed {one}, disturbed {other}")
        elif one.status != other.status or (one.status != "failed" and not _is_same(one, other)):
            oracle.violate(f"{place} ended otherwise: undisturbed {_told(one)}, disturbed {_told(other)}")


def _is_same(one: Ended, other: Ended) -> bool:
    return one.outputs == other.outputs and _certain(one.nodes) == _certain(other.nodes)


def _certain(nodes: dict[str, Settled]) -> dict[str, Settled]:
    """Without what is inside a body or construct that failed: how far that came depends on what was fast."""
    return {path: node for path, node in nodes.items() if not any(_failed(nodes, outer) for outer in _around(path))}


def _failed(nodes: dict[str, Settled], path: str) -> bool:
    return path in nodes and (nodes[path].has_error or nodes[path].status != "completed")


def _around(path: str) -> Iterator[str]:
    """`a[1]`, then `a`, of `a[1]/b`."""
    for place, letter in enumerate(path):
        if place and letter in "/[":
            yield path[:place]


def _told(end: Ended) -> str:
    nodes = " ".join(
        f"{path}={node.status}:{node.port or ''}:{(node.output or b'').decode()}"
        for path, node in _certain(end.nodes).items()
    )
    return f"{end.status} {(end.outputs or b'null').decode()} {nodes}"
