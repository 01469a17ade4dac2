"""How often what was written down is handed to the store: the durability that a workflow asks for.

    sync    each step is a commit, and effects wait for it
    async   steps are gathered as `checkpoint` says, and nothing waits for them
    exit    everything is gathered until the end

Whatever the mode, timers, waits, forms, the start of an at_most_once attempt, changes of state, a pause and the end
commit at once, and everything before with them: the store commits in order.
"""

from engine.definition.model import Durability, Workflow
from engine.execution.checkpoint import Checkpoint

MAX_ROWS = 5000
"""Rows that may be gathered, whatever a workflow asks for: memory is bounded."""


class Pace:
    """Decides for one execution. Asked once per step."""

    def __init__(self, workflow: Workflow) -> None:
        self.waits = workflow.durability is Durability.SYNC
        """Effects wait for the commits of all that they are built from."""
        every = workflow.checkpoint
        self._never = workflow.durability is Durability.EXIT or every.never
        self._nodes = every.nodes
        self._levels = every.levels

    def is_due(self, step: Checkpoint, levels_closed: int) -> bool:
        """Whether to hand over what was gathered; `levels_closed` is how many levels of the workflow have settled
        since the last commit."""
        if self.waits or step.urgent or len(step.rows) >= MAX_ROWS:
            return True
        if self._never:
            return False
        if self._levels is not None:
            return levels_closed >= self._levels
        return len(step.rows) >= (self._nodes or 1)
