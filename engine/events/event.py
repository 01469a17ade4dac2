"""One thing that happened. A fact's `seq` is given to it inside the transaction that makes it true."""

from enum import StrEnum

import msgspec

from engine.values import Json


class Kind(StrEnum):
    """Every kind of event. The wire type is `ganglion.<kind>`."""

    WORKFLOW_STARTED = "workflow.started"
    WORKFLOW_COMPLETED = "workflow.completed"
    WORKFLOW_FAILED = "workflow.failed"
    WORKFLOW_CANCELLED = "workflow.cancelled"
    WORKFLOW_PAUSED = "workflow.paused"
    WORKFLOW_RESUMED = "workflow.resumed"
    WORKFLOW_BLOCKED = "workflow.blocked"
    WORKFLOW_RETRIED = "workflow.retried"
    """A person let an execution that had ended run again from somewhere."""
    WORKFLOW_FORKED = "workflow.forked"
    """An execution begins with the checkpoints of another one."""
    WORKFLOW_SUPERSEDED = "workflow.superseded"
    """A newer message came within the quiet time, before the execution had started: it is cancelled."""
    WORKFLOW_DROPPED = "workflow.dropped"
    """It made room in a full queue for a newer one: it is cancelled."""
    NODE_COMPLETED = "node.completed"
    NODE_FAILED = "node.failed"
    NODE_RETRY = "node.retry"
    NODE_SKIPPED = "node.skipped"
    NODE_WAITING = "node.waiting"
    NODE_IN_DOUBT = "node.in_doubt"
    LIMIT_WARNING = "limit.warning"
    """An execution or a node has used 80 % of a limit."""
    ITERATION_FAILED = "iteration.failed"
    """A body of a control-flow node failed, whatever became of that."""
    FORM_OPENED = "form.opened"
    FORM_SUBMITTED = "form.submitted"
    FORM_EXPIRED = "form.expired"
    DEFINITION_DEPLOYED = "definition.deployed"
    DEFINITION_UNDEPLOYED = "definition.undeployed"
    MESSAGE_DEAD = "message.dead"
    MESSAGE_REPLAYED = "message.replayed"
    MESSAGE_DROPPED = "message.dropped"
    OUTBOX_DROPPED = "outbox.dropped"
    FLEET_GAP = "fleet.gap"
    """A recorder of the fleet has given up facts of an agent: nobody keeps them any more. The agent is in `data`."""
    AGENT_STARTED = "agent.started"
    AGENT_STOPPED = "agent.stopped"
    AGENT_THROTTLED = "agent.throttled"
    """The load of the machine changed how much may run; at most once a minute."""
    AGENT_LOST = "agent.lost"
    """A recorder of the fleet has not heard an agent for three beats. The agent is in `data`."""
    AGENT_RETURNED = "agent.returned"
    """It hears one again that was lost."""
    AGENT_TWIN = "agent.twin"
    """Another process runs under this agent's id, and started later: a data directory was cloned."""

    NODE_STARTED = "node.started"
    ITERATION_COMPLETED = "iteration.completed"
    LEVEL_STARTED = "level.started"
    LEVEL_COMPLETED = "level.completed"
    CHECKPOINT_CREATED = "checkpoint.created"
    PROGRESS_UPDATE = "progress.update"
    AGENT_ADJUSTED = "agent.adjusted"
    LLM_TOKEN = "llm.token"  # noqa: S105 - more of a text that a model writes


LIVE = frozenset(
    {
        Kind.NODE_STARTED, Kind.ITERATION_COMPLETED, Kind.LEVEL_STARTED, Kind.LEVEL_COMPLETED,
        Kind.CHECKPOINT_CREATED, Kind.PROGRESS_UPDATE, Kind.AGENT_ADJUSTED, Kind.LLM_TOKEN,
    }
)  # fmt: skip
"""Kinds that are published at once and kept nowhere."""
FACTS = frozenset(Kind) - LIVE
"""Kinds that go through the outbox."""


class Event(msgspec.Struct, kw_only=True, omit_defaults=True):
    """`time` is microseconds since 1970; `workflow` is `_` for what concerns the agent itself."""

    kind: Kind
    time: int
    workflow: str = "_"
    version: int = 0
    execution: str = ""
    node: str = ""
    """The node's path in the execution."""
    data: dict[str, Json] | msgspec.Raw = {}
    seq: int = 0
    """The fact's number on this agent; 0 for a live event and for a fact that is not committed yet."""
