"""What an execution or a node may use up, and what follows from failures that are no end: `limits`, `degradation`."""

from enum import StrEnum
from typing import Annotated, TypeAlias

import msgspec

from engine.definition.duration import Duration

__all__ = ["Degradation", "Dependents", "NodeLimits", "Size", "WorkflowLimits"]

Says = msgspec.Meta
Size: TypeAlias = Annotated[int, Says(extra={"kind": "size"}, extra_json_schema={"format": "size"})]
"""Bytes, written as 64KiB, 10MB or a whole number."""
Most: TypeAlias = Annotated[int, Says(ge=0, le=10**15)]


class NodeLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The most that a node may use, all its attempts together; of a node that holds nodes, they too. Beyond it the node
    fails with the kind `limit` and is not tried again."""

    wall_time: Annotated[
        Duration | None,
        Says(description="Time since the node's first attempt began; a node that waits is asked when it wakes."),
    ] = None
    output_bytes: Annotated[Size | None, Says(description="Bytes of its output, as JSON.")] = None
    llm_tokens: Annotated[Most | None, Says(description="Tokens of language models, read and written.")] = None
    api_calls: Annotated[Most | None, Says(description="HTTP exchanges and NATS requests.")] = None


class WorkflowLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The most that an execution may use. At 80 % there is a warning; beyond it the execution fails with the kind
    `limit`."""

    wall_time: Annotated[Duration | None, Says(description="Time since the execution began, waits included.")] = None
    nodes: Annotated[
        Most | None, Says(description="Nodes that are started, those of each iteration too; a retry is no new one.")
    ] = None
    output_bytes: Annotated[Size | None, Says(description="Bytes of all outputs, as JSON.")] = None
    memory_growth: Annotated[
        Size | None,
        Says(description="By how much the process grows while nodes of this execution run alone on the agent: what can "
             "be measured, no exact account."),
    ] = None  # fmt: skip
    llm_tokens: Annotated[Most | None, Says(description="Tokens of language models, read and written.")] = None
    api_calls: Annotated[Most | None, Says(description="HTTP exchanges and NATS requests.")] = None


class Dependents(StrEnum):
    """What becomes of the dependents of a node with `critical: false` that failed."""

    RUN = "run"
    """They run; its output is undefined, or its `default`."""
    SKIP = "skip"
    """They are skipped, and theirs; the rest goes on."""
    FAIL = "fail"
    """The execution fails at once, if there are any."""


class Degradation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much may fail before an execution fails."""

    dependents: Annotated[
        Dependents, Says(description="What becomes of the dependents of a failed node with `critical: false`.")
    ] = Dependents.RUN
    max_failures: Annotated[
        Most | None,
        Says(description="More failed nodes than this fail the execution; those in loops and in `try` count too."),
    ] = None
