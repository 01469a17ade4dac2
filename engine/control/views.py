"""What people see of executions: the answers of `show`, `list` and `checkpoints`. Times on the wire are RFC 3339 UTC;
durations are seconds."""

import msgspec

from engine.control.messages import Answer, ExecutionInfo, Request
from engine.values import Json


class Show(Request, frozen=True, kw_only=True):
    """An execution, by its id or the beginning of one that is unique, so that the answer fits into a message."""

    execution: str
    node: str = ""
    """Only this node or body, with whole values as far as they fit."""
    all: bool = False
    """Bodies that completed too, where there are many. What does not fit is counted by `more`: ask on with `node` and
    `after`."""
    after: int = 0
    """Leave out so many bodies of `node`, or so many nodes of the workflow without one."""


class NodeInfo(Answer, frozen=True, kw_only=True):
    """A node as far as it came."""

    path: str
    type: str
    status: str
    attempt: int
    started_at: str | None
    finished_at: str | None
    duration: float | None
    needs: list[str]
    retries: int = 0
    """How many retries its policy allows."""
    port: str | None = None
    inputs: Json = None
    """Its fields as the newest attempt saw them, or, where they can't be evaluated, as the file has them; null where
    they are not shown."""
    output: Json = None
    error: Json = None
    reason: str = ""
    """Why it was skipped."""
    due: str | None = None
    waits_for: str = ""
    """Such as `form 01ab: Approve?`; empty where it waits for a time."""
    child: str = ""
    """The execution that it started last."""
    output_bytes: int = 0
    api_calls: int = 0
    """All attempts together."""
    llm_tokens: int = 0
    cut: bool = False
    """Something of its values was left out: `show --node` tells more."""
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    """Of a control-flow node: how many bodies are in each state."""
    bodies: "list[BodyInfo]" = msgspec.field(default_factory=list)
    more: int = 0
    """Bodies that are not shown."""
    transcript: list[Json] = msgspec.field(default_factory=list)
    """Of a node in which a model acts: {role, content, calls, tool} of each thing that was said, in order."""


class BodyInfo(Answer, frozen=True, kw_only=True):
    """One opening of a body: an iteration, a page, a branch of a try."""

    path: str
    status: str
    started_at: str | None
    finished_at: str | None
    duration: float | None
    names: Json = None
    """What it was opened with: its item and index."""
    output: Json = None
    error: Json = None
    nodes: list[NodeInfo] = msgspec.field(default_factory=list)


class RelativeInfo(Answer, frozen=True, kw_only=True):
    """An execution that a node of this one started."""

    execution: str
    path: str
    workflow: str
    version: int
    status: str


class Statistics(Answer, frozen=True, kw_only=True):
    """An execution in numbers, nodes in bodies included."""

    nodes: dict[str, int]
    """How many nodes are in each state; those that have not begun are not counted."""
    bodies: dict[str, int]
    """How many iterations and other bodies have ended, by state."""
    attempts: int
    retried: int
    """Attempts after the first ones."""
    checkpoint: int
    """The number of the newest one."""


class Shown(Answer, frozen=True, kw_only=True):
    """All about one execution."""

    info: ExecutionInfo
    trigger: Json
    params: Json
    outputs: Json
    error: Json
    """`{kind, message, node}` of a failed, cancelled or blocked execution, else null."""
    cause: str
    nodes: list[NodeInfo]
    """In the order of the plan; with `Show.node`, that one."""
    more: int = 0
    """Nodes of the workflow that are not shown."""
    children: list[RelativeInfo] = msgspec.field(default_factory=list)
    statistics: Statistics | None = None
    usage: Json = None
    """What became of the nodes of a finished execution and what they used, in sums: completed, failed, skipped,
    cancelled, duration, nodes, output_bytes, api_calls, llm_tokens."""


class Checkpoints(Request, frozen=True, kw_only=True):
    """The points of an execution that a fork can begin at."""

    execution: str
    after: int = 0
    limit: int = 100


class CheckpointInfo(Answer, frozen=True, kw_only=True):
    seq: int
    time: str | None
    node: str
    status: str


class CheckpointList(Answer, frozen=True, kw_only=True):
    execution: str
    checkpoints: list[CheckpointInfo]
