"""Requests and answers of the verbs. Times on the wire are RFC 3339 UTC; durations are seconds."""

import msgspec

from engine.resources.governor import Regime
from engine.values import Json


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all requests."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all answers; readers ignore fields they do not know."""


class Nothing(Request, frozen=True, kw_only=True):
    """A request without fields."""


class Done(Answer, frozen=True, kw_only=True):
    """It is done; `message` says what, for a person."""

    message: str = ""


# --- definitions ---------------------------------------------------------------------------------------------------


class Deploy(Request, frozen=True, kw_only=True):
    """Make a workflow file the active version."""

    source: str
    filename: str = "workflow.yaml"
    params: dict[str, Json] = {}


class Deployed(Answer, frozen=True, kw_only=True):
    workflow: str
    version: int
    changed: bool
    """False when this very definition was active already."""
    subjects: list[str] = []
    """NATS subjects that start it."""
    warnings: list[str] = []


class Undeploy(Request, frozen=True, kw_only=True):
    workflow: str


class DefinitionInfo(Answer, frozen=True, kw_only=True):
    workflow: str
    version: int
    description: str
    deployed_at: str
    subjects: list[str]
    schedules: list[str]
    watches: list[str] = []
    """What else starts it: files, and events of other workflows."""
    problem: str = ""
    """Why this agent can't load it; empty if it can."""


class Definitions(Answer, frozen=True, kw_only=True):
    definitions: list[DefinitionInfo]


# --- executions ----------------------------------------------------------------------------------------------------


class Start(Request, frozen=True, kw_only=True):
    """Start an execution by hand. With an `id` it is started at most once."""

    workflow: str
    data: Json = None
    params: dict[str, Json] = {}
    id: str = ""


class Started(Answer, frozen=True, kw_only=True):
    execution: str
    workflow: str
    version: int
    duplicate: bool = False


class List(Request, frozen=True, kw_only=True):
    workflow: str | None = None
    status: list[str] = []
    limit: int = 50
    before: int | None = None
    """Page on from this `num`."""
    tree: bool = False
    """Also the executions that these started, whatever their state."""


class ExecutionInfo(Answer, frozen=True, kw_only=True):
    num: int
    execution: str
    workflow: str
    version: int
    status: str
    created_at: str
    started_at: str | None
    finished_at: str | None
    duration: float | None
    """Seconds from start, or from the newest retry, to the end, or until now."""
    error: str = ""
    parent: str = ""
    """The execution whose node waits for this one."""
    parent_path: str = ""
    forked_from: str = ""
    retried_at: str | None = None
    settled: int = 0
    """Of one that has not ended: how many of the workflow's `total` nodes have settled."""
    total: int = 0
    waits_in: str = ""
    """The first node that waits."""
    waits_for: str = ""
    due: str | None = None


class Executions(Answer, frozen=True, kw_only=True):
    executions: list[ExecutionInfo]


class ById(Request, frozen=True, kw_only=True):
    """An execution, by its id or the beginning of one that is unique."""

    execution: str


class Cancel(Request, frozen=True, kw_only=True):
    execution: str
    reason: str = ""


class Retry(Request, frozen=True, kw_only=True):
    """Let an execution that ended run again from what failed."""

    execution: str
    node: str = ""
    """Also forget this node or body, and all that was built on it."""


class Fork(Request, frozen=True, kw_only=True):
    """Begin a new execution where another one stood."""

    execution: str
    at: int | None = None
    """After this checkpoint; 0 is the beginning."""
    node: str = ""
    """Without this node or body, and without all that was built on it."""
    data: Json | msgspec.UnsetType = msgspec.UNSET
    """Replaces `trigger.data`."""
    params: dict[str, Json] = {}
    """Replace single parameters."""
    version: int | None = None
    """Of the workflow; the same one without it."""


class Forked(Answer, frozen=True, kw_only=True):
    execution: str
    workflow: str
    version: int
    kept: int
    """How many results were taken over."""
    changed: list[str]
    """Nodes that were not, because the version defines them otherwise."""


class Resolve(Request, frozen=True, kw_only=True):
    """Say what became of a node that is in doubt: exactly one of the three."""

    execution: str
    node: str
    completed: Json | msgspec.UnsetType = msgspec.UNSET
    failed: str | None = None
    retry: bool = False


# --- dead letters, events, state -----------------------------------------------------------------------------------


class DeadLetters(Request, frozen=True, kw_only=True):
    before: int | None = None
    limit: int = 50


class ByNumber(Request, frozen=True, kw_only=True):
    id: int


class DeadLetterInfo(Answer, frozen=True, kw_only=True):
    id: int
    origin: str
    workflow: str
    subject: str
    reason: str
    size: int
    received_at: str
    replayed_at: str | None
    headers: dict[str, str] = {}
    body: str = ""
    """Its beginning, as text where it is text, else as Python shows bytes."""


class DeadLetterList(Answer, frozen=True, kw_only=True):
    deadletters: list[DeadLetterInfo]


class Events(Request, frozen=True, kw_only=True):
    """Facts of the past, oldest first."""

    after: int | None = None
    """Facts that follow this sequence, from 0 on; without it, the newest `limit` ones."""
    limit: int = 100
    execution: str | None = None
    workflow: str | None = None


class EventList(Answer, frozen=True, kw_only=True):
    events: list[msgspec.Raw]
    """CloudEvents, as on the wire. Fewer than asked for where they are large."""
    epoch: str = ""
    """Of the agent's store; facts are numbered within one."""
    through: int = 0
    """Where `after` was given without filters: each fact from there up to this number is here, or is kept no more."""


class QueueInfo(Answer, frozen=True, kw_only=True):
    """The executions of one workflow with a flow that have not started, or are to go on."""

    workflow: str
    quiet: int
    """Their quiet time (debounce) runs."""
    behind: int
    """An earlier one of their key has not ended."""
    ready: int
    """They start when there is room."""
    running: int
    waits_for: str
    """What keeps the next ready one back."""
    full: bool
    """Messages stay outside until the queue is down to its low mark."""


class EngineStatus(Answer, frozen=True, kw_only=True):
    """How the engine is; the agent adds what it knows of itself."""

    state: str
    """running, draining, or disk-full."""
    executions: dict[str, int]
    """How many are in each open state."""
    free_slots: int
    workflows: int
    dead_letters: int
    last_seq: int
    counters: dict[str, int]
    scheduling: Regime | None = None
    """How many executions may run now, and the load that bounds them."""
    queues: list[QueueInfo] = []
    """Workflows with a flow of which somebody waits."""


# --- state of workflows ----------------------------------------------------------------------------------------------


class StateKeys(Request, frozen=True, kw_only=True):
    """What a workflow keeps, in the order of its keys."""

    workflow: str
    after: str = ""
    """Only keys behind this one: the last one of the page before."""
    limit: int = 100


class StateKey(Request, frozen=True, kw_only=True):
    workflow: str
    key: str


class SetState(Request, frozen=True, kw_only=True):
    workflow: str
    key: str
    value: Json


class StateEntry(Answer, frozen=True, kw_only=True):
    key: str
    value: Json | msgspec.UnsetType = msgspec.UNSET
    """Absent in a list where it is long."""
    size: int
    """Bytes of the value as JSON."""
    revision: int
    """How often it was changed since it came to be."""
    changed_at: str


class StateEntries(Answer, frozen=True, kw_only=True):
    workflow: str
    entries: list[StateEntry]
    more: bool
    """There are keys behind these."""
