"""A workflow as the engine holds it: immutable, decoded, every static field read.

`reader` makes it from a file, `execution.plan` compiles it. Durations are seconds. Fields evaluated per attempt stay as
written (`Json` whose strings are texts or expressions).
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal, TypeAlias

import msgspec

from engine.contract import Effect
from engine.definition.budget import Degradation, NodeLimits, WorkflowLimits
from engine.definition.duration import Duration
from engine.definition.fleet import FleetTrigger
from engine.definition.flow import Flow
from engine.values import Json

__all__ = [
    "SET_TYPE",
    "UNDEFINED",
    "At",
    "Backoff",
    "Body",
    "BodyFormat",
    "Cache",
    "Capture",
    "Checkpointing",
    "CronTrigger",
    "Deliver",
    "Durability",
    "Duration",
    "FileFormat",
    "FileTrigger",
    "FleetTrigger",
    "Happening",
    "Join",
    "Misfire",
    "MoveTo",
    "NatsTrigger",
    "Need",
    "Node",
    "OnError",
    "Param",
    "RetryPolicy",
    "RunIf",
    "Trigger",
    "Workflow",
    "WorkflowTrigger",
]

UNDEFINED = msgspec.UNSET
"""Stands where a file says nothing; null is a value."""
SET_TYPE = "set"
"""The node type that assigns to `vars`: what it completes with is their new value."""
Says = msgspec.Meta
Count = Annotated[int, Says(ge=0)]


class Join(StrEnum):
    """How many of `needs` must have been taken."""

    ALL = "all"
    ANY = "any"


class RunIf(StrEnum):
    """Which end of its `needs` a node is for."""

    SUCCESS = "success"
    FAILED = "failed"
    ALWAYS = "always"


class OnError(StrEnum):
    """What a failed node does to its execution."""

    FAIL = "fail"
    CONTINUE = "continue"


class Backoff(StrEnum):
    CONSTANT = "constant"
    LINEAR = "linear"
    EXPONENTIAL = "exponential"


class BodyFormat(StrEnum):
    """How a message's body becomes `trigger.data`."""

    JSON = "json"
    TEXT = "text"
    BASE64 = "base64"
    CLOUDEVENT = "cloudevent"


class Capture(StrEnum):
    """Where a NATS trigger's messages are kept until they are taken in."""

    INTAKE = "intake"
    """In the agent's own stream: accepted means kept."""
    CORE = "core"
    """Nowhere: a plain subscription, outside the promise."""


class At(StrEnum):
    """Where a stream is."""

    OWN = "own"
    """At the agent's own server, or at the external one that it shares with others."""
    HUB = "hub"
    """At the hub; without an embedded server the external one is the hub."""


class Deliver(StrEnum):
    """Which of the agents that have the workflow get a message, where they share what it comes from."""

    ONE = "one"
    """Any one of them."""
    ALL = "all"
    """Each of them."""


class Misfire(StrEnum):
    """What happens to cron times that passed while the agent was down."""

    ONCE = "once"
    SKIP = "skip"
    ALL = "all"


class Happening(StrEnum):
    """What another workflow's execution, or one of its nodes, came to."""

    COMPLETED = "completed"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"
    STARTED = "started"
    PAUSED = "paused"
    RESUMED = "resumed"
    BLOCKED = "blocked"
    NODE_COMPLETED = "node.completed"
    NODE_FAILED = "node.failed"
    NODE_RETRY = "node.retry"
    NODE_SKIPPED = "node.skipped"
    NODE_WAITING = "node.waiting"
    NODE_IN_DOUBT = "node.in_doubt"


class FileFormat(StrEnum):
    """How a file becomes `trigger.data.content`."""

    JSON = "json"
    TEXT = "text"
    BASE64 = "base64"
    PATH = "path"
    """Not at all: nodes read it where it lies."""


class Durability(StrEnum):
    """When results are made durable."""

    SYNC = "sync"
    """At each step; effects wait for it."""
    ASYNC = "async"
    """Behind the run, as often as `checkpoint` says."""
    EXIT = "exit"
    """At the end only."""


class Checkpointing(msgspec.Struct, frozen=True, kw_only=True):
    """How often an async execution commits; at every node where nothing is said."""

    nodes: int | None = None
    """After so many nodes."""
    levels: int | None = None
    """After so many levels."""
    never: bool = False
    """At the end, and before it waits."""


class Param(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A declared parameter and the rules of its value."""

    type: Annotated[
        Literal["string", "number", "integer", "boolean", "list", "object", "any"],
        Says(description="Which kind of value it takes."),
    ]
    description: Annotated[str, Says(description="What it means, for people.")] = ""
    required: Annotated[bool, Says(description="There is no default: deploying takes `-p name=value`.")] = False
    default: Annotated[Json | msgspec.UnsetType, Says(description="Its value unless bound; null without one.")] = (
        UNDEFINED
    )
    min: Annotated[float | None, Says(description="Smallest number.")] = None
    max: Annotated[float | None, Says(description="Largest number.")] = None
    min_length: Annotated[Count | None, Says(description="Fewest characters, items or keys.")] = None
    max_length: Annotated[Count | None, Says(description="Most characters, items or keys.")] = None
    pattern: Annotated[str | None, Says(description="A regular expression that the whole text matches.")] = None
    one_of: Annotated[tuple[Json, ...] | None, Says(description="The values that it may have.")] = None


class NatsTrigger(msgspec.Struct, frozen=True, kw_only=True, tag="nats", forbid_unknown_fields=True):
    """A published message starts an execution."""

    subject: Annotated[str, Says(description="A NATS subject; * and > are wildcards.")]
    format: Annotated[BodyFormat, Says(description="How the body becomes `trigger.data`.")] = BodyFormat.JSON
    capture: Annotated[
        Capture, Says(description="intake: accepted means kept. core: a plain subscription, outside the promise.")
    ] = Capture.INTAKE
    stream: Annotated[str | None, Says(description="An existing stream that captures the subject already.")] = None
    at: Annotated[
        At,
        Says(description="Where that stream is. own: at the agent's server; hub: at the hub that it leads to. With "
             "mode = external the two are the same server."),
    ] = At.OWN  # fmt: skip
    deliver: Annotated[
        Deliver,
        Says(description="Who gets a message where several agents have the workflow and share the stream, or the "
             "server of a plain subscription. one: any one of them; all: each of them."),
    ] = Deliver.ONE  # fmt: skip


class CronTrigger(msgspec.Struct, frozen=True, kw_only=True, tag="cron", forbid_unknown_fields=True):
    """A schedule starts an execution."""

    schedule: Annotated[str, Says(description="minute hour day month weekday, such as */15 * * * *.")]
    timezone: Annotated[str, Says(description="A time zone such as Europe/Berlin.")] = "UTC"
    misfire: Annotated[Misfire, Says(description="What becomes of times that passed while the agent was down.")] = (
        Misfire.ONCE
    )
    data: Annotated[Json, Says(description="What `trigger.data` is.")] = None


class WorkflowTrigger(msgspec.Struct, frozen=True, kw_only=True, tag="workflow", forbid_unknown_fields=True):
    """What happens to executions of another workflow of this agent starts an execution."""

    name: Annotated[str, Says(description="The other workflow's name.")]
    on: Annotated[
        Happening | tuple[Happening, ...],
        Says(description="What of it: completed, partial, failed, cancelled, started, node.failed …; one or a list."),
    ] = Happening.COMPLETED
    when: Annotated[
        str | None,
        Says(description="An expression without braces that sees `event` (`event.data` becomes `trigger.data`) and "
             "`params`; where it is false nothing is started."),
    ] = None  # fmt: skip

    @property
    def happenings(self) -> tuple[Happening, ...]:
        return (self.on,) if isinstance(self.on, Happening) else self.on


class MoveTo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a file goes that was taken in."""

    move: Annotated[str, Says(description="A directory; a relative one lies in the one that is watched.")]


class FileTrigger(msgspec.Struct, frozen=True, kw_only=True, tag="file", forbid_unknown_fields=True):
    """A file that somebody has finished writing starts an execution."""

    path: Annotated[
        str,
        Says(description="Which files: a pattern with *, ? and ** (any directories). Relative ones lie under [engine] "
             "files_dir; absolute ones must be under a directory of [engine] watch."),
    ]  # fmt: skip
    settle: Annotated[
        Duration, Says(description="A file is taken when its size and its time have not changed for so long.")
    ] = 2.0
    format: Annotated[
        FileFormat, Says(description="How the file becomes `trigger.data.content`; path: it does not.")
    ] = FileFormat.JSON
    max_bytes: Annotated[
        int, Says(description="A larger file becomes a dead letter. Not for format: path.", ge=1, le=16 * 2**20)
    ] = 2**20
    then: Annotated[
        Literal["keep", "delete"] | MoveTo,
        Says(description="What becomes of the file once it is taken in: keep, delete, or {move: done}."),
    ] = "keep"


Trigger: TypeAlias = NatsTrigger | CronTrigger | WorkflowTrigger | FileTrigger | FleetTrigger


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which passing faults are tried again: `max` retries after the first attempt."""

    max: Annotated[int, Says(description="Retries after the first attempt.", ge=0, le=1_000_000)] = 0
    delay: Annotated[Duration, Says(description="Before the first retry.")] = 1.0
    backoff: Annotated[Backoff, Says(description="How the delay grows from retry to retry.")] = Backoff.EXPONENTIAL
    max_delay: Annotated[Duration, Says(description="The delay grows no further.")] = 60.0
    jitter: Annotated[bool, Says(description="Vary each delay, so that many do not retry at once.")] = True


class Cache(msgspec.Struct, frozen=True, kw_only=True):
    """Use a node's result again while it is fresh."""

    ttl: float
    """Seconds."""
    key: Json | msgspec.UnsetType = UNDEFINED
    """As written; without one, all parameters are the key."""


class Need(msgspec.Struct, frozen=True):
    """An edge that a person wrote: a node, or one port of a branching node. Without a port, any port will do: the node
    completed."""

    node: str
    port: str | None = None

    def __str__(self) -> str:
        return self.node if self.port is None else f"{self.node}.{self.port}"


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """The nodes inside a control-flow node, and what is evaluated in their scope."""

    nodes: Mapping[str, "Node"]
    outward: tuple[str, ...] = ()
    """Ids of nodes outside this body that its nodes and expressions refer to, in order of first mention; of enclosing
    bodies, of the workflow itself, or of bodies that it `sees`."""
    names: tuple[str, ...] = ()
    """What its expressions see besides, by `contract.Body.names`."""
    before: str | None = None
    after: Mapping[str, Json] = {}
    asks: Mapping[str, str] = {}
    results: Mapping[str, Json] = {}
    """Of a choice: the text that gives its `output`, by node."""
    choice: bool = False
    """Each opening runs one of its nodes."""
    made: bool = False
    """Its nodes do not stand in the file."""
    handled: bool = False
    """Its failure is dealt with by the node that holds it."""


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A box of the workflow."""

    id: str
    type: str
    params: Mapping[str, Json]
    """The type's own fields, as written; static ones hold their value."""
    needs: tuple[Need, ...] = ()
    references: tuple[str, ...] = ()
    """Ids of the nodes beside it that its fields and its bodies refer to, in order of first mention."""
    when: str | None = None
    join: Join = Join.ALL
    run_if: RunIf = RunIf.SUCCESS
    timeout: float | None = None
    deadline: float | None = None
    retry: RetryPolicy = RetryPolicy()
    on_error: OnError = OnError.FAIL
    default: Json | msgspec.UnsetType = UNDEFINED
    """Replaces the output where the node fails, and lets the execution go on whatever `on_error` is; as written."""
    critical: bool = True
    cache: Cache | None = None
    effect: Effect
    limits: NodeLimits | None = None
    bodies: Mapping[str, Body] = {}
    """Of a control-flow node, by the names of `NodeType.bodies`; those that the file leaves out are not here."""


class Workflow(msgspec.Struct, frozen=True, kw_only=True):
    """A definition, with its parameters bound."""

    name: str
    description: str = ""
    params: Mapping[str, Param] = {}
    bound: Mapping[str, Json] = {}
    """The value of every parameter: bound at deploy, or its default."""
    triggers: tuple[Trigger, ...] = ()
    on_failure: str | None = None
    timeout: float | None = None
    max_concurrent_nodes: int | None = None
    flow: Flow | None = None
    """How many executions run and wait, in which order and how fast; None for as many as the agent has room for."""
    limits: WorkflowLimits | None = None
    degradation: Degradation = Degradation()
    events_outputs: bool = False
    """`events: {outputs: true}`: node outputs up to 16 KiB travel with the facts."""
    vars: Mapping[str, Json] = {}
    """Variables and their first values; `set` nodes assign to them."""
    durability: Durability = Durability.SYNC
    checkpoint: Checkpointing = Checkpointing()
    nodes: Mapping[str, Node] = {}
    outputs: Json | msgspec.UnsetType = UNDEFINED
    hash: str = ""
    """sha256 over the canonical source and the bound parameters: what a plan is compiled for."""
    warnings: tuple[str, ...] = ()
    """What `ganglion check` says beside errors."""
