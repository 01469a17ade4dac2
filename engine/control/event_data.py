"""What the `data` of each kind of event holds. Writers put it together by hand where it happens, since that is the hot
path; the schemas in docs/schemas are made from here, and a test holds what is on the wire against them.

Readers ignore fields that they do not know. Times are RFC 3339 UTC, durations seconds. A text that may be long is cut.
"""

from typing import Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from engine.events import Kind
from engine.resources.governor import Regime
from engine.states import NodeState
from engine.store.usage import Statistics
from engine.values import Json

__all__ = ["DATA"]


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing more is said. Readers ignore fields that they do not know."""


# --- executions ------------------------------------------------------------------------------------------------------


class Failure(Data, frozen=True, kw_only=True):
    """Why something failed."""

    kind: str
    """A word for programs, such as timeout, http or limit."""
    message: str
    """For people."""
    node: str | None = None
    """Path of the node whose failure it was; null if it was none's."""


class Begun(Data, frozen=True, kw_only=True):
    trigger: str
    """What started it: nats, cron, file, workflow, fleet, cli, service, fork …"""
    hops: int | UnsetType = UNSET
    """How many executions in a row caused each other before it; absent for none."""


class Completed(Data, frozen=True, kw_only=True):
    status: Literal["completed", "partial"]
    """partial: some node that is not critical failed."""
    duration_seconds: float
    """From the start, or from the newest retry, to the end."""
    statistics: Statistics
    outputs: Json | UnsetType = UNSET
    """The workflow's outputs, if they have at most 16 KiB."""


class Failed(Data, frozen=True, kw_only=True):
    status: Literal["failed"]
    duration_seconds: float | UnsetType = UNSET
    """Absent where the execution could not even be run."""
    statistics: Statistics | UnsetType = UNSET
    error: Failure | UnsetType = UNSET
    outputs: Json | UnsetType = UNSET


class Cancelled(Data, frozen=True, kw_only=True):
    status: Literal["cancelled"]
    duration_seconds: float | UnsetType = UNSET
    """Absent for one that had not begun, or that was not running."""
    statistics: Statistics | UnsetType = UNSET
    reason: str
    """As said by whoever cancelled it; may be empty."""
    outputs: Json | UnsetType = UNSET


class Blocked(Data, frozen=True, kw_only=True):
    reason: str
    """Why this agent can't load its definition."""


class Retried(Data, frozen=True, kw_only=True):
    origin: str | None = msgspec.field(name="from")
    """The node from which it runs again; null: from what failed."""
    nodes: list[str]
    """Paths of nodes that run again, the first of them."""
    count: int
    """How many there are."""


class Forked(Data, frozen=True, kw_only=True):
    origin: str = msgspec.field(name="from")
    """The execution whose checkpoints it begins with."""
    at: int | None
    """After this checkpoint."""
    node: str | None
    """Without this node, and all that was built on it."""
    kept: int
    """How many results were taken over."""


class Superseded(Data, frozen=True, kw_only=True):
    by: str
    """The execution of the newer message."""
    key: str | None
    """What the flow tells messages apart by."""


class Dropped(Data, frozen=True, kw_only=True):
    by: str
    """The execution that took its place."""
    max: int
    """How many may wait."""


# --- nodes -----------------------------------------------------------------------------------------------------------


class Fault(Data, frozen=True, kw_only=True):
    kind: str
    message: str


class NodeCompleted(Data, frozen=True, kw_only=True):
    attempt: int
    duration_seconds: float | UnsetType = UNSET
    cached: bool | UnsetType = UNSET
    """The result was found in the cache."""
    port: str | UnsetType = UNSET
    """The outlet that a branching node took."""
    error: Fault | UnsetType = UNSET
    """The failure that its default replaced."""
    output: Json | UnsetType = UNSET
    """With `events: {outputs: true}`, up to 16 KiB."""
    resolved: bool | UnsetType = UNSET
    """A person said what became of it."""


class NodeFailed(Data, frozen=True, kw_only=True):
    attempt: int
    kind: str | UnsetType = UNSET
    message: str | UnsetType = UNSET
    resolved: bool | UnsetType = UNSET
    """A person said what became of it."""


class NodeRetry(Data, frozen=True, kw_only=True):
    attempt: int
    """The one that failed."""
    kind: str
    message: str
    delay_seconds: float


class NodeSkipped(Data, frozen=True, kw_only=True):
    reason: str


class NodeWaiting(Data, frozen=True, kw_only=True):
    until: str | None
    """When it goes on at the latest; null: only what it expects lets it."""
    expects: str | UnsetType = UNSET
    """message, form or execution."""


class InDoubt(Data, frozen=True, kw_only=True):
    attempt: int
    """The one that did not return."""
    kind: str | UnsetType = UNSET


class Warned(Data, frozen=True, kw_only=True):
    limit: str
    used: float
    of: float


class IterationFailed(Data, frozen=True, kw_only=True):
    kind: str
    message: str
    node: str
    """Path of the node whose failure it was; empty if it was none's."""


# --- forms, definitions, messages, the agent -------------------------------------------------------------------------


class FormOpened(Data, frozen=True, kw_only=True):
    form: str
    until: str | None
    title: str
    assignees: list[str]


class FormSubmitted(Data, frozen=True, kw_only=True):
    form: str
    by: str


class FormExpired(Data, frozen=True, kw_only=True):
    form: str
    reason: str


class Deployed(Data, frozen=True, kw_only=True):
    hash: str
    """Of the definition and its parameters."""


class MessageDead(Data, frozen=True, kw_only=True):
    deadletter: int
    """Its number: `ganglion deadletters show`."""
    origin: str
    """Where it ended: intake, chain, file or outbox."""
    subject: str
    reason: str
    size: int
    """Bytes of the body."""


class MessageReplayed(Data, frozen=True, kw_only=True):
    deadletter: int


class MessageDropped(Data, frozen=True, kw_only=True):
    """One message that a full queue refused, or some that nobody waited for in time."""

    reason: str
    max: int | UnsetType = UNSET
    """How many may wait in the queue."""
    subject: str | UnsetType = UNSET
    id: str | UnsetType = UNSET
    key: str | UnsetType | None = UNSET
    count: int | UnsetType = UNSET
    """How many of those that were kept for a wait."""


class OutboxDropped(Data, frozen=True, kw_only=True):
    """Facts that will never come: this closes the gap for readers."""

    epoch: str
    first: int = msgspec.field(name="from")
    last: int = msgspec.field(name="to")


class FleetGap(Data, frozen=True, kw_only=True):
    """Facts of an agent that a recorder will never have."""

    agent: str
    epoch: str
    first: int = msgspec.field(name="from")
    last: int = msgspec.field(name="to")
    reason: str


class AgentStarted(Data, frozen=True, kw_only=True):
    version: str
    clean: bool
    """The last process on this store stopped in an orderly way."""


class AgentStopped(Data, frozen=True, kw_only=True):
    drained: bool
    """Nothing was under way any more."""


class AgentSeen(Data, frozen=True, kw_only=True):
    agent: str
    """Of whom this is told."""
    last_seen: str
    """When it was heard last, by the clock of the agent that tells this."""
    silent_seconds: float
    """How long it had said nothing."""
    state: str
    """What it said of itself then: up, draining or stopped."""
    labels: dict[str, str]
    host: str


class AgentTwin(Data, frozen=True, kw_only=True):
    host: str
    """Where the other one runs."""
    instance: str
    started: str


class Adjusted(Regime, frozen=True, kw_only=True):
    was: int
    """The limit before."""


# --- live ------------------------------------------------------------------------------------------------------------


class NodeStarted(Data, frozen=True, kw_only=True):
    attempt: int
    type: str


class IterationCompleted(Data, frozen=True, kw_only=True):
    status: NodeState


class LevelStarted(Data, frozen=True, kw_only=True):
    level: int
    nodes: int


class LevelCompleted(Data, frozen=True, kw_only=True):
    level: int


class Checkpointed(Data, frozen=True, kw_only=True):
    nodes: list[str]
    """Paths of what it holds, at most 100."""


class Progress(Data, frozen=True, kw_only=True):
    """Of the whole execution, or what a node says of itself, which may add fields of its own."""

    settled: int | UnsetType = UNSET
    """Nodes of the workflow that have settled."""
    total: int | UnsetType = UNSET
    progress: float | UnsetType | None = UNSET
    """Share of a node's work that is done, 0 to 1."""
    message: str | UnsetType = UNSET


class Written(Data, frozen=True, kw_only=True):
    """A node writes a text; live, so pieces may be missing."""

    text: str
    """What was added; empty: what came before is void."""


DATA: Final[dict[Kind, type[msgspec.Struct]]] = {
    Kind.WORKFLOW_STARTED: Begun,
    Kind.WORKFLOW_COMPLETED: Completed,
    Kind.WORKFLOW_FAILED: Failed,
    Kind.WORKFLOW_CANCELLED: Cancelled,
    Kind.WORKFLOW_PAUSED: Data,
    Kind.WORKFLOW_RESUMED: Data,
    Kind.WORKFLOW_BLOCKED: Blocked,
    Kind.WORKFLOW_RETRIED: Retried,
    Kind.WORKFLOW_FORKED: Forked,
    Kind.WORKFLOW_SUPERSEDED: Superseded,
    Kind.WORKFLOW_DROPPED: Dropped,
    Kind.NODE_COMPLETED: NodeCompleted,
    Kind.NODE_FAILED: NodeFailed,
    Kind.NODE_RETRY: NodeRetry,
    Kind.NODE_SKIPPED: NodeSkipped,
    Kind.NODE_WAITING: NodeWaiting,
    Kind.NODE_IN_DOUBT: InDoubt,
    Kind.LIMIT_WARNING: Warned,
    Kind.ITERATION_FAILED: IterationFailed,
    Kind.FORM_OPENED: FormOpened,
    Kind.FORM_SUBMITTED: FormSubmitted,
    Kind.FORM_EXPIRED: FormExpired,
    Kind.DEFINITION_DEPLOYED: Deployed,
    Kind.DEFINITION_UNDEPLOYED: Data,
    Kind.MESSAGE_DEAD: MessageDead,
    Kind.MESSAGE_REPLAYED: MessageReplayed,
    Kind.MESSAGE_DROPPED: MessageDropped,
    Kind.OUTBOX_DROPPED: OutboxDropped,
    Kind.FLEET_GAP: FleetGap,
    Kind.AGENT_STARTED: AgentStarted,
    Kind.AGENT_STOPPED: AgentStopped,
    Kind.AGENT_THROTTLED: Adjusted,
    Kind.AGENT_LOST: AgentSeen,
    Kind.AGENT_RETURNED: AgentSeen,
    Kind.AGENT_TWIN: AgentTwin,
    Kind.NODE_STARTED: NodeStarted,
    Kind.ITERATION_COMPLETED: IterationCompleted,
    Kind.LEVEL_STARTED: LevelStarted,
    Kind.LEVEL_COMPLETED: LevelCompleted,
    Kind.CHECKPOINT_CREATED: Checkpointed,
    Kind.PROGRESS_UPDATE: Progress,
    Kind.AGENT_ADJUSTED: Adjusted,
    Kind.LLM_TOKEN: Written,
}
"""One for every kind."""
