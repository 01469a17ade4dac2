"""What is asked about use, and what is answered."""

import msgspec

from engine.control.messages import Answer, Request

ORDERS = ("seconds", "executions", "failed", "output_bytes", "api_calls", "llm_tokens")
"""What consumers can be ordered by."""


class UsageQuery(Request, frozen=True, kw_only=True):
    """Who used most, and how that grows."""

    workflow: str | None = None
    hours: int = 24
    """How far to look back."""
    by: str = "seconds"
    """One of ORDERS."""
    limit: int = 20
    """Workflows and nodes at most."""
    step: int = 1
    """Hours that the history puts together."""


class WorkflowUse(Answer, frozen=True, kw_only=True):
    """What a workflow's executions used that ended in these hours."""

    workflow: str
    executions: int
    failed: int
    nodes: int
    seconds: float
    """From starts to ends, waits included."""
    output_bytes: int
    api_calls: int
    llm_tokens: int
    growth: dict[str, float] = msgspec.field(default_factory=dict)
    """The last 24 hours against a mean day of the seven days before: 0.5 is half as much again. Nothing where there was
    nothing before."""


class NodeUse(Answer, frozen=True, kw_only=True):
    """What a node used, in the newest executions that ended in these hours. A node in a loop is one, however often it
    ran."""

    workflow: str
    node: str
    executions: int
    """How often it ran."""
    failed: int
    seconds: float
    output_bytes: int
    api_calls: int
    llm_tokens: int


class HourUse(Answer, frozen=True, kw_only=True):
    """What all executions used, or those of one workflow, in `step` hours from a time on."""

    time: str
    executions: int
    failed: int
    nodes: int
    seconds: float
    output_bytes: int
    api_calls: int
    llm_tokens: int


class UsageReport(Answer, frozen=True, kw_only=True):
    """The most first; the history with the oldest first, and without hours in which nothing ended."""

    workflows: list[WorkflowUse]
    nodes: list[NodeUse]
    history: list[HourUse]
