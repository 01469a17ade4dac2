"""What may stand in a workflow file, as structs: the reader checks against them, the JSON Schema is made from them.

A field's description is what editors show. The parts that look the same in file and model are the model's own structs:
`Param`, `NatsTrigger`, `CronTrigger`, `RetryPolicy`.
"""

from typing import Annotated, Final, Literal

import msgspec

from engine.contract import Effect
from engine.definition.budget import Degradation, NodeLimits, WorkflowLimits
from engine.definition.flow import FlowForm
from engine.definition.model import Durability, Duration, Join, OnError, Param, RetryPolicy, RunIf
from engine.values import Json

__all__ = [
    "COMMON",
    "CacheForm",
    "INSIDE_ONLY",
    "LOCAL",
    "NAME",
    "NOT_IMPLEMENTED",
    "RESERVED",
    "WORKFLOW_NAME",
    "CheckpointForm",
    "DefaultsForm",
    "EventsForm",
    "NodeForm",
    "WorkflowForm",
]

WORKFLOW_NAME: Final = r"^[a-z0-9][a-z0-9-]{0,63}$"
NAME: Final = r"^[a-z][a-z0-9_]{0,63}$"

RESERVED: Final = frozenset(
    {"trigger", "params", "vars", "nodes", "errors", "error", "item", "index", "execution", "agent", "secrets"}
)
"""Roots of expressions: no node and no parameter has such a name."""

LOCAL: Final = frozenset({"item", "index", "error", "last", "cursor", "page"})
"""Names that are known inside the nodes of some types only."""

INSIDE_ONLY: Final = ("cache", "effect", "retry")
"""Fields that a node with nodes inside does not have: each of those has its own."""

NOT_IMPLEMENTED: Final[dict[str, frozenset[str]]] = {
    "workflow field": frozenset({"replicate", "placement"}),
    "node field": frozenset({"placement", "durability", "checkpoint"}),
    "node type": frozenset({"embed", "retrieve", "wasm", "mcp", "code"}),
    "trigger": frozenset({"webhook", "event", "mqtt", "form"}),
    "trigger field": frozenset({"buffer", "queue", "start", "filter"}),
}
"""What the file format has a place for and this version refuses, by where it stands. A field that is neither here nor
in a struct is a typing mistake."""

Describe = msgspec.Meta
WorkflowName = Annotated[str, msgspec.Meta(extra_json_schema={"pattern": WORKFLOW_NAME})]
Limit = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class EventsForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What travels with the facts."""

    outputs: Annotated[bool, Describe(description="Node outputs up to 16 KiB each, masked.")] = False


class CheckpointForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much of an execution may have to be done again after a crash."""

    nodes: Annotated[Limit | None, Describe(description="Nodes that have completed since the last commit.")] = None
    levels: Annotated[Limit | None, Describe(description="Levels that have completed since the last commit.")] = None


class DefaultsForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What nodes have unless they say otherwise. `retry` is merged field by field."""

    timeout: Annotated[Duration | None, Describe(description="Time for one attempt, such as 30s.")] = None
    deadline: Annotated[Duration | None, Describe(description="Time for all attempts together.")] = None
    retry: Annotated[RetryPolicy | None, Describe(description="Which passing faults are tried again.")] = None
    on_error: Annotated[OnError, Describe(description="What a failed node does to its execution.")] = OnError.FAIL
    critical: Annotated[bool, Describe(description="false: a failure ends the execution as partial.")] = True


class CacheForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A result that is used again."""

    ttl: Annotated[Duration, Describe(description="For how long, such as 1h.")]
    key: Annotated[
        Json | msgspec.UnsetType,
        Describe(description="A text: where it is the same, so is the result. Without it, all parameters are the key."),
    ] = msgspec.UNSET


class NodeForm(msgspec.Struct, frozen=True, kw_only=True):
    """The fields that any node may have, whatever its type."""

    type: Annotated[str, Describe(description="What the node does: a node type.")]
    needs: Annotated[
        str | list[str],
        Describe(description="Nodes, or ports of branching nodes (`bad.then`), that come first."),
    ] = []
    when: Annotated[
        str | bool, Describe(description="An expression without braces; the node is skipped where it is false.")
    ] = True
    join: Annotated[Join, Describe(description="How many of `needs` must have been taken.")] = Join.ALL
    run_if: Annotated[RunIf, Describe(description="Which end of its `needs` the node is for.")] = RunIf.SUCCESS
    timeout: Annotated[Duration | None, Describe(description="Time for one attempt, such as 30s.")] = None
    deadline: Annotated[Duration | None, Describe(description="Time for all attempts together.")] = None
    retry: Annotated[RetryPolicy | None, Describe(description="Which passing faults are tried again.")] = None
    on_error: Annotated[OnError, Describe(description="What a failure does to the execution.")] = OnError.FAIL
    default: Annotated[
        Json, Describe(description="Replaces the output where the node fails; the execution goes on.")
    ] = None
    critical: Annotated[bool, Describe(description="false: a failure ends the execution as partial.")] = True
    cache: Annotated[
        CacheForm | None,
        Describe(description="Use the result again, instead of an attempt, while it is fresh: {ttl: 1h}."),
    ] = None
    effect: Annotated[
        Effect | None, Describe(description="What a second run of a finished attempt would do to the world.")
    ] = None
    limits: Annotated[NodeLimits | None, Describe(description="The most that the node may use.")] = None


COMMON: Final = frozenset(NodeForm.__struct_encode_fields__)
"""The names of those fields."""


class WorkflowForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A workflow file."""

    name: Annotated[WorkflowName, Describe(description="Letters, digits and -; what it is deployed as.")]
    description: Annotated[str, Describe(description="What it is for, for people.")] = ""
    params: Annotated[dict[str, Param], Describe(description="Typed values, bound at deploy or for one run.")] = {}
    triggers: Annotated[list[dict[str, Json]], Describe(description="What starts an execution.")] = []
    defaults: Annotated[DefaultsForm | None, Describe(description="What nodes have unless they say otherwise.")] = None
    on_failure: Annotated[
        WorkflowName | None, Describe(description="A workflow that is started with the failed execution.")
    ] = None
    timeout: Annotated[Duration | None, Describe(description="Time for a whole execution.")] = None
    max_concurrent_nodes: Annotated[
        Limit | None, Describe(description="How many nodes of one execution run at once.")
    ] = None
    flow: Annotated[
        FlowForm | None, Describe(description="How many executions run and wait, in which order, and how fast.")
    ] = None
    vars: Annotated[
        dict[str, Json], Describe(description="Variables and their first values; nodes of type set assign to them.")
    ] = {}
    durability: Annotated[
        Durability,
        Describe(
            description="When results are on disk. sync: before an effect that depends on them. "
            "async: soon, in groups. exit: when the execution ends."
        ),
    ] = Durability.SYNC
    checkpoint: Annotated[
        Literal["every_node", "every_level", "never"] | CheckpointForm | None,
        Describe(description="With durability: async, how often results are committed at least."),
    ] = None
    limits: Annotated[WorkflowLimits | None, Describe(description="The most that an execution may use.")] = None
    degradation: Annotated[Degradation | None, Describe(description="How much may fail before an execution fails.")] = (
        None
    )
    events: Annotated[EventsForm | None, Describe(description="What travels with the facts.")] = None
    nodes: Annotated[dict[str, Json], Describe(description="The boxes of the workflow, by name.")]
    outputs: Annotated[Json, Describe(description="What an execution gives; texts inside are evaluated.")] = None
