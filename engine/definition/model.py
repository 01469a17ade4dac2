"""A workflow as the engine holds it: immutable, decoded, every static field read.

`reader` makes it from a file, `execution.plan` compiles it. Durations are seconds. Fields evaluated per attempt stay as
written (`Json` whose strings are texts or expressions).
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeAlias

import msgspec

from engine.contract import Effect
from engine.values import Json

__all__ = [
    "UNDEFINED",
    "Backoff",
    "BodyFormat",
    "Capture",
    "CronTrigger",
    "Join",
    "Misfire",
    "NatsTrigger",
    "Need",
    "Node",
    "OnError",
    "Param",
    "RetryPolicy",
    "RunIf",
    "Trigger",
    "Workflow",
]

UNDEFINED = msgspec.UNSET
"""Stands where a file says nothing; null is a value."""


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


class Misfire(StrEnum):
    """What happens to cron times that passed while the agent was down."""

    ONCE = "once"
    SKIP = "skip"
    ALL = "all"


class Param(msgspec.Struct, frozen=True, kw_only=True):
    """A declared parameter and the rules of its value."""

    type: str
    """string, number, integer, boolean, list, object or any."""
    description: str = ""
    required: bool = False
    default: Json | msgspec.UnsetType = UNDEFINED
    min: float | None = None
    max: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    one_of: tuple[Json, ...] | None = None


class NatsTrigger(msgspec.Struct, frozen=True, kw_only=True, tag="nats"):
    """A published message starts an execution."""

    subject: str
    format: BodyFormat = BodyFormat.JSON
    capture: Capture = Capture.INTAKE
    stream: str | None = None
    """An existing stream that captures the subject already; None for the agent's own."""


class CronTrigger(msgspec.Struct, frozen=True, kw_only=True, tag="cron"):
    """A schedule starts an execution."""

    schedule: str
    timezone: str = "UTC"
    misfire: Misfire = Misfire.ONCE
    data: Json = None


Trigger: TypeAlias = NatsTrigger | CronTrigger


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Which passing faults are tried again: `max` retries after the first attempt."""

    max: int = 0
    delay: float = 1.0
    backoff: Backoff = Backoff.EXPONENTIAL
    max_delay: float = 60.0
    jitter: bool = True


class Need(msgspec.Struct, frozen=True):
    """An edge that a person wrote: a node, or one port of a branching node."""

    node: str
    port: str | None = None

    def __str__(self) -> str:
        return self.node if self.port is None else f"{self.node}.{self.port}"


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A box of the workflow."""

    id: str
    type: str
    params: Mapping[str, Json]
    """The type's own fields, as written; static ones hold their value."""
    needs: tuple[Need, ...] = ()
    references: tuple[str, ...] = ()
    """Ids of the nodes that its fields refer to, in order of first mention."""
    when: str | None = None
    join: Join = Join.ALL
    run_if: RunIf = RunIf.SUCCESS
    timeout: float | None = None
    deadline: float | None = None
    retry: RetryPolicy = RetryPolicy()
    on_error: OnError = OnError.FAIL
    default: Json | msgspec.UnsetType = UNDEFINED
    """Replaces the output of a failed attempt; as written."""
    critical: bool = True
    effect: Effect


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
    events_outputs: bool = False
    """`events: {outputs: true}`: node outputs up to 16 KiB travel with the facts."""
    nodes: Mapping[str, Node] = {}
    outputs: Json | msgspec.UnsetType = UNDEFINED
    hash: str = ""
    """sha256 over the canonical source and the bound parameters: what a plan is compiled for."""
    warnings: tuple[str, ...] = ()
    """What `ganglion check` says beside errors."""
